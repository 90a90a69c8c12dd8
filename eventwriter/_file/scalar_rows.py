"""Rows in which scalars wait, and the encoder that turns a batch of rows into records.

A call appends one row of 32 bytes and pays for nothing else:

    ┌───────────────────┬───────────────┬─────────────────┬────────────────┐
    │ wall_time float64 │ step int64    │ value float64   │ tag_id int64   │
    └───────────────────┴───────────────┴─────────────────┴────────────────┘

A tag_id below zero (MARKER) says that the record lies elsewhere, under the key in `step`. So rows
and records of every other kind keep one order.

Later a batch of rows becomes records. In the event of a scalar, as protobuf writes it, everything
but three fields is constant for a tag:

    09 wall_time:8   10 step:varint   2a n 0a n   0a n tag   15 value:4
    └ Event.1        └ Event.2        │    │      └ Value.1  └ Value.2 simple_value, float32
      (double)         (left out      │    └ Summary.1 value
                       when zero)     └ Event.5 summary

A varint has 1 to 10 bytes of 7 bits each, the lowest first. The top bit is set in all bytes but
the last. A negative step is written as its two's complement and takes 10 bytes. So there is one
framed template for each tag and each width of the step, from 0 to 10. A batch is its templates
joined. numpy writes the fields over them, and corrects the checksums for the fields alone (see
`crc32c`). No Python code runs for a single record, whatever the mix of tags and steps.

The plain path is `records.scalars.scalars_event`, protobuf and `frame`. Tests prove that both
paths give the same bytes, record by record.
"""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING

import numpy as np

from eventwriter._file.crc32c import MAX_DISTANCE, byte_table, crc32c, mask_rows
from eventwriter._file.framing import FOOTER, HEADER, OVERHEAD, header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

ROW = struct.Struct("=dqdq")
"""wall_time, step, value, tag_id. `pack` refuses what is no number, and steps beyond int64."""

MARKER = -1
"""The tag_id of a row whose record lies under the key in its step field."""

_ROW_DTYPE = np.dtype([("wall_time", "f8"), ("step", "i8"), ("value", "f8"), ("tag_id", "i8")])

_WIDTHS = 11
# A step that is, as an unsigned number, at or above the n-th entry takes more than n bytes.
_WIDTH_STARTS = np.array([1, *(1 << 7 * n for n in range(1, 10))], np.uint64)

_WALL_TIME_AT = 1
_STEP_AT = 10
_LONGEST_SUFFIX = MAX_DISTANCE - (_STEP_AT + 10)


def markers(block: bytes | bytearray) -> list[tuple[int, int]]:
    """Return the place among the rows, and the key, of each marker row in a block."""
    rows = np.frombuffer(block, _ROW_DTYPE)
    places = np.flatnonzero(rows["tag_id"] < 0)
    return list(zip(places.tolist(), rows["step"][places].tolist(), strict=True))


