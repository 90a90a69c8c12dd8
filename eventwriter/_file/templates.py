"""Templates: the framed event of a tag, or of a group of tags, whose variable fields are zero.

In the event of a scalar, as protobuf writes it, everything but three fields is constant:

    09 wall_time:8   10 step:varint   2a n ┌ 0a n   0a n tag   15 value:4            ┐ for each tag
    └ Event.1        └ Event.2        │    └ │      └ Value.1  └ Value.2 simple_value ┘
      (double)         (left out      │      └ Summary.1 value   (float32)
                       when zero)     └ Event.5 summary

A varint has 1 to 10 bytes of 7 bits each, the lowest first. The top bit is set in all bytes but
the last. A negative step is written as its two's complement and takes 10 bytes. So there is one
template for each tag, or group of tags, and each width of the step, from 0 to 10.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from eventwriter._file.crc32c import MAX_DISTANCE, crc32c
from eventwriter._file.framing import FOOTER, OVERHEAD, header

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

WALL_TIME_AT = 1
"""The offset of the wall time in the payload."""

STEP_AT = 10
"""The offset of the step in the payload."""

_WIDTHS = 11
# A step that is, as an unsigned number, at or above the n-th entry takes more than n bytes.
_WIDTH_STARTS = np.array([1, *(1 << 7 * n for n in range(1, 10))], np.uint64)

_LONGEST_SCALAR = MAX_DISTANCE - (STEP_AT + 10)
"""The longest part after the step that the tables of `crc32c` reach over."""

_MOST_VALUES = 10_000  # of one template: its rows fit into one batch
_GROUPS_BYTES = 4 << 20  # of the templates of all groups, for one width of the step


class Body:
    """What follows the step in a template.

    Attributes:
        content: The bytes.
        places: int64 `[n]`, the offset of each value, counted from the end of the payload.
    """

    def __init__(self, content: bytes, places: NDArray[np.int64]) -> None:
        self.content = content
        self.places = places


class Tables:
    """What the encoder looks up by slot: template_id * 11 + width of the step.

    A slot is filled at first use. The slots below 11 stay empty: no template has the id 0.

    Attributes:
        framed: The templates, framed, with zeros in place of the last checksum.
        sizes: int64, the size of each. It is 0 until the template is made.
        crcs: uint32, the checksum of each payload.
        counts: int64, the number of values in each.
    """

    def __init__(
        self,
        framed: list[bytes],
        sizes: NDArray[np.int64],
        crcs: NDArray[np.uint32],
        counts: NDArray[np.int64],
    ) -> None:
        self.framed = framed
        self.sizes = sizes
        self.crcs = crcs
        self.counts = counts


class Templates:
    """The templates of one file.

    Any thread may call `register` at any time. The owner's lock covers the other methods. A signal
    handler may encode while its own thread encodes.

    Attributes:
        bodies: What follows the step, by the template's id.
    """

    def __init__(self) -> None:
        self._ids: dict[tuple[str, ...], int] = {}
        self._new_ids = itertools.count(1)
        self._groups_size = 0
        self.bodies: dict[int, Body] = {}
        self._tables = Tables([], np.zeros(0, np.int64), np.zeros(0, np.uint32), np.zeros(0, int))

    def register(self, tags: tuple[str, ...]) -> int | None:
        """Return the id of the template of one tag, or of many tags in one event.

        Returns:
            None where a record has to be encoded on its own. One tag has to be shorter than about
            480 bytes of UTF-8, many have to be fewer than 10,000, and all groups together have to
            be smaller than 4 MiB.
        """
        known = self._ids.get(tags)
        if known is not None:
            return known
        body = _body(tags)
        if len(tags) == 1:
            if len(body.content) > _LONGEST_SCALAR:
                return None
        else:
            size = self._groups_size + len(body.content)
            if len(tags) > _MOST_VALUES or size > _GROUPS_BYTES:
                return None
            self._groups_size = size
        template_id = next(self._new_ids)
        self.bodies[template_id] = body
        self._ids[tags] = template_id
        return template_id

    def look_up(
        self, template_ids: NDArray[np.int64], steps: NDArray[np.int64]
    ) -> tuple[Tables, NDArray[np.int64], NDArray[np.int64]]:
        """Return the tables, and for each record its slot and the width of its step.

        Args:
            template_ids: `[n]`. 0 stands for a record that has no template. Its slot is empty.
            steps: `[n]`.
        """
        widths = np.searchsorted(_WIDTH_STARTS, steps.astype(np.uint64), side="right")
        slots = template_ids * _WIDTHS + widths
        tables = self._tables
        room = int(slots.max(initial=0)) + 1
        if room > len(tables.framed):
            tables = _larger(tables, room)
        missing = slots[tables.sizes[slots] == 0]
        if missing.any():
            for slot in distinct(missing):
                if slot >= _WIDTHS:
                    self._make(tables, slot)
        # All tables change in one operation. A signal handler may have replaced them meanwhile:
        # what it made is then made again.
        self._tables = tables
        return tables, slots, widths

    def _make(self, tables: Tables, slot: int) -> None:
        template_id, width = divmod(slot, _WIDTHS)
        body = self.bodies[template_id]
        step = b"\x10" + bytes(width) if width else b""
        payload = b"\x09" + bytes(8) + step + body.content
        tables.framed[slot] = header(len(payload)) + payload + bytes(FOOTER.size)
        tables.crcs[slot] = crc32c(payload)
        tables.counts[slot] = len(body.places)
        # The size comes last, because it says that the template is made. An interrupt may come
        # before it.
        tables.sizes[slot] = len(payload) + OVERHEAD


def _body(tags: tuple[str, ...]) -> Body:
    summary = bytearray()
    ends = []
    for tag in tags:
        name = tag.encode()
        value = b"\x0a" + varint(len(name)) + name + b"\x15" + bytes(4)
        summary += b"\x0a" + varint(len(value)) + value
        ends.append(len(summary))
    content = b"\x2a" + varint(len(summary)) + summary
    return Body(content, np.array(ends) - 4 - len(summary))


def _larger(tables: Tables, room: int) -> Tables:
    room = max(room, 2 * len(tables.framed), 64 * _WIDTHS)
    more = room - len(tables.framed)

    def grown(table: NDArray[Any]) -> NDArray[Any]:
        return np.append(table, np.zeros(more, table.dtype))

    framed = tables.framed + [b""] * more
    return Tables(framed, grown(tables.sizes), grown(tables.crcs), grown(tables.counts))


def varint(number: int) -> bytes:
    """Return a non-negative `number` as a protobuf varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def distinct(numbers: NDArray[np.int64]) -> list[int]:
    """Return each number once, in order.

    np.unique would import numpy.ma at its first call, in the background thread. A fork at that
    moment would leave the child with an import lock that is never released.
    """
    return sorted(set(numbers.tolist()))
