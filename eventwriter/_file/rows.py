"""Rows: the memory that scalars wait in until a batch of them is encoded.

A call appends one row of 32 bytes and pays for nothing else:

    ┌───────────────────┬──────────────┬───────────────────┬───────────────────┐
    │ wall_time float64 │ step int64   │ template_id int64 │ value float64     │
    └───────────────────┴──────────────┴───────────────────┴───────────────────┘

The template stands for everything in the record but these fields: see `templates`. `log` writes
many values into one record. Then the first value is in this row, and the others are in rows that
follow it, three in each. Unused fields are zero:

    ┌───────────────────┬───────────────┬───────────────────┬───────────────────┐
    │ value float64     │ value float64 │ 0 int64           │ value float64     │
    └───────────────────┴───────────────┴───────────────────┴───────────────────┘

So the template_id tells what a row is: above 0 it begins a record, 0 has further values of the
record before it, and -1 (MARKER) says that the record lies elsewhere, under the key in
`step`. Rows and records of every other kind keep one order.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW = struct.Struct("=dqqd")
"""wall_time, step, template_id, value. `pack` refuses what is no number, and steps beyond int64."""

MARKER = -1

ROW_DTYPE = np.dtype([("wall_time", "f8"), ("step", "i8"), ("template_id", "i8"), ("value", "f8")])


def record_struct(values: int) -> struct.Struct:
    """Return what packs all rows of a record: wall_time, step, template_id, and its values."""
    whole, rest = divmod(values - 1, 3)
    return struct.Struct("=dqqd" + "dd8xd" * whole + ("", "d24x", "dd16x")[rest])


def value_places(values: int) -> NDArray[np.int64]:
    """Return where the values of a record are, as indexes of 8-byte fields: 3, 4, 5, 7, 8, 9, 11.

    Index 0 is the first field of the record's first row.
    """
    row, field = np.divmod(np.arange(2, values + 2), 3)
    places: NDArray[np.int64] = 4 * row + np.array((0, 1, 3))[field]
    return places


def pack_rows(
    template_id: int,
    wall_times: NDArray[np.float64],
    steps: NDArray[np.int64],
    values: NDArray[np.float64],
) -> bytes:
    """Return the rows of records of one template and one value each. The arrays have one length."""
    rows = np.empty(len(values), ROW_DTYPE)
    rows["wall_time"], rows["step"], rows["value"] = wall_times, steps, values
    rows["template_id"] = template_id
    return rows.tobytes()


def template_ids(block: bytes | bytearray) -> NDArray[np.int64]:
    """Return the template_id of each row of a block. The array is a view of the block."""
    ids: NDArray[np.int64] = np.frombuffer(block, ROW_DTYPE)["template_id"]
    return ids


def whole_rows(block: bytes | bytearray, most: int) -> int:
    """Return how many rows of a block to take: `most` at most, and no record in part."""
    ids = template_ids(block)
    if len(ids) <= most:
        return len(ids)
    return int(np.flatnonzero(ids[: most + 1])[-1])


def markers(block: bytes | bytearray) -> list[tuple[int, int]]:
    """Return the place among the rows, and the key, of each marker row in a block."""
    places = np.flatnonzero(template_ids(block) == MARKER)
    keys = np.frombuffer(block, ROW_DTYPE)["step"][places]
    return list(zip(places.tolist(), keys.tolist(), strict=True))


def count_records(block: bytes | bytearray) -> int:
    """Return how many records begin in a block."""
    return int(np.count_nonzero(template_ids(block)))
