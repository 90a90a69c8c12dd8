"""Embeddings on their way to the disk: taken at the call, written in the background."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from eventwriter._file import flusher
from eventwriter._file.failing_disk import FailingDisk
from eventwriter.projector.files import EmbeddingFiles
from eventwriter.projector.formats import display_name

if TYPE_CHECKING:
    from pathlib import Path

    from eventwriter.projector.embedding import Embedding


class EmbeddingQueue:
    """The embeddings of one run: takes them, bounds them, and has them written.

    Every method may be called from any thread. A disk that fails is met as `FailingDisk`
    describes. A forked child drops what is pending here, since that is the parent's to write; it
    makes a queue of its own, for a directory of its own.

    Args:
        run_dir: The run's directory. It is made by the first embedding. TensorBoard finds the
            embeddings once the directory holds an event file with a record.
        flush_secs: How often a failed write is tried again, in seconds. An embedding itself is
            written as soon as the background thread wakes.
        max_pending_bytes: Memory that waiting embeddings may take, in bytes.
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
        self._pending_lock = threading.RLock()
        # Re-entrant, because a signal handler may log and flush while its own thread drains.
        # `_draining` then keeps it from draining within the drain.
        self._drain_lock = threading.RLock()
        self._draining = False

    def put(self, tag: str, step: int | None, embedding: Embedding) -> None:
        """Take an embedding. This does not touch the disk.

        When the same tag and step come again before they are written, only the last is written.

        Args:
            tag: Any text but "", without lone surrogates. Characters that the page cannot take
                are replaced, see `display_name`.
            step: An int64, or None for an embedding without steps.
            embedding: What is shown.
        """
        if not self._disk.has_room(1):
            return
        with self._pending_lock:
            self._pending[display_name(tag, step)] = embedding
        if self._closed:  # A `close` in another thread overtook this call.
            flusher.watch(self)
        else:
            flusher.wake()

    def pending_bytes(self) -> int:
        """Return the memory that embeddings take until they are written, in bytes."""
        with self._pending_lock:
            return sum(embedding.nbytes for embedding in tuple(self._pending.values()))

    def pending_records(self) -> int:
        """Return the number of embeddings that wait."""
        return len(self._pending)

    def flush(self, *, sync: bool = False) -> None:
        """Return when every embedding that was taken before is on disk.

        Args:
            sync: Also wait until the disk holds all that was ever written (fsync).

        Raises:
            WriteError: The disk refused, another process keeps the configuration locked, the
                configuration cannot be read (it is left as it is), or embeddings were lost since
                the last such error. What waits is tried again.
        """
        with self._drain_lock:
            self._disk.run(partial(self._drain, sync=sync))

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
        """Write what is pending. An error is kept, and the first one is warned of."""
        with self._drain_lock:
            self._disk.run_in_background(self._drain)

    def write_at_once(self) -> None:
        """Nothing is to be done: each `put` wakes the thread, and that drains at the end."""

    def abandon(self) -> None:
        """Drop everything: it is the parent process's to write."""
        self._begin()

    def _drain(self, *, sync: bool = False) -> None:
        """Write what is pending. The lock is held."""
        if self._draining:
            return
        try:
            self._draining = True
            with self._pending_lock:
                batch = dict(self._pending)
            if batch:
                self._files.write(batch)
                self._forget(batch)
            self._files.announce()
            if sync:
                self._files.sync()
            self._disk.error = None
            if self._closed:
                flusher.unwatch(self)
                if self._pending:  # `put` came between; see there.
                    flusher.watch(self)
        finally:
            self._draining = False

    def _forget(self, batch: dict[str, Embedding]) -> None:
        with self._pending_lock:
            for name, embedding in batch.items():
                # The same tag and step may have come again meanwhile. That one still waits.
                if self._pending.get(name) is embedding:
                    del self._pending[name]
