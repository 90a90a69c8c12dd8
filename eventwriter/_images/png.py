r"""PNG files: encode pixels, and read a file's size.

    \x89PNG\r\n\x1a\n                                                    signature, 8 bytes
    length | "IHDR" | width, height, 8 bits, colour type, 0, 0, 0 | crc32
    length | "IDAT" | zlib of: for each row, a 0 and the row's bytes  | crc32
    length | "IEND" |                                                 | crc32

Integers are big-endian uint32; what follows the height is five uint8. A crc32 covers the chunk's
name and data. The 0 before a row says that the row is not filtered. Source: RFC 2083, chapters 3,
4 and 6.

The encoder is here because the plainest PNG is 57 bytes around what zlib gives, and an imaging
library would be a dependency on every training machine.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eventwriter.errors import ArgumentValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eventwriter.typing import PathLike

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}

CHANNELS = tuple(_COLOUR_TYPES)
"""Numbers of channels that a PNG can have: 1 (grey), 3 (RGB), 4 (RGBA)."""

_COMPRESSION_LEVEL = 1
"""Images travel over the loopback only, and zlib's default level takes eight times as long."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START = _SIGNATURE + b"\0\0\0\rIHDR"
_END = b"IEND\xaeB`\x82"


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return pixels as a PNG file with 8 bits a channel.

    Args:
        pixels: Shape `[height, width, channels]`, with 1, 3 or 4 channels.
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    image = zlib.compress(rows.data, _COMPRESSION_LEVEL)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", image), _chunk(b"IEND", b""))
    return _SIGNATURE + b"".join(chunks)


def png_size(content: bytes) -> tuple[int, int] | None:
    """Return the width and height of a PNG file in pixels.

    Returns:
        None if the content is no whole PNG file. A file that is still being written lacks its end.
    """
    if not (content.startswith(_START) and content.endswith(_END)):
        return None
    width, height = struct.unpack_from(">II", content, len(_START))
    return width, height


def read_png(img: PathLike | bytes, where: str) -> tuple[bytes, tuple[int, int]]:
    """Return a PNG, its width and its height in pixels.

    Args:
        img: The path of the file, or its bytes.
        where: The call and the argument, for messages.

    Raises:
        ArgumentValueError: The file cannot be read, is no PNG, or is still being written.
    """
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


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
