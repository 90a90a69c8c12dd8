"""The metrics of single batches, recovered from Keras's means since the beginning of the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from collections.abc import Iterator


class BatchMetrics:
    """Recovers the own metrics of a batch from the means after it and after the batch before.

    Keras weighs each batch by its number of examples, and hands over only the mean. All batches are
    taken for equally large, but for the last one of an epoch. There the examples are counted. Only
    metrics that are means can be recovered: the loss, an accuracy, but not an AUC. All others stay
    as Keras hands them over.
    """

    def __init__(self) -> None:
        self._batch_size: float | None = None
        self._before: dict[str, Any] = {}
        self._weight = 0.0

    def begin_epoch(self) -> None:
        """Begin an epoch, in which Keras begins new means."""
        self._before, self._weight = {}, 0.0

    def of(
        self, callback: keras.callbacks.Callback, means: dict[str, Any], batches: int, is_last: bool
    ) -> dict[str, Any]:
        """Return the own metrics of the latest batch.

        Args:
            callback: A callback of the training. On JAX, to ask it for its model costs time: this
                puts the state of now into the model.
            means: The logs of Keras.
            batches: The number of batches that ended in this epoch.
            is_last: Whether the batch is the last one of its epoch.
        """
        if self._batch_size is None:
            self._batch_size = _examples(callback.model) / batches
        if not self._batch_size:  # the training step of this model makes no mean of the loss
            return means
        weight = _examples(callback.model) if is_last else self._batch_size * batches
        share = weight - self._weight
        own = dict(means)
        for name, mean in means.items():
            if name in self._before and share > 0 and _is_mean(name, callback._model):
                own[name] = (mean * weight - self._before[name] * self._weight) / share
        self._before, self._weight = dict(means), weight
        return own


def _examples(model: Any) -> float:
    """Return the number of examples in the mean of the loss, 0 without such a mean."""
    for metric in _metrics(model):
        if metric.name == "loss" and isinstance(metric, keras.metrics.Mean):
            return float(metric.count)
    return 0.0


def _is_mean(name: str, model: Any) -> bool:
    """Return whether a metric is a mean over examples. The name of an output may come first."""
    named = [each for each in _metrics(model) if f"_{name}".endswith(f"_{each.name}")]
    return bool(named) and all(
        isinstance(each, keras.metrics.Mean) and type(each).result is keras.metrics.Mean.result
        for each in named
    )


def _metrics(model: Any) -> Iterator[Any]:
    for metric in model.metrics:
        inner = getattr(metric, "metrics", None)
        yield from [metric] if inner is None else inner
