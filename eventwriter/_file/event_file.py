"""One event file: its name, the order of its bytes, and what happens when the disk refuses.

Contract:

- Order: the file holds records in the order of the calls, whatever thread made them.
- `flush()` returns when everything logged before it can be read from the file, and does its
  work in the caller's thread; `flush(sync=True)` when it would survive a power cut. Without
  either, a background thread writes what is older than `flush_secs`.
- A batch of records belongs to the file from before it is taken from the queue until its last
  byte is written. Every write names its place in the file. So a write that failed, fell short
  or was interrupted goes on where it stopped: no byte is lost, doubled or torn.
- A failing disk is warned of once and tried again at every drain. `flush` and `close` raise
  it. Memory stays within `max_pending_bytes`; what comes beyond is dropped and counted.
- A caller writes only in `flush` and `close`, so that a disk which hangs can hang nothing else.
  It waits for the disk for some milliseconds when thousands of records are ahead of it; and
  once, for `flusher.MAX_WAIT_SECS` at the most, when memory is full.
"""

from __future__ import annotations

import math
import os
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from eventwriter._file import flusher
from eventwriter._file.framing import frame
from eventwriter._file.pending import Pending
from eventwriter._file.run_directory import create_event_file, version_record
from eventwriter._file.scalar_rows import ROW
from eventwriter._file.whole_file import sync_path
from eventwriter._proto.event_pb2 import Event
from eventwriter._values import arguments
from eventwriter._warn import warn_from_thread
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, WriteError, WriterClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter._file.pending import Batch, Record

DEFAULT_MAX_QUEUE = 1024
DEFAULT_MAX_PENDING_BYTES = 64 << 20

_PATIENCE_SECS = 0.005  # the interpreter's own switch interval
_CALLER_ROWS = 4096  # past the wake-up by so many, the background thread is starved
_BATCHES_AHEAD = 4  # so many are encoded before the caller waits for them to be written
_CROWDED_BYTES = 4 << 20  # the same for records that are no rows

_SETTLE_SECS = 1.0  # a call that has begun ends within that

_SHORTEST_FLUSH_SECS = 0.01  # flush_secs=0 means as soon as may be


