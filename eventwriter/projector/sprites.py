"""Pictures of the points of an embedding, laid into one square sheet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from eventwriter._images.pixels import grid, to_uint8
from eventwriter._images.png import CHANNELS
from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_SIDE_PIXELS = 8192
"""TensorBoard's page refuses a sheet that is wider or higher."""


class SpriteSheet(NamedTuple):
    """Pictures in a grid.

    Attributes:
        pixels: Shape [side * height, side * width, channels].
        width: Of one picture, in pixels.
        height: Of one picture, in pixels.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int


def sprite_sheet(images: Any, count: int, where: str) -> SpriteSheet:
    """Lay one picture for each point into a square grid, row by row.

    The grid is square, even if its last rows stay empty: TensorBoard's shader divides a point's
    index by the number of pictures in a *column*.

    Args:
        images: Shape [count, channels, height, width], 1 (grey), 3 (RGB) or 4 (RGBA) channels;
            floats from 0 to 1, or uint8. Of any framework.
        count: The number of points.
        where: The call, for messages.

    Returns:
        The sheet; it shares no memory with `images`.

    Raises:
        ArgumentTypeError: Another shape or dtype.
        ArgumentValueError: Not `count` pictures, or a sheet beyond `MAX_SIDE_PIXELS`.

    Warns:
        EventWriterWarning: Floats outside of 0 to 1 were clipped, or not finite (they become 0).
    """
    array = as_numpy(images, f"{where}: label_img")
    if array.ndim != 4 or array.shape[1] not in CHANNELS or 0 in array.shape:
        message = (
            f"{where}: label_img: expected shape [points, channels, height, width] with 1, 3 or 4 "
            f"channels, got {array.shape}."
        )
        raise ArgumentTypeError(message)
    found, _, height, width = array.shape
    if found != count:
        message = (
            f"{where}: label_img: expected {count} pictures, one for each row of mat, got {found}."
        )
        raise ArgumentValueError(message)
    side = math.isqrt(count - 1) + 1
    if side * max(height, width) > MAX_SIDE_PIXELS:
        message = (
            f"{where}: label_img: expected a sheet of at most {MAX_SIDE_PIXELS} x "
            f"{MAX_SIDE_PIXELS} pixels, which is what TensorBoard shows, got {side * width} x "
            f"{side * height} ({count} pictures of {width} x {height}). Pass smaller pictures, or "
            "fewer points."
        )
        raise ArgumentValueError(message)
    pixels = to_uint8(array, f"{where}: label_img", bools=False).transpose(0, 2, 3, 1)
    return SpriteSheet(grid(pixels, side, side), width, height)
