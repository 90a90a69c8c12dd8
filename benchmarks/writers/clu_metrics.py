"""clu's metric writers: TensorFlow's summaries, written by a thread of clu's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clu import metric_writers

from benchmarks.question import has_none

if TYPE_CHECKING:
    from collections.abc import Mapping


class Writer:
    """See `benchmarks.writers.Writer`."""

    embedding = staticmethod(has_none)
    parse_graph = staticmethod(has_none)
    graph = staticmethod(has_none)

    def __init__(self, directory: str) -> None:
        self._writer = metric_writers.AsyncWriter(metric_writers.SummaryWriter(directory))
        self.flush = self._writer.flush
        self.close = self._writer.close

    def scalar(self, tag: str, value: Any, step: int) -> None:
        self._writer.write_scalars(step, {tag: value})

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._writer.write_scalars(step, metrics)

    def histogram(self, tag: str, values: Any, step: int) -> None:
        self._writer.write_histograms(step, {tag: values})

    def image(self, tag: str, pixels: Any, step: int) -> None:
        self._writer.write_images(step, {tag: pixels.transpose(1, 2, 0)[None]})
