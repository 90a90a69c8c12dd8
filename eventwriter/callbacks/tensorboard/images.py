"""Weights as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from eventwriter._values.arrays import as_numpy

_MOST = 3
"""The largest number of pictures of one weight, the same as in Keras."""


def weight_images(weight: Any, where: str) -> list[np.ndarray[Any, Any]]:
    """Return a weight as grey pictures `[height, width]`, float32 from 0 (lowest) to 1 (highest).

    Axes of length 1 are removed first. A vector is one row. A matrix that is higher than wide is
    transposed. A stack of matrices `[height, width, n]` gives the first three. A single number, or
    a weight of more axes, gives no picture.

    Args:
        weight: An array of any framework.
        where: Names the weight in errors.
    """
    array = np.squeeze(as_numpy(weight, where)).astype(np.float64)
    if array.ndim == 1:
        pictures = [array[None]]
    elif array.ndim == 2:
        pictures = [array.T if array.shape[0] > array.shape[1] else array]
    elif array.ndim == 3:
        pictures = [array[..., index] for index in range(min(_MOST, array.shape[2]))]
    else:
        return []
    return [_normalised(picture) for picture in pictures if picture.size]


def _normalised(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    finite = picture[np.isfinite(picture)]
    low = finite.min(initial=np.inf)
    spread = finite.max(initial=-np.inf) - low
    if not (0 < spread < np.inf):
        return np.zeros(picture.shape, np.float32)
    scaled: np.ndarray[Any, Any] = np.clip((picture - low) / spread, 0, 1).astype(np.float32)
    scaled[np.isnan(scaled)] = 0
    return scaled
