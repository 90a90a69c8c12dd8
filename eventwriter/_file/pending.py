"""The queue of records that were logged and are not yet encoded. It holds every kind of record.

A scalar is a row of a bytearray (see `scalar_rows`). Any other record lies in a dict, and a marker
row in the bytearray holds its place. So the bytearray keeps the order of all calls of all threads.
Callers take no lock: to append a row is one operation of the interpreter, which no other thread
can split.

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

from eventwriter._file.guard import Guard
from eventwriter._file.scalar_rows import MARKER, ROW, ScalarEncoder, markers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    Encoded: TypeAlias = bytes | bytearray
    Record: TypeAlias = Encoded | Callable[[], Encoded]

_END = slice(sys.maxsize, None)
"""To assign to this slice of a list or a bytearray appends."""

# Limits of one batch. A batch and the encoder's arrays fit into the second-level cache of a core.
# A caller who waits for another thread's batch waits for about a millisecond.
_BATCH_ROWS = 4096
_BATCH_BYTES = 256 << 10


class Batch(NamedTuple):
    """Encoded records that will be written together.

    Attributes:
        start: The place of the first byte in the file.
        encoded: The framed records.
        rows: The number of rows that they came from.
        records: The number of records. A row may be several records: a piece of a curve.
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
        rows: The rows. The hot path of `SummaryWriter.add_scalar` appends to them.
        tag_ids: The ids of the tags that the hot path may use. When it is emptied, every caller
            takes the slow path, which knows whether the file was closed, the process forked, or
            memory is full.
        encoder: Turns rows into records.
    """

    def __init__(self) -> None:
        self.rows = bytearray()
        self.tag_ids: dict[str, int] = {}
        self.encoder = ScalarEncoder()
        self._others: dict[int, tuple[Record, int, int]] = {}
        self._keys = itertools.count()
        self._others_size = 0
        self._others_records = 0
        self._size_guard = Guard()

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self.rows) // ROW.size - len(self._others) + self._others_records

    @property
    def nbytes(self) -> int:
        """Memory that waits to be written, in bytes."""
        return len(self.rows) + self._others_size

    def put(self, record: Record, nbytes: int, count: int) -> None:
        """Append a record that is not a row.

        Args:
            record: Framed records, or a function that returns them when their turn comes.
            nbytes: The memory that it holds until then.
            count: The number of records.
        """
        key = next(self._keys)
        # No call is made under this lock: a signal handler could run within the call, flush, and
        # wait for a thread that waits for this lock.
        with self._size_guard.lock:
            self._others_size += nbytes
            self._others_records += count
        row = ROW.pack(0.0, key, 0.0, MARKER)
        targets: tuple[Any, ...] = (self._others, self.rows)
        # The record and its row come in one operation: see `commit`.
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
        block = self.rows[begin : begin + _BATCH_ROWS * ROW.size]
        others: dict[int, Encoded] = {}
        size = records = 0
        for place, key in markers(block):
            others[key] = self._resolve(key, lost)
            records += self._others[key][2]
            size += len(others[key])
            if size > _BATCH_BYTES:
                del block[(place + 1) * ROW.size :]
                break
        encoded = self.encoder.encode(block, others)
        rows = len(block) // ROW.size
        return Batch(start, encoded, rows, rows - len(others) + records, list(others))

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
        taken = slice(0, batch.rows * ROW.size)
        targets: tuple[Any, ...] = (owned, self.rows)
        # One call of a C function that calls only C functions: no signal handler runs in between.
        list(map(operator.setitem, targets, (_END, taken), ((batch,), b"")))

    def forget(self, keys: Sequence[int]) -> None:
        """Remove records that were committed from the dict. To do so twice does no harm."""
        found = [self._others.pop(key, None) for key in keys]
        removed = [record for record in found if record is not None]
        nbytes = sum(nbytes for _, nbytes, _ in removed)
        count = sum(count for _, _, count in removed)
        with self._size_guard.lock:
            self._others_size -= nbytes
            self._others_records -= count
