"""torch.utils.tensorboard, which needs tensorboard besides torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch.utils.tensorboard import SummaryWriter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np


class Writer:
    """See `benchmarks.writers.Writer`."""

    def __init__(self, directory: str) -> None:
        self._writer = SummaryWriter(directory)
        self.scalar = self._writer.add_scalar
        self.histogram = self._writer.add_histogram
        self.image = self._writer.add_image
        self.flush = self._writer.flush
        self.close = self._writer.close
        self.parse_graph = GraphDef.FromString

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        # Not add_scalars, which opens a run for each name.
        for tag, value in metrics.items():
            self.scalar(tag, value, step)

    def embedding(self, matrix: np.ndarray[Any, Any], labels: Sequence[str] | None) -> None:
        self._writer.add_embedding(matrix, labels, global_step=0)

    def graph(self, graph_def: GraphDef) -> None:
        # What add_graph does once it has traced a model.
        event = Event(graph_def=graph_def.SerializeToString())
        self._writer._get_file_writer().add_event(event)
