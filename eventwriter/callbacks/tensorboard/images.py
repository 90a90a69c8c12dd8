"""Weights as pictures."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from eventwriter._values.arrays import as_numpy

Pixels: TypeAlias = "np.ndarray[Any, Any]"

_MOST_TILES = 256
"""The largest number of tiles in a picture. The page would show more of them too small."""
_MOST_ROWS = 16
_GAP = 1
"""Black pixels between two tiles."""
_COLOURS = 3


def weight_image(weight: Any, where: str, *, filters_first: bool | None = None) -> Pixels | None:
    """Return a weight as a picture, float32 from 0 (lowest) to 1 (highest), or None.

    A vector is one row. A matrix that is higher than wide is transposed. Axes of length 1 do not
    count, so `[64, 3, 1, 1]` is a matrix.

    A weight of more axes is a convolution's kernel, and its filters are tiles of one picture. If
    they have one input channel, or are seen as colours (three channels of a kernel with two axes of
    space), each filter is one tile of a grid. Otherwise a filter is a column with one tile for each
    channel. At most 256 tiles are shown, and at most 16 channels: the first ones.

    Args:
        weight: An array of any framework.
        where: Names the weight in errors.
        filters_first: The layout of kernels; see `ModelView.filters_first`. None is as False.

    Returns:
        `[height, width]`, or `[height, width, 3]` in colours. None for a single number, and for a
        weight without numbers.
    """
    array = np.asarray(as_numpy(weight, where)).astype(np.float64)
    if array.size < 2:
        return None
    squeezed = np.squeeze(array)
    if squeezed.ndim > 2:
        return _tiled(_filters(_normalised(array), filters_first=bool(filters_first)))
    return _wide(_normalised(np.atleast_2d(squeezed)))


def _filters(kernel: Pixels, *, filters_first: bool) -> Pixels:
    """Return tiles `[filters, channels, height, width, colours]`."""
    if not filters_first:
        kernel = np.moveaxis(kernel, (-1, -2), (0, 1))
    filters, channels, *space = kernel.shape
    if len(space) == 1:  # a tile is one filter, `[channels, length]`
        lengthwise = space[0] >= channels
        tiles = kernel if lengthwise else kernel.swapaxes(1, 2)
        return tiles[:, None, ..., None]
    if channels == _COLOURS and len(space) == 2:
        return np.moveaxis(kernel, 1, -1)[:, None]
    # The planes of a kernel with three axes of space follow each other.
    return kernel.reshape(filters, -1, *space[-2:], 1)


def _tiled(tiles: Pixels) -> Pixels:
    filters, channels, height, width, _ = tiles.shape
    if 1 in (filters, channels):  # as square as possible
        tiles = tiles.reshape(-1, *tiles.shape[2:])[:_MOST_TILES]
        columns = min(max(round(math.sqrt(len(tiles) * height / width)), 1), len(tiles))
        rows = -(-len(tiles) // columns)
        cells = np.zeros((rows * columns, *tiles.shape[1:]), tiles.dtype)
        cells[: len(tiles)] = tiles
        cells = cells.reshape(rows, columns, *tiles.shape[1:])
    else:
        rows = min(channels, _MOST_ROWS)
        cells = tiles[: _MOST_TILES // rows, :rows].swapaxes(0, 1)
    rows, columns = cells.shape[:2]
    cells = np.pad(cells, [(0, 0), (0, 0), (0, _GAP), (0, _GAP), (0, 0)])
    picture = cells.swapaxes(1, 2).reshape(rows * (height + _GAP), columns * (width + _GAP), -1)
    picture = picture[:-_GAP, :-_GAP]
    return picture if picture.shape[2] == _COLOURS else picture[..., 0]


def _wide(matrix: Pixels) -> Pixels:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _normalised(array: Pixels) -> Pixels:
    finite = array[np.isfinite(array)]
    low = finite.min(initial=np.inf)
    spread = finite.max(initial=-np.inf) - low
    if not (0 < spread < np.inf):
        return np.zeros(array.shape, np.float32)
    scaled: Pixels = np.clip((array - low) / spread, 0, 1).astype(np.float32)
    scaled[np.isnan(scaled)] = 0
    return scaled
