"""Pixels: numbers of any dtype as uint8, axes in any order, and several images in one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._images.png import CHANNELS
from eventwriter._warn import warn_each_time
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eventwriter._warn import Warn

_AXES = "NHWC"


def to_uint8(
    array: NDArray[Any], where: str, warn: Warn = warn_each_time, *, bools: bool = True
) -> NDArray[np.uint8]:
    """Return an array as numbers from 0 to 255.

    Args:
        array: uint8, which is returned as it is; floats from 0 to 1; or bools, which become 0
            and 255.
        where: The call and the argument, for messages.
        warn: Is called with "clipped" and a message, where floats were clipped.
        bools: Whether bools are accepted.

    Raises:
        ArgumentTypeError: Another dtype.

    Warns:
        EventWriterWarning: Floats outside 0 to 1 were clipped, or floats were not finite (NaN
            becomes 0).
    """
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if kind == "b" and bools:
        return array.astype(np.uint8) * np.uint8(255)
    if kind in "biu":
        expected = "floats from 0 to 1, uint8 or bools" if bools else "floats from 0 to 1, or uint8"
        raise ArgumentTypeError(
            f"{where}: expected {expected}, got {array.dtype}. Convert values from 0 to 255 to "
            "uint8."
        )
    return _unit_to_uint8(array, where, warn)


def _unit_to_uint8(array: NDArray[Any], where: str, warn: Warn) -> NDArray[np.uint8]:
    with np.errstate(all="ignore"):  # A float64 beyond float32 becomes infinity and is clipped.
        values = array.astype(np.float32, copy=False)
    # Half a grey level beyond 0 and 1 is rounding, not an error. NaN is never within.
    within = (values > -0.5 / 255) & (values < 255.5 / 255)
    if outside := values.size - int(np.count_nonzero(within)):
        warn(
            "clipped",
            f"{where}: {outside} of {values.size} values are outside of 0 to 1 and were "
            "clipped. Pass floats from 0 to 1, or uint8 from 0 to 255.",
        )
    finite = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
    return np.rint(np.clip(finite, 0.0, 1.0) * 255).astype(np.uint8)


def grid(images: NDArray[np.uint8], columns: int, rows: int) -> NDArray[np.uint8]:
    """Return images as one image: a grid that is filled row by row.

    Args:
        images: Shape `[count, height, width, channels]`, at most `columns * rows` images.
        columns: Images in a row.
        rows: Rows of images.

    Returns:
        Shape `[rows * height, columns * width, channels]`. Places without an image are 0. The
        grid shares no memory with `images`.
    """
    count, height, width, channels = images.shape
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:count] = images
    by_row = cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return by_row.reshape(rows * height, columns * width, channels)


def to_nhwc(array: NDArray[np.uint8], dataformats: Any, where: str) -> NDArray[np.uint8]:
    """Return images with their axes in one order.

    Args:
        array: One image, or several.
        dataformats: A letter for each axis: "H" and "W", perhaps "C", perhaps "N".
        where: The call, for messages.

    Returns:
        Shape `[count, height, width, channels]`, with 1, 3 or 4 channels. A view of `array`.

    Raises:
        ArgumentTypeError: The array has other axes than these letters, or another number of
            channels.
        ArgumentValueError: `dataformats` names no axes.
    """
    letters = dataformats.upper() if isinstance(dataformats, str) else ""
    if not {"H", "W"} <= set(letters) <= set(_AXES) or len(set(letters)) != len(letters):
        raise ArgumentValueError(
            f"{where}: dataformats: expected H, W and perhaps C and N, each once, such as 'CHW', "
            f"'HWC', 'HW' or 'NCHW', got {dataformats!r}."
        )
    if array.ndim != len(letters) or 0 in array.shape:
        raise ArgumentTypeError(
            f"{where}: img_tensor: expected axes {letters}, none of them empty, got shape "
            f"{array.shape}. Name the array's axes in dataformats."
        )
    missing = [axis for axis in _AXES if axis not in letters]
    whole = array.reshape(array.shape + (1,) * len(missing))
    order = [*letters, *missing]
    images: NDArray[np.uint8] = whole.transpose([order.index(axis) for axis in _AXES])
    channels = images.shape[-1]
    if channels not in CHANNELS:
        raise ArgumentTypeError(
            f"{where}: img_tensor: expected 1 (grey), 3 (RGB) or 4 (RGBA) channels, got "
            f"{channels} in shape {array.shape} with axes {letters}. If the channels are "
            "elsewhere, name the array's axes in dataformats, such as 'HWC'."
        )
    return images
