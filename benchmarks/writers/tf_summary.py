"""tf.summary of TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from benchmarks.question import has_none

if TYPE_CHECKING:
    from collections.abc import Mapping


class Writer:
    """See `benchmarks.writers.Writer`.

    The default writer is set for every call, because it is a thread's own.
    """

    embedding = staticmethod(has_none)

    def __init__(self, directory: str) -> None:
        self._writer = tf.summary.create_file_writer(directory)
        self.flush = self._writer.flush
        self.close = self._writer.close
        self.parse_graph = tf.compat.v1.GraphDef.FromString

    def scalar(self, tag: str, value: Any, step: int) -> None:
        with self._writer.as_default():
            tf.summary.scalar(tag, value, step=step)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        with self._writer.as_default():
            for tag, value in metrics.items():
                tf.summary.scalar(tag, value, step=step)

    def histogram(self, tag: str, values: Any, step: int) -> None:
        with self._writer.as_default():
            tf.summary.histogram(tag, values, step=step)

    def image(self, tag: str, pixels: Any, step: int) -> None:
        with self._writer.as_default():
            tf.summary.image(tag, pixels.transpose(1, 2, 0)[None], step=step)

    def graph(self, graph_def: Any) -> None:
        with self._writer.as_default():
            tf.summary.graph(graph_def)
