"""Pictures for the points of an embedding: one square sheet of them, as a PNG.

The PNG is written here because its plainest form is 57 bytes around what zlib gives, and an
imaging library would be a dependency of every training machine.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from eventwriter._values.arrays import as_numpy
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SIDE_PIXELS = 8192
"""TensorBoard's page refuses a sheet that is wider or higher."""

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""PNG's name of a pixel with so many channels: grey, RGB, RGBA."""

_COMPRESSION_LEVEL = 1
"""The sheet travels over the loopback only; zlib's default takes eight times as long."""


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
    if array.ndim != 4 or array.shape[1] not in _COLOUR_TYPES or 0 in array.shape:
        message = (
            f"{where}: label_img: expected shape [points, channels, height, width] with 1, 3 or 4 "
            f"channels, got {array.shape}."
        )
        raise ArgumentTypeError(message)
    found, channels, height, width = array.shape
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
    grid = np.zeros((side * side, height, width, channels), np.uint8)
    grid[:count] = _to_uint8(array, where).transpose(0, 2, 3, 1)
    rows = grid.reshape(side, side, height, width, channels).swapaxes(1, 2)
    pixels = rows.reshape(side * height, side * width, channels)
    return SpriteSheet(pixels, width, height)


def _to_uint8(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind in "biu":
        message = f"{where}: label_img: expected floats from 0 to 1, or uint8, got {array.dtype}."
        raise ArgumentTypeError(message)
    return unit_to_uint8(array, f"{where}: label_img")


def unit_to_uint8(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return floats from 0 to 1 as 0 to 255; what lies outside is clipped, with one warning."""
    with np.errstate(all="ignore"):  # of float64, which is clipped
        values = array.astype(np.float32, copy=False)
    # Half of one grey level is left to rounding. NaN is not within.
    within = (values > -0.5 / 255) & (values < 255.5 / 255)
    if outside := values.size - int(np.count_nonzero(within)):
        message = (
            f"{where}: {outside} of {values.size} values are outside of 0 to 1 and were "
            "clipped. Pass floats from 0 to 1, or uint8 from 0 to 255."
        )
        warn_caller(message)
    finite = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
    return np.rint(np.clip(finite, 0.0, 1.0) * 255).astype(np.uint8)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    r"""Return `pixels`, shape [height, width, 1, 3 or 4], as a PNG of 8 bits a channel.

        \x89PNG\r\n\x1a\n                           signature
        length | IHDR | width height 8 colour 0 0 0 | crc32
        length | IDAT | zlib of: for each row, 0 and its bytes | crc32
        length | IEND | | crc32

    Integers are big-endian uint32 (after width and height: uint8); a crc32 covers name and data.
    The 0 in front of a row says that it is not filtered. Source: RFC 2083, chapters 3, 4 and 6.
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    image = zlib.compress(rows.data, _COMPRESSION_LEVEL)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", image), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