class EventFileWriter:
    """Appends records to one new event file.

    The file is created at once, exclusively, and begins with the file version. Its name is
    `events.out.tfevents.<seconds>.<host>.<pid>.<counter><suffix>`, padded with zeros, because
    TensorBoard reads the files of a run in the order of their names; seconds are the later of
    now and one more than the newest there, so that a restart sorts last even when the clock
    went back.

    A child process that was forked drops what is pending here and can write nothing.

    Args:
        log_dir: Directory of the run. Made where missing.
        max_queue: Pending records that wake the background thread before its time.
        flush_secs: Seconds after which the background thread writes what is pending.
        filename_suffix: Appended to the file's name.
        max_pending_bytes: Memory that pending records may take, in bytes.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is of the wrong kind.
        OSError: The directory or the file cannot be made. It names the path.

    Attributes:
        path: The file.
        pending: The queue, whose rows the hot path of `SummaryWriter` appends to.
        crowded_bytes: Size of the rows from which a caller calls `relieve`.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        *,
        max_queue: int = DEFAULT_MAX_QUEUE,
        flush_secs: float = 5,
        filename_suffix: str = "",
        max_pending_bytes: int = DEFAULT_MAX_PENDING_BYTES,
    ) -> None:
        _check_number("max_queue", max_queue, least=0)
        _check_number("flush_secs", flush_secs, least=0, whole=False)
        _check_number("max_pending_bytes", max_pending_bytes, least=1)
        self.flush_secs = max(float(flush_secs), _SHORTEST_FLUSH_SECS)
        self._max_pending_bytes = max_pending_bytes
        self._crowded_total = min(_CROWDED_BYTES, max_pending_bytes)
        self._wake_bytes = min((max_queue or DEFAULT_MAX_QUEUE) * ROW.size, max_pending_bytes)
        self.pending = Pending()
        self.crowded_bytes = self._wake_bytes

        # Covers taking, encoding and writing. Re-entrant, because a signal handler may flush
        # while its own thread drains; `_draining` then keeps it from draining within the drain.
        self._lock = threading.RLock()
        self._draining = False
        # Batches that were taken from the queue, the first of which is being written, and the
        # place in the file up to which all is written.
        self._owned: list[Batch] = []
        self._position = 0

        self._closed_reason: str | None = None
        self._closed_at = math.inf
        self._full = False
        self._error: Exception | None = None
        self._count_lock = threading.RLock()
        self._lost = 0
        self._lost_reason = ""

        self.path, self._fd = create_event_file(log_dir, filename_suffix)
        self.pending.put(version_record(), nbytes=0, count=1)
        try:
            self._drain()
        except OSError as error:
            os.close(self._fd)
            self.path.unlink()
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        flusher.watch(self)

    @property
    def closed(self) -> bool:
        """Whether it takes no more records."""
        return self._closed_reason is not None

    def add_event(self, event: Event) -> None:
        """Append an event of `eventwriter._proto.event_pb2`, as it is now.

        Raises:
            ArgumentTypeError: It is no such event.
            ArgumentValueError: Its wall time is not finite.
            WriterClosedError: After `close`, and in a forked child.
        """
        if not isinstance(event, Event):
            raise ArgumentTypeError(f"add_event: expected an Event, got {type(event).__name__}.")
        arguments.wall_time(event.wall_time, "add_event: wall_time")
        self.put(frame(event.SerializeToString()))

    def put(self, record: Record, nbytes: int = 0, count: int = 1) -> None:
        """Append framed records, or a function that returns them when their turn comes.

        Args:
            record: The bytes, or the function; what it raises is counted as a loss.
            nbytes: The memory that a function holds.
            count: How many records it is.

        Raises:
            WriterClosedError: After `close`, and in a forked child.
        """
        if self.has_room(count):
            self.pending.put(record, nbytes if callable(record) else len(record), count)
            if (
                len(self.pending.rows) > self.crowded_bytes
                or self.pending.nbytes > self._crowded_total
            ):
                self.relieve()

    def put_row(self, row: bytes) -> None:
        """Append a row of a scalar, as the hot path does."""
        if self.has_room():
            self.pending.rows += row
            if len(self.pending.rows) > self.crowded_bytes:
                self.relieve()

    def has_room(self, count: int = 1) -> bool:
        """Return whether so many records can be taken. If not, they are counted as lost.

        Raises:
            WriterClosedError: After `close`, and in a forked child.
        """
        if self._closed_reason is not None:
            raise WriterClosedError(self._closed_reason)
        if self._full:
            if self._waiting_bytes() >= self._max_pending_bytes:
                reason = f"more than max_pending_bytes={self._max_pending_bytes} waited"
                self._count_lost(reason, count)
                return False
            self._full = False
        return True

    def tag_id(self, tag: str) -> int | None:
        """Return the id of a valid tag and let the hot path have it; None if it is too long."""
        known = self.pending.encoder.register(tag)
        if known is not None and not self._full:
            self.pending.tag_ids[tag] = known
            if self._closed_reason is not None:  # another thread closed it in between
                self.pending.tag_ids.clear()
        return known

    def relieve(self) -> None:
        """See to it that a crowded queue gets shorter. Whoever finds it crowded calls this.

        First the background thread is woken. A loop that holds the interpreter's lock starves
        it: past some more rows the caller lets it finish, or encodes a batch itself, so that
        only the writing is left; after some batches it waits a moment for that. Where memory is
        full the caller waits, once; then the hot path is stopped, so that `has_room` sees every
        record.
        """
        if self._waiting_bytes() >= self._max_pending_bytes:
            self._wait_for_room()
        elif self.crowded_bytes == self._wake_bytes:
            self._be_crowded_from(self._wake_bytes)
            flusher.wake()
        else:
            if self._error is None:
                if len(self._owned) >= _BATCHES_AHEAD:
                    flusher.wait(_PATIENCE_SECS)
                elif self._lock.acquire(timeout=_PATIENCE_SECS):
                    try:
                        self._attempt(self._encode_ahead)
                    finally:
                        self._lock.release()
            self._be_crowded_from(len(self.pending.rows))

    def flush(self, *, sync: bool = False) -> None:
        """Return when everything logged before can be read from the file.

        Args:
            sync: Also have the operating system put it on the disk (fsync).

        Raises:
            WriteError: The disk refused, or records were lost since the last such error.
        """
        with self._lock:
            try:
                self._drain()
                if sync and self._fd >= 0:
                    os.fsync(self._fd)
                    sync_path(self.path.parent)
            except Exception as error:
                self._error = error
                raise self._write_error() from error
            if self._lost:
                raise self._write_error()

    def close(self) -> None:
        """Flush and close the file. Closing twice does no harm.

        Raises:
            WriteError: As `flush`. What could not be written is tried again in the background,
                at the next `close`, and at the interpreter's exit.
        """
        self._stop(f"{self.path} was closed. Open a new writer to go on.")
        self.flush()

    def close_later(self) -> None:
        """Close in the background: for a finalizer, which must not wait for a disk."""
        self._stop(f"{self.path} was closed.")
        flusher.wake()

    def drain_in_background(self) -> None:
        """Write what is pending. What goes wrong is kept, and warned of once."""
        with self._lock:
            self._attempt(self._drain)
            if self._is_settled():
                flusher.unwatch(self)

    def abandon(self) -> None:
        """Drop everything and let go of the file: it is the parent process's."""
        self._stop(f"{self.path} is the parent's file. Open a writer in this process.")
        # Locks are as other threads of the parent held them.
        self._lock = threading.RLock()
        self._count_lock = threading.RLock()
        self._draining = False
        self._owned = []
        self.pending = Pending()
        self._error = None
        self._lost = 0
        self._close_file()

    def _be_crowded_from(self, rows_bytes: int) -> None:
        more = rows_bytes + _CALLER_ROWS * ROW.size
        self.crowded_bytes = min(more, self._max_pending_bytes)

    def _stop(self, reason: str) -> None:
        """Take no more records."""
        if self._closed_reason is None:
            self._closed_at = time.monotonic()
            self._closed_reason = reason
        self.pending.tag_ids.clear()

    def _waiting_bytes(self) -> int:
        """Memory that waits to be written, in bytes."""
        return self.pending.nbytes + sum(len(batch.encoded) for batch in tuple(self._owned))

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do what nobody is there to be told the errors of. The lock is held."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it must not end the thread or the training
            first, self._error = self._error is None, error
            if first:
                warn_from_thread(f"{self._describe_error()} Training goes on.")

    def _drain(self) -> None:
        """Write what is owned, then batch after batch. The lock is held."""
        if self._draining:
            return
        try:
            self._draining = True
            self._write_owned()
            while self.pending.rows:
                self._take_batch()
                self._write_owned()
            self.crowded_bytes = self._wake_bytes
            self._error = None
            if self._closed_reason is not None:
                self._close_file()
        finally:
            self._draining = False

    def _encode_ahead(self) -> None:
        """Take a batch and leave it to the background thread. The lock is held."""
        if self._draining or not self.pending.rows:
            return
        try:
            self._draining = True
            self._take_batch()
        finally:
            self._draining = False

    def _take_batch(self) -> None:
        start = self._owned[-1].end if self._owned else self._position
        batch = self.pending.encode(start, self._count_lost_value)
        self.pending.commit(batch, self._owned)
        self.pending.forget(batch.keys)

    def _write_owned(self) -> None:
        while self._owned:
            batch = self._owned[0]
            if self._fd < 0:
                # A call that another thread, or a signal handler, overtook with `close`.
                self._fd = os.open(self.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
            with memoryview(batch.encoded) as view:
                while self._position < batch.end:
                    # The place is named each time: after an interrupt between the write and the
                    # assignment, the same bytes go to the same place.
                    os.lseek(self._fd, self._position, os.SEEK_SET)
                    self._position += os.write(self._fd, view[self._position - batch.start :])
            self.pending.forget(batch.keys)  # again, for an interrupt may have come before
            del self._owned[0]

    def _is_settled(self) -> bool:
        """Whether it was closed long enough for calls that `close` overtook to be over."""
        closed_secs = time.monotonic() - self._closed_at
        waiting = self._owned or self.pending.rows
        return self._fd < 0 and not waiting and closed_secs > _SETTLE_SECS

    def _close_file(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _wait_for_room(self) -> None:
        if self._error is None:
            flusher.wait(flusher.MAX_WAIT_SECS)
        if self._waiting_bytes() >= self._max_pending_bytes:
            self._full = True
            self.pending.tag_ids.clear()

    def _count_lost(self, reason: str, count: int) -> None:
        with self._count_lock:
            self._lost += count
            self._lost_reason = reason

    def _count_lost_value(self, error: Exception, count: int) -> None:
        self._count_lost(f"a value could not be fetched: {error}", count)

    def _write_error(self) -> WriteError:
        """Return what `flush` raises, and count losses anew."""
        cause = self._error if isinstance(self._error, OSError) else None
        message = self._describe_error()
        with self._count_lock:
            lost, self._lost = self._lost, 0
        return WriteError(
            message, path=self.path, cause=cause, pending=self._pending_records(), lost=lost
        )

    def _pending_records(self) -> int:
        return len(self.pending) + sum(batch.records for batch in tuple(self._owned))

    def _describe_error(self) -> str:
        error = self._error
        text = f"{self.path}:"
        if error is not None:
            reason = error.strerror if isinstance(error, OSError) else None
            text += f" writing failed: {reason or repr(error)}. Records that wait in memory and "
            text += f"are tried again: {self._pending_records()}."
        if self._lost:
            text += f" Records lost: {self._lost} ({self._lost_reason})."
        return text


def _check_number(name: str, value: object, *, least: int, whole: bool = True) -> None:
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds):
        expected = "a whole number" if whole else "a number"
        raise ArgumentTypeError(f"{name}: expected {expected}, got {type(value).__name__}.")
    if not least <= value < float("inf"):
        raise ArgumentValueError(f"{name}: expected a number from {least}, got {value}.")
