"""The queue of records that were logged and are not yet encoded. It holds every kind of record.

Scalars are rows of a bytearray (see `rows`). Any other record lies in a dict, and a marker row in
the bytearray holds its place. So the bytearray keeps the order of all calls of all threads.
Callers take no lock: to append the rows of a record is one operation of the interpreter, which no
other thread can split.

A bytearray is copied when it grows, by the thread that appends. So where the background thread
lags behind, it sets many rows aside as a block, and `rows` stays short.

Rows are removed in two steps, because an interrupt (Ctrl-C in the caller's thread) may come
between any two operations. `encode` reads the first rows and changes nothing. `commit` hands
their bytes to the next owner and removes the rows, both in one operation.
"""

from __future__ import annotations

import itertools
import operator
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple

from eventwriter._file.encoder import Encoder
from eventwriter._file.guard import Guard
from eventwriter._file.rows import MARKER, ROW, count_records, markers, whole_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    Encoded: TypeAlias = bytes | bytearray
    Record: TypeAlias = Encoded | Callable[[], Encoded]
    # A struct's `pack`, and the template's id for its third argument.
    Packer: TypeAlias = tuple[Callable[..., bytes], int]

_END = slice(sys.maxsize, None)
"""To assign to this slice of a list or a bytearray appends."""

# Limits of one batch. A batch and the encoder's arrays fit into the second-level cache of a core.
# A caller who waits for another thread's batch waits for about a millisecond.
_BATCH_ROWS = 4096
_BATCH_BYTES = 256 << 10

_LONG_ROWS_BYTES = 1 << 20
"""Rows of more bytes than this are set aside."""

_ENTRY_BYTES = 192
"""What the dict and the objects around the bytes of a record take, as measured."""


class Batch(NamedTuple):
    """Encoded records that will be written together.

    Attributes:
        start: The place of the first byte in the file.
        encoded: The framed records.
        rows: The number of rows that they came from.
        records: The number of records.
        keys: The keys of those that came from the dict.
    """

    start: int
    encoded: Encoded
    rows: int
    records: int
    keys: Sequence[int]

    @property
    def end(self) -> int:
        """The place of the byte after the last, in the file."""
        return self.start + len(self.encoded)


