"""Embeddings on their way to the disk: taken at the call, written in the background.

The background thread serves every writer of the process, so it never waits here: neither for
another process that has the configuration locked, nor for another thread that writes embeddings,
nor for the write of a large one. Where it would have to wait, a thread of its own waits and writes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from eventwriter._file import flusher
from eventwriter._file.failing_disk import MAX_WAIT_SECS, FailingDisk
from eventwriter._file.guard import Guard
from eventwriter.projector.files import EmbeddingFiles, is_full
from eventwriter.projector.formats import display_name
from eventwriter.projector.locks import LOCK_SECS, LockedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventwriter.projector.embedding import Embedding

_LARGE_BYTES = 16 << 20
"""More than so many wait for a thread of their own. The disk takes them in tens of milliseconds."""

_CHEAP_SECS = 0.1
"""A drain that failed within this time is tried again whenever the background thread wakes."""

_REST = 10
"""After a failed drain that took longer, rest for so many times its duration."""


class EmbeddingQueue:
    """The embeddings of one run: takes them, bounds them, and has them written.

    Every method may be called from any thread. A disk that fails is met as `FailingDisk`
    describes. A forked child drops what is pending here, because the parent writes it. The
    child makes a queue of its own, for a directory of its own.

    Args:
        run_dir: The run's directory. It is made by the first embedding. TensorBoard finds the
            embeddings once the directory holds an event file with a record.
        flush_secs: How often a failed write is tried again, in seconds. An embedding itself is
            written as soon as the background thread wakes.
        max_pending_bytes: Memory that waiting embeddings may take, in bytes. An embedding that is
            larger is taken when less than this waits.
    """

    def __init__(self, run_dir: Path, *, flush_secs: float, max_pending_bytes: int) -> None:
        self.flush_secs = flush_secs
        self._run_dir = run_dir
        self._max_pending_bytes = max_pending_bytes
        self._closed = False
        self._begin()
        flusher.watch(self)

    def _begin(self) -> None:
        """Set what a new queue begins with. The locks are new ones."""
        self._files = EmbeddingFiles(self._run_dir)
        self._disk = FailingDisk(self._run_dir, "Embeddings", self._max_pending_bytes, self)
        self._pending: dict[str, Embedding] = {}
        self._pending_guard = Guard()
        # Held by the thread that drains. A signal handler of that thread may drain within the
        # drain: see `EmbeddingFiles`.
        self._drain_guard = Guard()
        self._helper: threading.Thread | None = None
        self._rests_until = 0.0
        self._purge_step: int | None = None

    def put(self, tag: str, step: int | None, embedding: Embedding) -> None:
        """Take an embedding. This does not touch the disk.

        When the same tag and step come again before they are written, only the last is written.

        Args:
            tag: Any text but "", without lone surrogates. Characters that the page cannot take
                are replaced, see `display_name`.
            step: An int64, or None for an embedding without steps.
            embedding: What is shown.
        """
        if not self._has_room():
            return
        name = display_name(tag, step)
        # No call is made under this lock: a signal handler could run within the call, flush, and
        # wait for a thread that waits for this lock.
        with self._pending_guard.lock:
            self._pending[name] = embedding
        if self._closed:  # A `close` in another thread overtook this call.
            flusher.watch(self)
        else:
            flusher.wake()

    def _has_room(self) -> bool:
        """Return whether memory has room. When it has just run full, wait for the disk first."""
        was_full = self._disk.full
        if not self._disk.wait_for_room() and not was_full:
            helper = self._helper  # The background thread has left the writing to it.
            if helper is not None and self._disk.error is None:
                helper.join(MAX_WAIT_SECS)
        return self._disk.has_room(1)

    def pending_bytes(self) -> int:
        """Return the memory that embeddings take until they are written, in bytes."""
        return sum(embedding.nbytes for embedding in tuple(self._pending.values()))

    def pending_records(self) -> int:
        """Return the number of embeddings that wait."""
        return len(self._pending)

    def purge(self, step: int) -> None:
        """Take what earlier writers of the run logged at a step and later off the list."""
        self._purge_step = step
        flusher.wake()

    def flush(self, *, sync: bool = False) -> None:
        """Return when every embedding that was taken before is on disk.

        Args:
            sync: Also wait until the disk holds all that was ever written (fsync).

        Raises:
            WriteError: The disk refused, another process keeps the configuration locked, the
                configuration cannot be read (it is left as it is), or embeddings were lost since
                the last such error. What waits is tried again.
        """
        try:
            with self._drain_guard.lock:
                self._disk.run(partial(self._drain, LOCK_SECS, sync=sync, mends=True))
        finally:
            self._wake_for_more()

    def close(self) -> None:
        """Flush. The background thread forgets the queue once everything is written.

        Raises:
            WriteError: As in `flush`.
        """
        self._closed = True
        self.flush()

    def close_later(self) -> None:
        """Close in the background."""
        self._closed = True
        flusher.wake()

    def drain_in_background(self) -> None:
        """Write what is pending, without a wait. Keep an error, and warn of the first."""
        is_exit = flusher.is_over() or not threading.main_thread().is_alive()
        if time.monotonic() < self._rests_until and not is_exit:
            return
        if is_exit or self.pending_bytes() <= _LARGE_BYTES:
            try:
                if self._drain_within(0.0, lock_secs=0.0):
                    return
            except _WouldWait:
                pass
        self._wait_and_drain(is_exit)

    def abandon(self) -> None:
        """Drop everything: it is the parent process's to write."""
        self._begin()

    def write_at_once(self) -> None:
        """Do nothing: `put` wakes the background thread, and once that is over, drains itself."""

    def _wait_and_drain(self, is_exit: bool) -> None:
        """Have a thread wait and drain. At the interpreter's exit, do it in this thread."""
        if self._helper is not None and self._helper.is_alive() and not is_exit:
            return
        # A daemon, so that a disk that hangs does not hang the exit. The last drain waits for it.
        helper = threading.Thread(
            target=self._drain_patiently, name="eventwriter-embeddings", daemon=True
        )
        if not is_exit:
            with contextlib.suppress(RuntimeError):  # The system refuses a thread.
                helper.start()
                self._helper = helper
                return
        self._drain_patiently()

    def _drain_patiently(self) -> None:
        if self._drain_within(flusher.EXIT_SECS, lock_secs=LOCK_SECS):
            self._wake_for_more()

    def _drain_within(self, seconds: float, *, lock_secs: float) -> bool:
        """Drain, unless another thread goes on draining for so many seconds.

        Returns:
            Whether this thread drained.
        """
        lock = self._drain_guard.lock
        held: list[bool] = []
        try:
            # One call of a C function takes the lock and says so in `held`. An interrupt between
            # an `acquire` and its assignment would leave the lock taken for ever.
            held.extend(map(lock.acquire, (True,), (seconds,)))
            if True in held:
                self._disk.run_in_background(partial(self._drain, lock_secs))
            return True in held
        finally:
            if True in held:
                lock.release()

    def _wake_for_more(self) -> None:
        """Wake the background thread for what came while it could not drain."""
        if self._pending and self._disk.error is None:
            flusher.wake()

    def _drain(self, patience_secs: float, *, sync: bool = False, mends: bool = False) -> None:
        """Write what is pending, one embedding after another. The lock is held.

        On a disk that is full, each embedding that has room is written. The first error is raised
        after the others were tried.

        Args:
            patience_secs: How long to wait for another process.
            sync: As in `flush`.
            mends: Whether to look for files that were removed, also where nothing is pending. The
                background thread does not: it would come in the middle of a user's `rm -r`, which
                fails if a file is made meanwhile.
        """
        start = time.monotonic()
        self._files.patience_secs = patience_secs
        batch = dict(self._pending)
        try:
            if self._purge_step is not None:
                self._files.purge(self._purge_step)
                self._purge_step = None
            refused = self._write(batch)
            if batch or mends:
                refused = _unless_full(self._files.mend) or refused
            self._files.announce()
            if refused is not None:
                raise refused
            if sync:
                self._files.sync()
        except LockedError as error:
            if patience_secs:
                raise
            raise _WouldWait from error
        except Exception:
            secs = time.monotonic() - start
            self._rests_until = time.monotonic() + (secs * _REST if secs > _CHEAP_SECS else 0)
            raise
        self._disk.error = None
        if self._closed:
            flusher.unwatch(self)
            if self._pending:  # `put` came between; see there.
                flusher.watch(self)

    def _write(self, batch: dict[str, Embedding]) -> OSError | None:
        """Write embeddings. Return the first error of a full disk."""
        refused = None
        for name, embedding in batch.items():
            error = _unless_full(partial(self._write_one, name, embedding))
            refused = refused or error
        return refused

    def _write_one(self, name: str, embedding: Embedding) -> None:
        self._files.write(name, embedding)
        self._forget(name, embedding)

    def _forget(self, name: str, embedding: Embedding) -> None:
        with self._pending_guard.lock:
            # The same tag and step may have come again meanwhile. That one still waits. No call
            # is made under this lock: see `put`.
            try:
                if self._pending[name] is embedding:
                    del self._pending[name]
            except KeyError:
                pass


def _unless_full(write: Callable[[], None]) -> OSError | None:
    """Write, and return the error of a full disk: something smaller may have room."""
    try:
        write()
    except OSError as error:
        if is_full(error):
            return error
        raise
    return None


class _WouldWait(BaseException):
    """The background thread would have to wait. This is no error of the disk."""
