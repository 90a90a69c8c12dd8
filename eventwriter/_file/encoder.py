"""The encoder that turns a batch of rows into records, all at once.

Nearly all bytes of a scalar's record are those of its template: see `templates`. A batch is its
templates joined. numpy writes the fields over them, and corrects the checksums for the fields
alone: see `crc32c`. No Python code runs for a single scalar, whatever the mix of tags and steps.
A record of many values is long, and gets its checksum from the C package.

The plain path is `records.scalars.scalars_event`, protobuf and `frame`. Tests prove that both
paths give the same bytes, record by record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eventwriter._file.crc32c import byte_table, crc32c, mask_rows
from eventwriter._file.framing import FOOTER, HEADER, OVERHEAD
from eventwriter._file.rows import ROW_DTYPE, value_places
from eventwriter._file.templates import STEP_AT, WALL_TIME_AT, Templates, distinct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from numpy.typing import NDArray


class Encoder:
    """Encodes the rows of one file. The owner's lock covers `encode`.

    Attributes:
        templates: The templates that the rows name.
    """

    def __init__(self) -> None:
        self.templates = Templates()

    def encode(
        self, block: bytes | bytearray, others: Mapping[int, bytes | bytearray]
    ) -> bytearray:
        """Return the records of a block of rows, framed, in the order of the rows.

        Args:
            block: The rows of whole records.
            others: For every marker row, by its key: its framed records, of which there may be
                none, one or several.
        """
        rows = np.frombuffer(block, ROW_DTYPE)
        if (rows["template_id"] > 0).all():
            return self._encode_scalars(rows)
        firsts = np.flatnonzero(rows["template_id"])  # the first row of each record
        records = rows[firsts]
        ids = np.maximum(records["template_id"], 0)
        tables, slots, widths = self.templates.look_up(ids, records["step"])
        sizes = tables.sizes[slots]
        pieces: list[bytes | bytearray] = list(map(tables.framed.__getitem__, slots.tolist()))
        for at in np.flatnonzero(ids == 0).tolist():
            pieces[at] = others[int(records["step"][at])]
            sizes[at] = len(pieces[at])
        out = bytearray().join(pieces)
        ends = np.cumsum(sizes)
        counts = tables.counts[slots]
        scalars = np.flatnonzero(counts == 1)
        if len(scalars):
            layout = _Varied(out, ends[scalars], sizes[scalars])
            _fill_varied(layout, records[scalars], widths[scalars], tables.crcs[slots[scalars]])
        groups = np.flatnonzero(counts > 1)
        if len(groups):
            places = [self.templates.bodies[number].places for number in ids[groups].tolist()]
            layout = _Varied(out, ends[groups], sizes[groups])
            values = _values(block, firsts[groups], counts[groups])
            layout.write_many(counts[groups], np.concatenate(places), values)
            _fill_times(layout, records[groups], widths[groups])
            layout.write_checksums()
        return out

    def _encode_scalars(self, rows: NDArray[Any]) -> bytearray:
        """Return the framed records of rows that are all records of one value."""
        tables, slots, widths = self.templates.look_up(rows["template_id"], rows["step"])
        crcs = tables.crcs[slots]
        if len(rows) and (slots == slots[0]).all():
            template = tables.framed[int(slots[0])]
            out = bytearray(template) * len(rows)
            _fill(_Equal(out, len(template)), rows, int(widths[0]), crcs)
            return out
        out = bytearray().join(map(tables.framed.__getitem__, slots.tolist()))
        sizes = tables.sizes[slots]
        _fill_varied(_Varied(out, np.cumsum(sizes), sizes), rows, widths, crcs)
        return out


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
        self._ends, self._sizes = ends, sizes
        self._payload_ends = ends - FOOTER.size
        self._payloads = self._payload_ends - (sizes - OVERHEAD)
        self._first = (sizes - (OVERHEAD + 1)) << 8

    def part(self, these: Any) -> _Varied:
        """Return the places of some of the records. `these` is an index of an array of them."""
        return _Varied(self._out, self._ends[these], self._sizes[these])

    def write(self, offset: int, values: NDArray[Any]) -> None:
        """Write `values[i]` at this offset of payload i."""
        self._write_at(self._payloads + offset, values)

    def write_from_end(self, offset: int, values: NDArray[Any]) -> None:
        """Write `values[i]` at this offset from the end of payload i."""
        self._write_at(self._payload_ends + offset, values)

    def write_many(
        self, counts: NDArray[np.int64], offsets: NDArray[np.int64], values: NDArray[Any]
    ) -> None:
        """Write `counts[i]` values into payload i, each at its own offset from the end."""
        self._write_at(np.repeat(self._payload_ends, counts) + offsets, values)

    def write_checksums(self) -> None:
        """Write the checksum of each payload behind it."""
        view = memoryview(self._out)
        bounds = zip(self._payloads.tolist(), self._payload_ends.tolist(), strict=True)
        crcs = np.array([crc32c(view[start:end]) for start, end in bounds], np.uint32)
        self.write_from_end(0, mask_rows(crcs).astype("<u4"))

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


def _fill_varied(
    layout: _Varied, rows: NDArray[Any], widths: NDArray[np.int64], crcs: NDArray[np.uint32]
) -> None:
    """Write the fields and the checksums of records of one value, each with its own width."""
    for width, these in _by_width(widths):
        _fill(layout.part(these), rows[these], width, crcs[these])


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
    layout.write(WALL_TIME_AT, wall_times)
    for byte, column in enumerate(wall_times.view(np.uint8).reshape(-1, 8).T):
        crcs ^= layout.change(WALL_TIME_AT + byte, column)

    for byte, column in enumerate(_varints(rows["step"], width)):
        layout.write(STEP_AT + byte, column)
        crcs ^= layout.change(STEP_AT + byte, column)

    values = _to_float32(rows["value"])
    layout.write_from_end(-4, values)
    for byte, column in enumerate(values.view(np.uint8).reshape(-1, 4).T):
        crcs ^= _change(3 - byte, column)

    layout.write_from_end(0, mask_rows(crcs).astype("<u4"))


def _fill_times(layout: _Varied, records: NDArray[Any], widths: NDArray[np.int64]) -> None:
    """Write the wall times and the steps of records, without their checksums."""
    layout.write(WALL_TIME_AT, records["wall_time"].astype("<f8"))
    for width, these in _by_width(widths):
        some = layout.part(these)
        for byte, column in enumerate(_varints(records["step"][these], width)):
            some.write(STEP_AT + byte, column)


def _by_width(widths: NDArray[np.int64]) -> Iterator[tuple[int, Any]]:
    """Yield each width of a step, and what selects its records: an index of any array of them."""
    found = distinct(widths)
    if len(found) == 1:
        yield found[0], slice(None)  # the common case, which needs no copies
        return
    for width in found:
        yield width, np.flatnonzero(widths == width)


def _varints(steps: NDArray[np.int64], width: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the bytes of the varints of steps that take `width` bytes: the first, the second..."""
    unsigned = steps.astype(np.uint64)
    for byte in range(width):
        column = (unsigned >> np.uint64(7 * byte)).astype(np.uint8)
        if byte < width - 1:
            column |= np.uint8(0x80)
        else:
            column &= np.uint8(0x7F)
        yield column


def _values(
    block: bytes | bytearray, firsts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[Any]:
    """Return all values of records of many values, one record after the other, as float32.

    Args:
        block: The rows.
        firsts: `[n]`, the place of each record's first row.
        counts: `[n]`, how many values each record has.
    """
    ends = np.cumsum(counts)
    within = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    fields = np.repeat(4 * firsts, counts) + value_places(int(counts.max()))[within]
    return _to_float32(np.frombuffer(block, "f8")[fields])


def _to_float32(values: NDArray[np.float64]) -> NDArray[Any]:
    with np.errstate(all="ignore"):  # too large for float32 is infinity, too small is zero
        return values.astype("<f4")
