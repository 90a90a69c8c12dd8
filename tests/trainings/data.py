"""What the trainings learn from: points that are easy to tell apart, though not by a line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moons(NamedTuple):
    """Points of two half circles, one inside the other.

    Attributes:
        x_train, x_val: float32 `[points, 2]`.
        y_train, y_val: int32 `[points]`, the number of the half circle, 0 or 1.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray


def moons(points: int = 512, seed: int = 0) -> Moons:
    """Return points in random order. The last quarter of them is for validation."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, points).astype(np.int32)
    angle = np.pi * rng.random(points)
    x = np.stack([np.cos(angle), np.sin(angle)], 1)
    x = np.where(y[:, None] == 0, x, [1.0, 0.5] - x) + rng.normal(0, 0.1, x.shape)
    x, held_out = x.astype(np.float32), points // 4
    return Moons(x[:-held_out], y[:-held_out], x[-held_out:], y[-held_out:])
