"""Pictures of the points of an embedding, laid into one square sheet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from eventwriter._images.pixels import grid, to_uint8
from eventwriter._images.png import CHANNELS
from eventwriter._values.arrays import as_numpy
from eventwriter._warn import warn_each_time
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eventwriter._warn import Warn
    from eventwriter.typing import ArrayLike

MAX_SIDE_PIXELS = 8192
"""The largest width and height of a sheet. TensorBoard's page refuses larger ones."""


class SpriteSheet(NamedTuple):
    """Pictures in a square grid.

    Attributes:
        pixels: Shape `[side * height, side * width, channels]`.
        width: The width of one picture, in pixels.
        height: The height of one picture, in pixels.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int


def sprite_sheet(
    images: ArrayLike, count: int, where: str, warn: Warn = warn_each_time
) -> SpriteSheet:
    """Lay one picture for each point into a square grid, row by row.

    The grid is square even if its last rows stay empty, because TensorBoard's shader divides a
    point's index by the number of pictures in a column.

    Args:
        images: Shape `[count, channels, height, width]` of any framework: floats from 0 to 1, or
            uint8; 1 (grey), 3 (RGB) or 4 (RGBA) channels.
        count: The number of points.
        where: The call, for messages.
        warn: Is called with "clipped" and a message, where pixels were clipped.

    Returns:
        The sheet. It shares no memory with `images`.

    Raises:
        ArgumentTypeError: The images have another shape or dtype.
        ArgumentValueError: There are not `count` images, or the sheet is larger than
            `MAX_SIDE_PIXELS`.

    Warns:
        EventWriterWarning: Floats were outside of 0 to 1 and were clipped. NaN becomes 0.
    """
    array = as_numpy(images, f"{where}: label_img")
    if array.ndim != 4 or array.shape[1] not in CHANNELS or 0 in array.shape:
        message = (
            f"{where}: label_img: expected shape [points, channels, height, width] with 1, 3 or 4 "
            f"channels, got {array.shape}. Reorder the axes."
        )
        raise ArgumentTypeError(message)
    found, _, height, width = array.shape
    if found != count:
        message = (
            f"{where}: label_img: expected {count} pictures, one for each row of mat, got {found}. "
            "Pass one for each point."
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
    pixels = to_uint8(array, f"{where}: label_img", warn, bools=False).transpose(0, 2, 3, 1)
    return SpriteSheet(grid(pixels, side, side), width, height)
