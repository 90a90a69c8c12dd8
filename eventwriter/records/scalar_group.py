"""Many scalars in one event: the template that `log` fills in.

A training loop logs the same names at every step. So the event of a set of names is built once,
as a template whose values are zero, and each call writes its values over the zeros:

    09 wall_time:8   10 step:varint   2a n  ┌ 0a n  0a n tag  15 value:4 ┐ for each name
                                            └ Summary.Value              ┘

The bytes are those of protobuf. `scalars.scalars_event` is the plain path, and a test holds the
two equal.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

import numpy as np

from eventwriter._file.framing import frame
from eventwriter._file.scalar_rows import varint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DOUBLE = struct.Struct("<d")


class ScalarGroup:
    """The template of one set of tags, in one order.

    Args:
        tags: Valid tags, at least one.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = tuple(tags)
        summary = bytearray()
        places = []
        for tag in tags:
            name = tag.encode()
            value = b"\x0a" + varint(len(name)) + name + b"\x15" + bytes(4)
            summary += b"\x0a" + varint(len(value)) + value
            places.append(len(summary) - 4)
        self._head = b"\x2a" + varint(len(summary))
        self._summary = bytes(summary)
        self._places = np.array(places)
        # Each name is in the template, and is a text of its own with a place in two tuples.
        self.nbytes = 1024 + len(summary) + 2 * self._places.nbytes
        self.nbytes += sum(sys.getsizeof(tag) + 2 * 8 for tag in tags)
        """The memory that this group and its names take, in bytes, about."""
        self.pack = struct.Struct(f"={len(places)}d").pack
        """Pack the values of one call. It raises struct.error for a value that is no number."""

    def encode(self, wall_time: float, step: int, packed: bytes | Callable[[], bytes]) -> bytes:
        """Return the framed event.

        Args:
            wall_time: Seconds since 1970.
            step: Within int64.
            packed: What `pack` returned, or a function that fetches the values and packs them.
        """
        if callable(packed):
            packed = packed()
        summary = bytearray(self._summary)
        with np.errstate(all="ignore"):  # beyond float32 is infinity, below it is zero
            values = np.frombuffer(packed, "f8").astype("<f4")
        # Every byte starts one window of four bytes, so the place of a value is its index.
        np.ndarray((len(summary) - 3,), "<f4", summary, 0, (1,))[self._places] = values
        at = b"\x09" + _DOUBLE.pack(wall_time) if wall_time else b""
        when = b"\x10" + varint(step & 0xFFFF_FFFF_FFFF_FFFF) if step else b""
        return frame(b"".join((at, when, self._head, summary)))
