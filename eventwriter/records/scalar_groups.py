"""Many scalars in one event: what `SummaryWriter.log` writes.

A training loop logs the same names at every step. So the event of a set of names is made
once as a template, in which the values are zero, and each call fills in its own:

    09 wall_time:8   10 step:varint   2a n  ┌ 0a n  0a n tag  15 value:4 ┐ for each name
                                            └ Summary.Value              ┘

The bytes are those of protobuf; `records.scalar` is the plain path.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._file.framing import frame
from eventwriter._file.scalar_rows import varint
from eventwriter._values import arguments
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DOUBLE = struct.Struct("<d")


class ScalarGroup:
    """The template for one set of tags, in one order.

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
        self.pack = struct.Struct(f"={len(places)}d").pack
        """Packs the values, and refuses what is no number: the call's snapshot."""

    def encode(self, wall_time: float, step: int, packed: bytes | Callable[[], bytes]) -> bytes:
        """Return the framed event of values that `pack` packed, or that a function fetches."""
        if callable(packed):
            packed = packed()
        summary = bytearray(self._summary)
        with np.errstate(all="ignore"):  # beyond float32 is infinity, below it is zero
            values = np.frombuffer(packed, "f8").astype("<f4")
        # Every byte starts one window, so that a byte's place is its index.
        np.ndarray((len(summary) - 3,), "<f4", summary, 0, (1,))[self._places] = values
        at = b"\x09" + _DOUBLE.pack(wall_time) if wall_time else b""
        when = b"\x10" + varint(step & 0xFFFF_FFFF_FFFF_FFFF) if step else b""
        return frame(b"".join((at, when, self._head, summary)))


def flatten(metrics: Any) -> dict[str, float | Callable[[], float]]:
    """Return nested metrics as one dict of tags and numbers."""
    flat: dict[str, float | Callable[[], float]] = {}

    def visit(level: Any, prefix: str) -> None:
        if not isinstance(level, Mapping):
            raise ArgumentTypeError(
                f"log: expected metrics to be a dict of names and numbers, "
                f"got {type(level).__name__}."
            )
        for name, value in level.items():
            tag = prefix + arguments.tag(name, f"log, below {prefix!r}" if prefix else "log")
            if isinstance(value, Mapping):
                visit(value, f"{tag}/")
            elif tag in flat:
                raise ArgumentValueError(f"log: {tag!r} comes twice, as a name and nested.")
            else:
                flat[tag] = arguments.scalar(value, f"log: the value of {tag!r}")

    visit(metrics, "")
    return flat
