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
from typing import TYPE_CHECKING

from eventwriter._imports import importing
from eventwriter._proto.summary_pb2 import DATA_CLASS_BLOB_SEQUENCE, Summary
from eventwriter._proto.tensor_pb2 import DT_STRING
from eventwriter._values.arrays import as_numpy
from eventwriter._warn import warn_each_time
from eventwriter.records.recording import Call

if TYPE_CHECKING:
    from typing import TypeAlias

    from eventwriter._warn import Warn
    from eventwriter.records.recording import Recording
    from eventwriter.typing import ArrayLike, PathLike, Seconds, Step

    Image: TypeAlias = ArrayLike | PathLike | bytes

# The grids of torch and torchvision have eight columns too.
_GRID_COLUMNS = 8


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
    with importing():
        from eventwriter._images.pixels import grid, to_nhwc, to_uint8  # noqa: PLC0415
        from eventwriter._images.png import encode_png, read_png  # noqa: PLC0415
    argument = f"{where}: img_tensor"
    if isinstance(img, (str, os.PathLike, bytes)):
        png, (width, height) = read_png(img, argument)
    else:
        images = to_uint8(as_numpy(img, argument), argument, warn)
        images = to_nhwc(images, dataformats, where)
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
