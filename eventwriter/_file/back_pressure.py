"""Back-pressure: when a caller that logs is slowed down, and how.

A call appends a row and pays for nothing else. The background thread encodes and writes. A loop
that holds the interpreter's lock can starve that thread, and a slow disk can hold it up, so that
rows pile up. The more rows wait, the more a caller does about it:

    rows that wait                      what a caller does
    ----------------------------------  -------------------------------------------------------
    up to `max_queue`                   nothing
    more than `max_queue`               wakes the background thread, once
    4096 more, and every 4096 after     encodes a batch, so that only the writing is left, unless
                                        the thread encodes or has 4 encoded batches to write
    65,536, and every 4096 after        the same, but waits for the thread, 5 ms at most
    `max_pending_bytes` of memory       waits for the disk once, see `failing_disk`; after that
                                        new records are dropped and counted

A caller never writes: a disk that hangs would hang the training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from eventwriter._file import flusher
from eventwriter._file.rows import ROW

if TYPE_CHECKING:
    from eventwriter._file.failing_disk import FailingDisk
    from eventwriter._file.pending import Pending

_PATIENCE_SECS = 0.005
"""How long a caller waits for the background thread: the interpreter's own switch interval."""

_PATIENT_ROWS = 65_536
"""A caller waits where more rows than this wait. Fewer take 2 MB, which is no reason to wait."""

_STARVED_ROWS = 4096
"""Rows that a woken background thread gets to begin. Beyond them it counts as starved."""

_MOST_BATCHES_AHEAD = 4
"""Batches that callers encode before they wait for the writing."""

_OTHER_BYTES = 4 << 20
"""Bytes of histograms, images and other non-scalar records at which a caller helps to encode."""


class PressedFile(Protocol):
    """A file whose queue may grow faster than it is written."""

    pending: Pending

    def encode_ahead(self, patience_secs: float) -> None:
        """Encode one batch in the caller's thread, or let another thread finish draining."""

    def batches_ahead(self) -> int:
        """Return the number of batches that are encoded and not yet written."""


class BackPressure:
    """Slows down the callers of one file.

    Args:
        file: The file.
        disk: What is known of its disk.
        max_queue: Records that wake the background thread.
        max_pending_bytes: Memory that waiting records may take, in bytes.

    Attributes:
        high_water: The high-water mark. A caller that finds more bytes of rows than this calls
            `slow_down`.
        high_water_total: The mark for all that waits, in bytes: rows and other records.
    """

    def __init__(
        self, file: PressedFile, disk: FailingDisk, max_queue: int, max_pending_bytes: int
    ) -> None:
        self._file = file
        self._disk = disk
        self._max_pending_bytes = max_pending_bytes
        self._lowest_mark = min(max_queue * ROW.size, max_pending_bytes)
        self._woken = False
        self.high_water = self._lowest_mark
        self.high_water_total = min(_OTHER_BYTES, max_pending_bytes)

    def slow_down(self) -> None:
        """Do what the caller has to do above a high-water mark. See the table above."""
        if self._disk.is_full():
            if not self._disk.wait_for_room():
                # The slow path asks `has_room`.
                self._file.pending.close_hot_paths()
        elif not self._woken:
            # The mark first: an interrupt between the two must not make the next caller help.
            self._raise_mark(self._lowest_mark)
            self._woken = True
            flusher.wake()
        else:
            if self._disk.error is None:  # A disk that refuses would write none of the batches.
                self._help()
            self._raise_mark(len(self._file.pending.rows))

    def fall(self) -> None:
        """Lower the mark again, because everything was written."""
        self._woken = False
        self.high_water = self._lowest_mark

    def lower(self, nbytes: int) -> None:
        """Lower the mark by so many bytes, because rows were set aside that still wait."""
        self.high_water = max(self.high_water - nbytes, 0)

    def _help(self) -> None:
        many = self._file.pending.row_bytes > _PATIENT_ROWS * ROW.size
        patience_secs = _PATIENCE_SECS if many else 0
        if self._file.batches_ahead() < _MOST_BATCHES_AHEAD:
            self._file.encode_ahead(patience_secs)
        elif many:
            flusher.wait(patience_secs, self._file)

    def _raise_mark(self, rows_bytes: int) -> None:
        self.high_water = min(rows_bytes + _STARVED_ROWS * ROW.size, self._max_pending_bytes)
