"""tensorboardX. Its flush does not wait for what is in its queue; its close does."""

from __future__ import annotations

from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.graph_pb2 import GraphDef

from benchmarks.writers.torch_face import TorchFace


class Writer(TorchFace):
    """See `benchmarks.writers.Writer`."""

    def __init__(self, directory: str) -> None:
        super().__init__(SummaryWriter(directory), Event, GraphDef)
