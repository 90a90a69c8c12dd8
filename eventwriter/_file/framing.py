"""TFRecord framing: the bytes around each record of an event file.

    ┌──────────────┬───────────────────┬─────────────┬────────────────────┐
    │ length       │ masked crc32c     │ payload     │ masked crc32c      │
    │ uint64 (8 B) │ of those 8 B (4 B)│ length B    │ of payload (4 B)   │
    └──────────────┴───────────────────┴─────────────┴────────────────────┘

All integers are little-endian. Records follow each other without padding. This is the format of
TensorFlow's tfrecord files without compression. Source: TensorFlow's lib/io/record_writer.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from eventwriter._file.crc32c import masked_crc32c

if TYPE_CHECKING:
    from eventwriter._file.crc32c import Buffer

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
OVERHEAD = HEADER.size + FOOTER.size

_LENGTH = struct.Struct("<Q")


def header(length: int) -> bytes:
    """Return the 12 bytes before a payload of `length` bytes."""
    packed = _LENGTH.pack(length)
    return packed + FOOTER.pack(masked_crc32c(packed))


def frame(payload: Buffer) -> bytes:
    """Return `payload` as one record: header, payload, footer."""
    return b"".join((header(len(payload)), payload, FOOTER.pack(masked_crc32c(payload))))
