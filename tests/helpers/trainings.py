"""Trainings whose metrics are given, of a dict of arrays or of no model, and what they need."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter.callbacks import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def train(
    callbacks: Sequence[Any],
    metrics: Sequence[dict[str, Any]],
    *,
    learning_rate: float = 1.0,
    batches: int = 1,
    **options: Any,
) -> Loop:
    """Run an epoch for each of `metrics`; the weight "epoch" is the number of the epoch."""
    weights = {"epoch": np.zeros(())}
    optimizer = {"learning_rate": learning_rate}
    loop = Loop(weights, callbacks, len(metrics), optimizer=optimizer, **options)
    with loop:
        for epoch in loop:
            for _ in loop.batches(range(batches)):
                weights["epoch"][...] = epoch
            loop.log(metrics[epoch])
    return loop


def column(name: str, values: Sequence[float]) -> list[dict[str, float]]:
    """Return metrics of epochs that have one only."""
    return [{name: value} for value in values]


def train_on(callbacks: Sequence[Any], losses: Sequence[float], epochs: int = 1) -> Loop:
    """Run epochs with a batch for each loss, of no model. Training may be stopped by a callback."""
    with Loop(None, callbacks, epochs) as loop:
        for _ in loop:
            for loss in loop.batches(losses):
                loop.log(loss=loss)
    return loop


class WeightsOnly:
    """A user's own view that can answer no question but one."""

    def weights(self) -> dict[str, Any]:
        return {}


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the umask of this process within the block."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
