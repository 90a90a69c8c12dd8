"""What the adapters of torch's writer and of tensorboardX's, which has the same face, share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np


class TorchFace:
    """See `benchmarks.writers.Writer`.

    Args:
        writer: The library's SummaryWriter.
        event: The class of its events.
        graph_def: The class of its graphs.
    """

    def __init__(self, writer: Any, event: Any, graph_def: Any) -> None:
        self._writer = writer
        self._event = event
        self.scalar = writer.add_scalar
        self.histogram = writer.add_histogram
        self.image = writer.add_image
        self.flush = writer.flush
        self.close = writer.close
        self.parse_graph = graph_def.FromString

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        # Not add_scalars, which opens a run for each name.
        for tag, value in metrics.items():
            self.scalar(tag, value, step)

    def embedding(self, matrix: np.ndarray[Any, Any], labels: Sequence[str] | None) -> None:
        self._writer.add_embedding(matrix, labels, global_step=0)

    def graph(self, graph_def: Any) -> None:
        # The part of add_graph that comes after a model was traced.
        event = self._event(graph_def=graph_def.SerializeToString())
        self._writer._get_file_writer().add_event(event)
