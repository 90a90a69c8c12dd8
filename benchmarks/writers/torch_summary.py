"""torch.utils.tensorboard, which needs tensorboard besides torch."""

from __future__ import annotations

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch.utils.tensorboard import SummaryWriter

from benchmarks.writers.torch_face import TorchFace


class Writer(TorchFace):
    """See `benchmarks.writers.Writer`."""

    def __init__(self, directory: str) -> None:
        super().__init__(SummaryWriter(directory), Event, GraphDef)
