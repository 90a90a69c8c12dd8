"""Trainings whose metrics are given, of a model that is a dict of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter.callbacks import Loop

if TYPE_CHECKING:
    from collections.abc import Sequence


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
