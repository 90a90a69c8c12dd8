"""What was logged and is not yet encoded: one queue for records of every kind.

A scalar is a row (see `_scalars`). Any other record lies in a dict, and a marker row holds its
place; so one bytearray has the order of all calls, in every thread. Appending to it is one
operation of the interpreter, which no other thread can split: callers take no lock.

Taking is split in two, because an interrupt (Ctrl-C in the caller's thread) may come between
any two operations: `encode` reads the first rows and changes nothing; `commit` hands their
bytes to their next owner and removes the rows, both in one operation.
"""

from __future__ import annotations

import itertools
import operator
import threading
from typing import TYPE_CHECKING, NamedTuple

from eventwriter._file.scalar_rows import MARKER, ROW, ScalarEncoder, markers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    Encoded: TypeAlias = bytes | bytearray
    Record: TypeAlias = Encoded | Callable[[], Encoded]

# What is taken at once. A batch and its encoder's arrays fit a core's second-level cache; and
# whoever waits for the batch before its own does so for a millisecond.
_BATCH_ROWS = 4096
_BATCH_BYTES = 256 << 10


class Batch(NamedTuple):
    """Encoded records, their place in the file, and what they came from.

    A row may be several records: a piece of a curve.
    """

    start: int
    encoded: Encoded
    rows: int
    records: int
    keys: Sequence[int]

    @property
    def end(self) -> int:
        """The place of the byte after the last."""
        return self.start + len(self.encoded)


class Pending:
    """The queue of one file.

    `rows` and `tag_ids` are public for the hot path of `SummaryWriter.add_scalar`, which looks
    a tag up and appends a row. Emptying `tag_ids` sends every caller to the slow path, where
    it is told what is the matter: that is how closing, forking and running full stop them.
    """

    def __init__(self) -> None:
        self.rows = bytearray()
        self.tag_ids: dict[str, int] = {}
        self.encoder = ScalarEncoder()
        self._others: dict[int, tuple[Record, int, int]] = {}
        self._keys = itertools.count()
        self._others_size = 0
        self._others_records = 0
        self._size_lock = threading.RLock()

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self.rows) // ROW.size - len(self._others) + self._others_records

    @property
    def nbytes(self) -> int:
        """Memory that waits to be written, in bytes."""
        return len(self.rows) + self._others_size

    def put(self, record: Record, nbytes: int, count: int) -> None:
        """Append a record that is no row.

        Args:
            record: Framed records, or a function that returns them when their turn comes.
            nbytes: The memory that it holds until then.
            count: How many records it is.
        """
        key = next(self._keys)
        self._others[key] = (record, nbytes, count)
        with self._size_lock:
            self._others_size += nbytes
            self._others_records += count
        self.rows += ROW.pack(0.0, key, 0.0, MARKER)

    def encode(self, start: int, lost: Callable[[Exception, int], None]) -> Batch:
        """Return the first rows as records. One caller at a time.

        Args:
            start: The place that they get in the file.
            lost: Told of every function that raised, and of how many records; they are left out.
        """
        block = self.rows[: _BATCH_ROWS * ROW.size]
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

    def _resolve(self, key: int, lost: Callable[[Exception, int], None]) -> Encoded:
        """Return a record that is no row; its function is called once, whatever interrupts."""
        record, nbytes, count = self._others[key]
        if callable(record):
            try:
                record = record()
            except Exception as error:  # noqa: BLE001 - it may come from any framework
                lost(error, count)
                record = b""
            self._others[key] = (record, nbytes, count)
        return record

    def commit(self, batch: Batch, owned: list[Batch]) -> None:
        """Append the batch to `owned` and remove its rows, in one operation."""
        end = slice(len(owned), None)
        taken = slice(0, batch.rows * ROW.size)
        targets: tuple[Any, ...] = (owned, self.rows)
        # One call of a function in C, which calls only C: no signal handler can run between.
        list(map(operator.setitem, targets, (end, taken), ((batch,), b"")))

    def forget(self, keys: Sequence[int]) -> None:
        """Let go of records that were committed. Doing so twice does no harm."""
        for key in keys:
            record = self._others.pop(key, None)
            if record is not None:
                with self._size_lock:
                    # An interrupt may have come between the two: where none is left, all is zero.
                    self._others_size = self._others_size - record[1] if self._others else 0
                    self._others_records -= record[2]
                    self._others_records = self._others_records if self._others else 0
