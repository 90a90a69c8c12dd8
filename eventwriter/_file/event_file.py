"""One event file: the order of its bytes, and who writes them.

- Order: the file holds records in the order of the calls, whatever thread made them.
- `flush()` returns when everything logged before it can be read from the file, and does the work
  in the caller's thread. `flush(sync=True)` returns when a power cut could not undo it. Without
  either, a background thread writes what is older than `flush_secs`.
- A batch of records is owned by the file from before it is taken from the queue until its last
  byte is written, and every write names its place in the file. So a write that failed, fell short
  or was interrupted goes on where it stopped: no byte is lost, doubled or torn.
- A signal handler may flush within a drain of its own thread. It writes everything that waits to
  its place, and takes nothing away from the drain, which writes the same bytes to the same places.
- Only `flush` and `close` write in a caller's thread. A disk that hangs can hang nothing else.

`failing_disk` says what happens while the disk refuses, and `back_pressure` when a call that logs
is slowed down.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, TypeVar

from eventwriter._file import flusher
from eventwriter._file.back_pressure import BackPressure
from eventwriter._file.failing_disk import FailingDisk
from eventwriter._file.guard import Guard
from eventwriter._file.output import Output
from eventwriter._file.pending import Pending
from eventwriter._file.rows import ROW, record_struct
from eventwriter._file.run_directory import version_record
from eventwriter._values import arguments
from eventwriter.errors import WriterClosedError

if TYPE_CHECKING:
    from pathlib import Path

    from eventwriter._file.pending import Batch, Packer, Record
    from eventwriter.typing import PathLike

Key = TypeVar("Key")
Entry = TypeVar("Entry")

DEFAULT_MAX_QUEUE = 1024
DEFAULT_MAX_PENDING_BYTES = 64 << 20

_SHORTEST_FLUSH_SECS = 0.01
"""What flush_secs=0 stands for: at once, but without a busy loop."""

_WORKER_FLUSH_SECS = 0.005
"""`flush_secs` in a child of multiprocessing. A pool ends its workers with SIGTERM, which they do
not survive: what a task logged is on disk by then."""

_OVERTAKEN_SECS = 1.0
"""After `close`, wait this long before forgetting the file: another thread may still be inside
`add_scalar`."""


class EventFile:
    """Appends framed records to one new event file.

    The file is created at once and exclusively, and begins with the file version. See
    `run_directory.event_file_name` for its name. A forked child drops what is pending here and
    cannot write.

    Args:
        log_dir: Directory of the run. It is made where missing.
        max_queue: Pending records that wake the background thread before its time. 0 means the
            default.
        flush_secs: Seconds after which the background thread writes what is pending.
        filename_suffix: Appended to the file's name.
        max_pending_bytes: Memory that pending records may take, in bytes.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is of the wrong kind.
        OSError: The directory or the file cannot be made. It names the path.

    Attributes:
        flush_secs: The argument, or a little more than 0.
        pending: The queue. The hot path of `SummaryWriter` appends to its rows.
        back_pressure: Tells the hot paths when to slow down, and slows them down.
    """

    def __init__(
        self,
        log_dir: PathLike,
        *,
        max_queue: int,
        flush_secs: float,
        filename_suffix: str,
        max_pending_bytes: int,
    ) -> None:
        queue = arguments.count(max_queue, "max_queue") or DEFAULT_MAX_QUEUE
        seconds = arguments.duration_secs(flush_secs, "flush_secs")
        self.flush_secs = max(seconds, _SHORTEST_FLUSH_SECS)
        if flusher.is_pool_worker():
            self.flush_secs = min(self.flush_secs, _WORKER_FLUSH_SECS)
        most = arguments.count(max_pending_bytes, "max_pending_bytes", least=1)
        self._max_queue, self._max_pending_bytes = queue, most
        self._closed_reason: str | None = None
        self._closed_at = math.inf
        self._output = Output(log_dir, filename_suffix)
        self._begin()
        self.pending.put(version_record(), nbytes=0, count=1)
        try:
            self._drain()
        except OSError as error:
            self._output.close()
            self.path.unlink()
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        flusher.watch(self)

    def _begin(self) -> None:
        """Set what a new file begins with. The locks are new ones."""
        self.pending = Pending()
        # Covers taking, encoding and writing. A signal handler may flush while its own thread
        # drains: `_draining` then keeps it from draining within the drain.
        self._guard = Guard()
        self._draining = False
        # Batches that were taken from the queue. The first of them is being written.
        self._owned: list[Batch] = []
        # The place up to which everything is written, and the records that the file holds.
        self._position = 0
        self._records_written = -1  # the file version is none that anybody logged
        self._disk = FailingDisk(self.path, "Records", self._max_pending_bytes, self)
        self.back_pressure = BackPressure(
            self, self._disk, self._max_queue, self._max_pending_bytes
        )

    @property
    def path(self) -> Path:
        """The file. It changes if the file goes away: see `output`."""
        return self._output.path

    @property
    def closed(self) -> bool:
        """Whether the file takes no more records."""
        return self._closed_reason is not None

    def put(self, record: Record, nbytes: int = 0, count: int = 1) -> None:
        """Append framed records, or a function that returns them when their turn comes.

        Args:
            record: The bytes, or the function. What the function raises is counted as a loss.
            nbytes: The memory that a function holds.
            count: The number of records.

        Raises:
            WriterClosedError: The file was closed, or this is a forked child.
        """
        if self._has_room(count):
            self.pending.put(record, nbytes if callable(record) else len(record), count)
            pressure = self.back_pressure
            if (
                len(self.pending.rows) > pressure.high_water
                or self.pending.nbytes > pressure.high_water_total
            ):
                pressure.slow_down()
            if flusher.is_over():
                flusher.wake()

    def put_rows(self, rows: bytes, count: int = 1) -> None:
        """Append the rows of records, as the hot paths do.

        Args:
            rows: See `rows`.
            count: The number of records.

        Raises:
            WriterClosedError: The file was closed, or this is a forked child.
        """
        if self._has_room(count):
            self.pending.rows += rows
            if len(self.pending.rows) > self.back_pressure.high_water:
                self.back_pressure.slow_down()
            if flusher.is_over():
                flusher.wake()

    def tag_id(self, tag: str) -> int | None:
        """Return the id of a tag's template, and let the hot path of `add_scalar` use it.

        Returns:
            None if the tag is too long for a row. It then goes into a record of its own.
        """
        known = self.pending.tag_ids.get(tag)
        if known is None:
            known = self.pending.encoder.templates.register((tag,))
            if known is not None:
                self._open_hot_path(self.pending.tag_ids, tag, known)
        return known

    def packer(self, names: tuple[str, ...], tags: tuple[str, ...]) -> Packer | None:
        """Return what packs the values of a set of tags, and let the hot path of `log` use it.

        Args:
            names: The names by which the hot path knows the set.
            tags: The tags that are written.

        Returns:
            None if the set has no template. Its values then go into a record of their own.
        """
        packer = self.pending.packers.get(names)
        templates = self.pending.encoder.templates
        if packer is None and (known := templates.register(tags)) is not None:
            packer = record_struct(len(tags)).pack, known
            self._open_hot_path(self.pending.packers, names, packer)
        return packer

    def _open_hot_path(self, hot_path: dict[Key, Entry], key: Key, entry: Entry) -> None:
        if not self._disk.full and not flusher.is_over():
            hot_path[key] = entry
            if self._closed_reason is not None:  # Another thread closed the file in between.
                self.pending.close_hot_paths()

    def pending_bytes(self) -> int:
        """Return the memory that waits to be written, in bytes."""
        owned = sum(len(batch.encoded) for batch in tuple(self._owned))
        if self.pending.nbytes + owned >= self._max_pending_bytes and not self._disk.full:
            self.pending.count_anew()  # once, before anything is dropped for it
        return self.pending.nbytes + owned

    def pending_records(self) -> int:
        """Return the number of records that wait to be written."""
        self.pending.count_anew()
        return len(self.pending) + sum(batch.records for batch in tuple(self._owned))

    def batches_ahead(self) -> int:
        """Return the number of batches that are encoded and not yet written."""
        return len(self._owned)

    def encode_ahead(self, patience_secs: float) -> None:
        """Encode one batch, and leave it to the background thread to write.

        If another thread is draining, wait for that thread first, at most so long.
        """
        lock = self._guard.lock
        held: list[bool] = []
        try:
            # One call of a C function takes the lock and says so in `held`. An interrupt between
            # an `acquire` and its assignment would leave the lock taken for ever.
            held.extend(map(lock.acquire, (True,), (patience_secs,)))
            if True in held:
                self._disk.run_in_background(self._encode_batch)
        finally:
            if True in held:
                lock.release()

    def flush(self, *, sync: bool = False) -> None:
        """Return when everything logged before can be read from the file.

        Args:
            sync: Also have the operating system put it on the disk (fsync).

        Raises:
            WriteError: The disk refused, or records were lost since the last such error.
        """
        with self._guard.lock:
            self._disk.run(self._drain_and_sync if sync else self._drain)

    def close(self) -> None:
        """Flush and close the file. To close twice does no harm.

        Raises:
            WriteError: As in `flush`. What could not be written is tried again in the background,
                at the next `close`, and at the interpreter's exit.
        """
        self._stop(f"{self.path} was closed. Open a new writer to go on.")
        self.flush()

    def close_later(self) -> None:
        """Close in the background, for a finalizer: it must not wait for a disk."""
        self._stop(f"{self.path} was closed.")
        flusher.wake()

    def drain_in_background(self) -> None:
        """Write what is pending. Keep an error. The first one gives a warning."""
        with self._guard.lock:
            self._disk.run_in_background(self._drain)
            if self._is_over():
                flusher.unwatch(self)

    def abandon(self) -> None:
        """Drop everything and close the descriptor: the file is that of the parent process."""
        self._stop(f"{self.path} is the parent's file. Open a writer in this process.")
        self._begin()
        self._output.close()

    def write_at_once(self) -> None:
        """Have every call that logs take the slow path, which drains: see `flusher.is_over`."""
        self.pending.close_hot_paths()

    def _has_room(self, count: int) -> bool:
        """Return whether so many records can be taken. If not, they are counted as lost."""
        if self._closed_reason is not None:
            raise WriterClosedError(self._closed_reason)
        return not self._disk.full or self._disk.has_room(count)

    def _stop(self, reason: str) -> None:
        """Take no more records."""
        if self._closed_reason is None:
            self._closed_at = time.monotonic()
            self._closed_reason = reason
        self.pending.close_hot_paths()

    def _is_over(self) -> bool:
        """Return whether the file was closed so long ago that no call can be inside it."""
        closed_secs = time.monotonic() - self._closed_at
        waiting = self._owned or self.pending.row_bytes
        return not self._output.is_open and not waiting and closed_secs > _OVERTAKEN_SECS

    def _drain_and_sync(self) -> None:
        self._drain()
        self._output.sync()

    def _drain(self) -> None:
        """Write what was logged before this call. The lock is held.

        What other threads log meanwhile is left to the next drain: they may log as fast as this
        thread writes, for ever.
        """
        if self._draining:
            self._write_ahead()
            return
        try:
            self._draining = True
            rows = self.pending.row_bytes // ROW.size
            self._write_owned()
            while rows > 0:
                rows -= self._take_batch().rows
                self._write_owned()
            self.pending.count_anew()
            self.back_pressure.fall()
            self._disk.error = None
            if self._closed_reason is not None and not self.pending.row_bytes:
                self._output.close()
        finally:
            self._draining = False

    def _write_ahead(self) -> None:
        """Write everything that waits, for a signal handler within a drain of its own thread.

        The drain may be at any place. So nothing is taken from it: it will write the same bytes to
        the same places once more.
        """
        end = self._position
        for batch in self._owned:
            self._write_whole(batch)
            end = batch.end
        rows = 0
        while rows < self.pending.row_bytes // ROW.size:
            batch = self.pending.encode(end, self._count_lost_value, skipped_rows=rows)
            self._write_whole(batch)
            rows += batch.rows
            end = batch.end

    def _write_whole(self, batch: Batch) -> None:
        with memoryview(batch.encoded) as view:
            done = 0
            while done < len(view):
                done += self._output.write(view[done:], batch.start + done)

    def _encode_batch(self) -> None:
        """Take one batch. The lock is held."""
        if self._draining or not self.pending.row_bytes:
            return
        try:
            self._draining = True
            self._take_batch()
        finally:
            self._draining = False

    def _take_batch(self) -> Batch:
        self.back_pressure.lower(self.pending.set_aside())
        start = self._owned[-1].end if self._owned else self._position
        batch = self.pending.encode(start, self._count_lost_value)
        self.pending.commit(batch, self._owned)
        self.pending.forget(batch.keys)
        return batch

    def _write_owned(self) -> None:
        while self._owned:
            batch = self._owned[0]
            if self._output.replace_if_lost(self._position, batch.start, self._records_written):
                self._position, self._records_written = batch.start, 0
                self._disk.path = self.path
            with memoryview(batch.encoded) as view:
                while self._position < batch.end:
                    # Each write names its place. An interrupt may come between the write and the
                    # assignment; the same bytes then go to the same place again.
                    rest = view[self._position - batch.start :]
                    self._position += self._output.write(rest, self._position)
            self.pending.forget(batch.keys)  # again: an interrupt may have come before it
            self._records_written += batch.records
            del self._owned[0]

    def _count_lost_value(self, error: BaseException, count: int) -> None:
        self._disk.count_lost(f"a value could not be fetched: {error}", count)
