r"""Images, in the one form that both of TensorBoard's readers show.

    Summary.Value
      tag                                   the tag
      metadata.plugin_data.plugin_name      "images", content empty (version 0)
      metadata.data_class                   DATA_CLASS_BLOB_SEQUENCE
      tensor.dtype, tensor.tensor_shape     DT_STRING, [3]
      tensor.string_val                     | width in pixels, ASCII | height | a PNG file |

Format: TensorBoard's plugins/image/metadata.py and summary_v2.py. The PNG is written by
`_images.png`, so nothing has to be installed for it.
"""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventwriter._images.pixels import grid, to_uint8
from eventwriter._images.png import CHANNELS, encode_png, png_size
from eventwriter._proto.summary_pb2 import DATA_CLASS_BLOB_SEQUENCE, Summary
from eventwriter._proto.tensor_pb2 import DT_STRING
from eventwriter._values.arrays import as_numpy
from eventwriter._warn import warn_each_time
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.records.recording import Call

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from eventwriter._warn import Warn
    from eventwriter.records.recording import Recording
    from eventwriter.typing import ArrayLike, PathLike, Seconds, Step

    Image: TypeAlias = ArrayLike | PathLike | bytes

# The grids of torch and torchvision have eight columns too.
_GRID_COLUMNS = 8
_AXES = "NHWC"


def add_image(
    self: Recording,
    tag: str,
    img_tensor: Image,
    global_step: Step | None = None,
    walltime: Seconds | None = None,
    dataformats: str = "CHW",
) -> None:
    """Log an image.

    Args:
        tag: The name; slashes group.
        img_tensor: Floats from 0 to 1, uint8 or bools, of any framework, with 1 (grey), 3 (RGB) or
            4 (RGBA) channels. Floats outside of 0 to 1 are clipped; NaN becomes 0. Or a PNG: its
            path or its bytes, such as the file that `graphs.plot_graph` drew. A PNG is not
            encoded again.
        global_step: As in `add_scalar`.
        walltime: As in `add_scalar`.
        dataformats: A letter for each axis of an array, in any order: height and width in pixels,
            "H" and "W"; perhaps "C", the channels; perhaps "N", several images, which are put into
            one grid. It has no effect on a PNG.

    Raises:
        ArgumentTypeError, ArgumentValueError: Nothing was written.
        WriterClosedError: The writer is closed.

    Warns:
        EventWriterWarning: Floats were clipped, or not finite. The warning comes once for each tag.
    """
    _add_image(self, "add_image", tag, img_tensor, global_step, walltime, dataformats)


def add_images(
    self: Recording,
    tag: str,
    img_tensor: Image,
    global_step: Step | None = None,
    walltime: Seconds | None = None,
    dataformats: str = "NCHW",
) -> None:
    """Log several images of one size as one grid, eight in a row, as torch does.

    The arguments are those of `add_image`. The axis "N" counts the images.
    """
    _add_image(self, "add_images", tag, img_tensor, global_step, walltime, dataformats)


def _add_image(
    self: Recording,
    method: str,
    tag: str,
    img_tensor: Image,
    global_step: Step | None,
    walltime: Seconds | None,
    dataformats: str,
) -> None:
    call = Call(self, method, tag, global_step, walltime)
    value = image_value(call.where, img_tensor, dataformats, partial(self._warn_once_of, tag))
    self._write(call, "images", value)


def image_value(
    where: str, img: Image, dataformats: str = "CHW", warn: Warn = warn_each_time
) -> Summary.Value:
    """Make an image of an array, or take a PNG file as it is.

    Args:
        where: Names the call in errors.
        img: As in `add_image`.
        dataformats: As in `add_image`.
        warn: Is called with "clipped" and a message, where pixels were clipped.

    Raises:
        ArgumentTypeError: The array has another type, dtype or shape.
        ArgumentValueError: `dataformats` names no axes; a file cannot be read or is no PNG.
    """
    argument = f"{where}: img_tensor"
    if isinstance(img, (str, os.PathLike, bytes)):
        png, (width, height) = _read_png(img, argument)
    else:
        images = to_uint8(as_numpy(img, argument), argument, warn)
        images = _to_nhwc(images, dataformats, where)
        columns = min(len(images), _GRID_COLUMNS)
        pixels = grid(images, columns, math.ceil(len(images) / columns))
        png = encode_png(pixels)
        height, width, _ = pixels.shape
    value = Summary.Value()
    value.metadata.plugin_data.plugin_name = "images"
    value.metadata.data_class = DATA_CLASS_BLOB_SEQUENCE
    value.tensor.dtype = DT_STRING
    value.tensor.tensor_shape.dim.add(size=3)
    value.tensor.string_val.extend([str(width).encode(), str(height).encode(), png])
    return value


def _read_png(img: PathLike | bytes, where: str) -> tuple[bytes, tuple[int, int]]:
    """Return a PNG, its width and its height. Refuse a file that is still being written."""
    name = f"{len(img)} bytes" if isinstance(img, bytes) else repr(os.fspath(img))
    try:
        png = img if isinstance(img, bytes) else Path(img).read_bytes()
    except OSError as error:
        raise ArgumentValueError(
            f"{where}: {name} cannot be read: {error}. Pass the path of a PNG file."
        ) from error
    size = png_size(png)
    if size is None:
        raise ArgumentValueError(
            f"{where}: expected a whole PNG file, got {name} that begin with {png[:8]!r}. Pass "
            "pictures of other formats as an array: np.asarray(PIL.Image.open(path)), with "
            "dataformats='HWC'."
        )
    return png, size


def _to_nhwc(array: NDArray[np.uint8], dataformats: Any, where: str) -> NDArray[np.uint8]:
    """Return the images as `[count, height, width, channels]`."""
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
