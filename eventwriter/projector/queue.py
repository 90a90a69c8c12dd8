"""Embeddings on their way to disk: written in the background, with the contract of `_event_file`.

A failing disk is warned of once and tried again; `flush` and `close` raise it; memory stays
within bounds, and what comes beyond is dropped and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._file import flusher
from eventwriter._warn import warn_from_thread
from eventwriter.errors import WriteError
from eventwriter.projector.files import Projector

if TYPE_CHECKING:
    from pathlib import Path


class EmbeddingQueue:
    """The embeddings of one run, and the background thread's access to them.

    Args:
        run_dir: The run's directory.
        flush_secs: How often a failed write is tried again. Embeddings wait no longer than it
            takes to wake the thread.
        max_pending_bytes: Memory from which embeddings are dropped.
    """

    def __init__(self, run_dir: Path, *, flush_secs: float, max_pending_bytes: int) -> None:
        self.flush_secs = flush_secs
        self._run_dir = run_dir
        self._max_pending_bytes = max_pending_bytes
        self._projector = Projector(run_dir, max_pending_bytes)
        self._closed = False
        self._failed = False
        self._was_full = False  # one wait for each time that memory runs full
        self._lost = 0
        flusher.watch(self)

    def add(
        self, mat: Any, metadata: Any, label_img: Any, step: int, tag: str, header: Any
    ) -> None:
        """Take an embedding. See `Projector.add`."""
        full = self._projector.pending_bytes >= self._max_pending_bytes
        if full and not self._was_full:
            flusher.wait(flusher.MAX_WAIT_SECS)
            full = self._projector.pending_bytes >= self._max_pending_bytes
        self._was_full = full
        if self._projector.add(mat, metadata, label_img, step, tag, header):
            flusher.wake()
        else:
            self._lost += 1

    def flush(self, *, sync: bool = False) -> None:
        """Return when everything added before is on disk.

        Raises:
            WriteError: The disk refused, or embeddings were dropped since the last such error.
        """
        failure: WriteError | None = None
        try:
            self._projector.drain(sync=sync)
            self._written()
        except WriteError as error:
            self._failed = True
            failure = error
        if self._lost:
            lost, self._lost = self._lost, 0
            told = f"{failure} " if failure else ""
            raise WriteError(
                f"{told}{self._run_dir}: embeddings lost: {lost} (more than "
                f"max_pending_bytes={self._max_pending_bytes} waited for the disk).",
                path=self._run_dir,
                cause=failure.cause if failure else None,
                pending=failure.pending if failure else 0,
                lost=lost,
            ) from failure
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Flush, and leave the background thread once all is written."""
        self._closed = True
        self.flush()

    def close_later(self) -> None:
        """Close in the background."""
        self._closed = True
        flusher.wake()

    def drain_in_background(self) -> None:
        """Write what is pending. What goes wrong is warned of once."""
        try:
            self._projector.drain()
        except Exception as error:  # noqa: BLE001 - nobody is there to raise to
            if not self._failed:
                self._failed = True
                warn_from_thread(f"{error} Training goes on.")
        else:
            self._written()

    def abandon(self) -> None:
        """Drop everything: it is the parent process's."""
        self._projector = Projector(self._run_dir, self._max_pending_bytes)

    def _written(self) -> None:
        self._failed = False
        if self._closed:
            flusher.unwatch(self)