class Pending:
    """The queue of one file.

    Attributes:
        rows: The rows that came last. The hot paths of `add_scalar` and `log` append to them.
        tag_ids: The template of each tag that the hot path of `add_scalar` may use.
        packers: What packs the rows of each set of names that the hot path of `log` may use.
        encoder: Turns rows into records.
    """

    def __init__(self) -> None:
        self.rows = bytearray()
        self._aside: list[bytearray] = []  # older rows, oldest first
        self.tag_ids: dict[str, int] = {}
        self.packers: dict[tuple[str, ...], Packer] = {}
        self.encoder = Encoder()
        self._others: dict[int, tuple[Record, int, int]] = {}
        self._keys = itertools.count()
        self._others_size = 0
        self._others_records = 0
        self._size_guard = Guard()

    def __len__(self) -> int:
        """Return how many records wait."""
        size = _BATCH_ROWS * ROW.size
        # In slices: no thread can append while numpy looks at the bytearray itself.
        records = sum(
            count_records(block[start : start + size])
            for block in (*self._aside, self.rows)
            for start in range(0, len(block), size)
        )
        return records - len(self._others) + self._others_records

    @property
    def row_bytes(self) -> int:
        """Rows that wait, in bytes."""
        return len(self.rows) + (sum(map(len, self._aside)) if self._aside else 0)

    @property
    def nbytes(self) -> int:
        """Memory that waits to be written, in bytes."""
        return self.row_bytes + self._others_size

    def close_hot_paths(self) -> None:
        """Send every caller to the slow path.

        The slow path knows whether the file was closed, the process forked, or memory is full.
        """
        self.tag_ids.clear()
        self.packers.clear()

    def put(self, record: Record, nbytes: int, count: int) -> None:
        """Append a record that is not a row.

        Args:
            record: Framed records, or a function that returns them when their turn comes.
            nbytes: The memory that it holds until then, in bytes, without its place in the queue.
            count: The number of records.
        """
        key = next(self._keys)
        nbytes += _ENTRY_BYTES
        # No call is made under this lock: a signal handler could run within the call, flush, and
        # wait for a thread that waits for this lock.
        with self._size_guard.lock:
            self._others_size += nbytes
            self._others_records += count
        row = ROW.pack(0.0, key, MARKER, 0.0)
        targets: tuple[Any, ...] = (self._others, self.rows)
        # The record and its row come in one operation: see `_move`.
        list(map(operator.setitem, targets, (key, _END), ((record, nbytes, count), row)))

    def count_anew(self) -> None:
        """Count the records of the dict. An interrupt in `put` or `forget` leaves a wrong count."""
        waiting = list(self._others.values())
        size = sum(nbytes for _, nbytes, _ in waiting)
        records = sum(count for _, _, count in waiting)
        with self._size_guard.lock:
            self._others_size = size
            self._others_records = records

    def encode(
        self, start: int, lost: Callable[[BaseException, int], None], *, skipped_rows: int = 0
    ) -> Batch:
        """Return the first rows as records. Nothing is removed.

        Args:
            start: The place in the file where they begin.
            lost: Is called for every function that raised, with the exception and the number of
                records. Those records are left out.
            skipped_rows: How many rows to skip before the first.
        """
        begin = skipped_rows * ROW.size
        for source in (*self._aside, self.rows):
            if begin < len(source):
                break
            begin -= len(source)
        block = source[begin : begin + (_BATCH_ROWS + 1) * ROW.size]
        rows = whole_rows(block, _BATCH_ROWS)
        others: dict[int, Encoded] = {}
        size = records = 0
        for place, key in markers(block):
            if place >= rows:
                break
            others[key] = self._resolve(key, lost)
            records += self._others[key][2]
            size += len(others[key])
            if size > _BATCH_BYTES:
                rows = place + 1
        del block[rows * ROW.size :]
        encoded = self.encoder.encode(block, others)
        records += count_records(block) - len(others)
        return Batch(start, encoded, rows, records, list(others))

    def _resolve(self, key: int, lost: Callable[[BaseException, int], None]) -> Encoded:
        """Return a record of the dict. Its function is called once, even after an interrupt."""
        record, nbytes, count = self._others[key]
        if callable(record):
            try:
                record = record()
            except BaseException as error:
                # Ctrl-C in the main thread is not the function's. Anything else is: SystemExit too
                # must not end the background thread, or a flush.
                main = threading.current_thread() is threading.main_thread()
                if isinstance(error, KeyboardInterrupt) and main:
                    raise
                lost(error, count)
                record = b""
            self._others[key] = (record, nbytes, count)
        return record

    def commit(self, batch: Batch, owned: list[Batch]) -> None:
        """Append the batch to `owned` and remove its rows, in one operation."""
        source = self._aside[0] if self._aside else self.rows
        _move(batch, batch.rows * ROW.size, source, owned)

    def set_aside(self) -> int:
        """Set the rows aside where there are many. Return how many bytes these were.

        Call this before `encode`: it also drops blocks of which all rows were removed.
        """
        while self._aside and not self._aside[0]:
            del self._aside[0]
        size = len(self.rows)
        if size <= _LONG_ROWS_BYTES:
            return 0
        _move(self.rows[:size], size, self.rows, self._aside)
        return size

    def forget(self, keys: Sequence[int]) -> None:
        """Remove records that were committed from the dict. To do so twice does no harm."""
        found = [self._others.pop(key, None) for key in keys]
        removed = [record for record in found if record is not None]
        nbytes = sum(nbytes for _, nbytes, _ in removed)
        count = sum(count for _, _, count in removed)
        with self._size_guard.lock:
            self._others_size -= nbytes
            self._others_records -= count


def _move(entry: Any, nbytes: int, source: bytearray, target: list[Any]) -> None:
    """Append an entry to a list and remove the bytes that it stands for, in one operation."""
    targets: tuple[Any, ...] = (target, source)
    # One call of a C function that calls only C functions: no signal handler runs in between.
    list(map(operator.setitem, targets, (_END, slice(0, nbytes)), ((entry,), b"")))
