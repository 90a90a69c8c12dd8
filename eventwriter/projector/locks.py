"""Locks of files, with which the writers of several processes do not disturb each other.

Where a system or a file system has no such locks, nobody waits and nothing is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows: writers of two processes may lose each other's entries.
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOCK_SECS = 5.0
"""How long to wait for another process that has locked the configuration. One entry takes it
milliseconds."""


class LockedError(TimeoutError):
    """Another process keeps the configuration locked."""


class ConfigLock:
    """Lets the writers of several processes take turns with a run's configuration.

    On a file system without locks nobody waits. A signal handler may take the lock while its own
    thread has it, or takes it, or gives it back: it uses the same descriptor, and the system's
    lock belongs to the descriptor.

    Args:
        run_dir: The run's directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._descriptor: int | None = None
        self._holders = 0

    @contextlib.contextmanager
    def held(self, patience_secs: float) -> Iterator[None]:
        """Hold the lock in the block. One thread at a time.

        Args:
            patience_secs: How long to wait for another process.

        Raises:
            LockedError: Another process has held the lock for so long.
            OSError: The directory cannot be opened.
        """
        if fcntl is None:
            yield
            return
        # Python runs no signal handler between this line and the first call.
        self._holders += 1
        try:
            self._open()
            self._acquire(patience_secs)
            yield
        finally:
            try:
                if self._holders == 1:
                    self._release()
            finally:
                self._holders -= 1

    def _release(self) -> None:
        # A signal handler may come between two lines. It then is a second holder, so that it
        # closes nothing. It may lock again what is unlocked here, or open a new descriptor.
        while self._descriptor is not None:
            # Closing is not enough: a child that was forked meanwhile has the descriptor too.
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def _open(self) -> None:
        if self._descriptor is None:
            descriptor = os.open(self._run_dir, os.O_RDONLY)
            if self._descriptor is None:
                self._descriptor = descriptor
            else:  # A signal handler opened one meanwhile.
                os.close(descriptor)

    def _acquire(self, patience_secs: float) -> None:
        deadline = time.monotonic() + patience_secs
        while not self._try():
            if time.monotonic() >= deadline:
                reason = f"locked by another process for more than {patience_secs:g} s"
                raise LockedError(errno.ETIMEDOUT, reason, str(self._run_dir)) from None
            time.sleep(0.01)

    def _try(self) -> bool:
        assert self._descriptor is not None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # NFS, for example, cannot lock a directory.
            return True
        return True


def lock_file(descriptor: int) -> None:
    """Lock a temporary file while it is written. The lock ends with the process."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_orphans(paths: Iterable[Path], settled: float) -> None:
    """Remove temporary files whose processes were killed: nobody has them locked.

    Where a file system has no locks, the files stay.

    Args:
        paths: Temporary files.
        settled: Files that were changed later than this time stay: their process may be about to
            lock them.
    """
    if fcntl is None:
        return
    for path in paths:
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime > settled:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)