def varint(number: int) -> bytes:
    """Return a non-negative `number` as a protobuf varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class ScalarEncoder:
    """Templates of the tags of one file, and the encoder that fills them in.

    Any thread may call `register` at any time. The owner's lock covers the other methods.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._new_ids = itertools.count()
        self._suffixes: dict[int, bytes] = {}
        # One slot for each tag and width: slot = tag_id * 11 + width. It is filled at first use.
        self._templates: list[bytes] = []
        self._payload_sizes: NDArray[np.int64] = np.zeros(0, np.int64)
        self._payload_crcs: NDArray[np.uint32] = np.zeros(0, np.uint32)

    def register(self, tag: str) -> int | None:
        """Return an id for `tag`, or None if the tag is too long for the tables.

        The limit is about 480 bytes of UTF-8. A longer tag takes the plain path.
        """
        known = self._ids.get(tag)
        if known is not None:
            return known
        name = tag.encode()
        value = b"\x0a" + varint(len(name)) + name + b"\x15" + bytes(4)
        summary = b"\x0a" + varint(len(value)) + value
        suffix = b"\x2a" + varint(len(summary)) + summary
        if len(suffix) > _LONGEST_SUFFIX:
            return None
        tag_id = next(self._new_ids)
        self._suffixes[tag_id] = suffix
        self._ids[tag] = tag_id
        return tag_id

    def encode(
        self, block: bytes | bytearray, others: Mapping[int, bytes | bytearray]
    ) -> bytes | bytearray:
        """Return the records of a block of rows, framed, in the order of the rows.

        Args:
            block: Whole rows, 32 bytes each.
            others: For every marker row, by its key: its framed records, of which there may be
                none, one or several.
        """
        rows = np.frombuffer(block, _ROW_DTYPE)
        is_scalar = rows["tag_id"] >= 0
        if is_scalar.all():
            return self._encode_scalars(rows)[0]
        # The scalars are encoded as one batch. The other records are then laid between them.
        encoded, sizes = self._encode_scalars(rows[is_scalar])
        ends = np.zeros(len(rows), np.int64)
        ends[is_scalar] = sizes
        ends = np.cumsum(ends)
        view = memoryview(encoded)
        pieces: list[bytes | bytearray | memoryview] = []
        done = 0
        for at in np.flatnonzero(~is_scalar).tolist():
            end = int(ends[at])
            pieces += (view[done:end], others[int(rows["step"][at])])
            done = end
        pieces.append(view[done:])
        return b"".join(pieces)

    def encode_series(
        self,
        tag_id: int,
        wall_times: NDArray[np.float64],
        steps: NDArray[np.int64],
        values: NDArray[np.float64],
    ) -> bytes | bytearray:
        """Return the framed records of one tag. The arrays have one length."""
        rows = np.empty(len(values), _ROW_DTYPE)
        rows["wall_time"], rows["step"], rows["value"] = wall_times, steps, values
        rows["tag_id"] = tag_id
        return self._encode_scalars(rows)[0]

    def _encode_scalars(self, rows: NDArray[Any]) -> tuple[bytearray, NDArray[np.int64]]:
        """Return the framed records of rows that are all scalars, and the size of each record."""
        slots, widths = self._slots(rows)
        sizes: NDArray[np.int64] = self._payload_sizes[slots] + OVERHEAD
        if not len(rows):
            return bytearray(), sizes
        crcs = self._payload_crcs[slots]
        first = int(slots[0])
        if (slots == first).all():
            template = self._templates[first]
            out = bytearray(template) * len(rows)
            _fill(_Equal(out, len(template)), rows, int(widths[0]), crcs)
            return out, sizes
        out = bytearray().join(map(self._templates.__getitem__, slots.tolist()))
        ends = np.cumsum(sizes)
        for width in _distinct(widths):
            these = np.flatnonzero(widths == width)
            if len(these) == len(rows):  # the common case, which needs no copies
                _fill(_Varied(out, ends, sizes), rows, width, crcs)
            else:
                _fill(_Varied(out, ends[these], sizes[these]), rows[these], width, crcs[these])
        return out, sizes

    def _slots(self, rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the slot of each row and the width of its step. Make missing templates."""
        widths = np.searchsorted(_WIDTH_STARTS, rows["step"].astype(np.uint64), side="right")
        slots = rows["tag_id"] * _WIDTHS + widths
        self._make_room(int(slots.max(initial=0)) + 1)
        missing = self._payload_sizes[slots] == 0
        if missing.any():
            for slot in _distinct(slots[missing]):
                self._make_template(slot)
        return slots, widths

    def _make_room(self, slots: int) -> None:
        if slots > len(self._payload_sizes):
            # A signal handler that flushes may have made more room within these lines.
            room = max(slots, 2 * len(self._payload_sizes), 64 * _WIDTHS, len(self._templates))
            # The sizes come last: after an interrupt before this line, room is made again.
            self._templates += [b""] * (room - len(self._templates))
            self._payload_crcs = np.append(
                self._payload_crcs, np.zeros(max(room - len(self._payload_crcs), 0), np.uint32)
            )
            self._payload_sizes = np.append(
                self._payload_sizes, np.zeros(max(room - len(self._payload_sizes), 0), np.int64)
            )

    def _make_template(self, slot: int) -> None:
        tag_id, width = divmod(slot, _WIDTHS)
        step = b"\x10" + bytes(width) if width else b""
        payload = b"\x09" + bytes(8) + step + self._suffixes[tag_id]
        self._templates[slot] = header(len(payload)) + payload + bytes(4)
        self._payload_crcs[slot] = crc32c(payload)
        # The size comes last, because it says that the template is made. An interrupt may come
        # before it.
        self._payload_sizes[slot] = len(payload)


def _distinct(numbers: NDArray[np.int64]) -> list[int]:
    """Return each number once, in order.

    np.unique would import numpy.ma at its first call, in the background thread. A fork at that
    moment would leave the child with an import lock that nobody releases.
    """
    return sorted(set(numbers.tolist()))


class _Equal:
    """The places of the fields when all records have one size."""

    def __init__(self, out: bytearray, size: int) -> None:
        self._out = out
        self._size = size
        self._payload_size = size - OVERHEAD

    def write(self, offset: int, values: NDArray[Any]) -> None:
        """Write `values[i]` at this offset of payload i."""
        self._write_at(HEADER.size + offset, values)

    def write_from_end(self, offset: int, values: NDArray[Any]) -> None:
        """Write `values[i]` at this offset from the end of payload i."""
        self._write_at(HEADER.size + self._payload_size + offset, values)

    def change(self, offset: int, column: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Return how the bytes `column[i]` at this offset of payload i change its checksum."""
        return _change(self._payload_size - 1 - offset, column)

    def _write_at(self, at: int, values: NDArray[Any]) -> None:
        np.ndarray(values.shape, values.dtype, self._out, at, (self._size,))[:] = values


class _Varied:
    """The places of the fields when records have different sizes."""

    def __init__(self, out: bytearray, ends: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        self._out = out
        self._payload_ends = ends - FOOTER.size
        self._payloads = self._payload_ends - (sizes - OVERHEAD)
        self._first = (sizes - (OVERHEAD + 1)) << 8

    def write(self, offset: int, values: NDArray[Any]) -> None:
        """Write `values[i]` at this offset of payload i."""
        self._write_at(self._payloads + offset, values)

    def write_from_end(self, offset: int, values: NDArray[Any]) -> None:
        """Write `values[i]` at this offset from the end of payload i."""
        self._write_at(self._payload_ends + offset, values)

    def change(self, offset: int, column: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Return how the bytes `column[i]` at this offset of payload i change its checksum."""
        return byte_table().take(self._first - (offset << 8) + column)

    def _write_at(self, at: NDArray[np.int64], values: NDArray[Any]) -> None:
        # One window begins at every byte of the output, so that a place is an index.
        windows = len(self._out) - values.itemsize + 1
        np.ndarray((windows,), values.dtype, self._out, 0, (1,))[at] = values


def _change(distance: int, column: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return how the bytes `column[i]`, which `distance` bytes follow, change each checksum."""
    return byte_table()[distance << 8 : (distance + 1) << 8].take(column)


def _fill(
    layout: _Equal | _Varied, rows: NDArray[Any], width: int, crcs: NDArray[np.uint32]
) -> None:
    """Write the fields and the checksums of rows whose steps take `width` bytes.

    Args:
        layout: The places of the fields.
        rows: `[n]` rows.
        width: Varint bytes of each step, 0 to 10.
        crcs: uint32 `[n]`, the checksums of the templates. They are changed in place.
    """
    wall_times = rows["wall_time"].astype("<f8")
    layout.write(_WALL_TIME_AT, wall_times)
    for byte, column in enumerate(wall_times.view(np.uint8).reshape(-1, 8).T):
        crcs ^= layout.change(_WALL_TIME_AT + byte, column)

    steps = rows["step"].astype(np.uint64)
    for byte in range(width):
        column = (steps >> np.uint64(7 * byte)).astype(np.uint8)
        if byte < width - 1:
            column |= np.uint8(0x80)
        else:
            column &= np.uint8(0x7F)
        layout.write(_STEP_AT + byte, column)
        crcs ^= layout.change(_STEP_AT + byte, column)

    with np.errstate(all="ignore"):  # too large for float32 is infinity, too small is zero
        values = rows["value"].astype("<f4")
    layout.write_from_end(-4, values)
    for byte, column in enumerate(values.view(np.uint8).reshape(-1, 4).T):
        crcs ^= _change(3 - byte, column)

    layout.write_from_end(0, mask_rows(crcs).astype("<u4"))
