"""This package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter import SummaryWriter
from eventwriter._proto.graph_pb2 import GraphDef

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class Writer:
    """See `benchmarks.writers.Writer`."""

    def __init__(self, directory: str) -> None:
        self.writer = SummaryWriter(directory)
        self.scalar = self.writer.add_scalar
        self.log = self.writer.log
        self.histogram = self.writer.add_histogram
        self.image = self.writer.add_image
        self.graph = self.writer.add_graph
        self.flush = self.writer.flush
        self.close = self.writer.close
        self.parse_graph = GraphDef.FromString

    def embedding(self, matrix: np.ndarray[Any, Any], labels: Sequence[str] | None) -> None:
        self.writer.add_embedding(matrix, labels, global_step=0)
