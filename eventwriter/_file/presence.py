"""Who writes in a directory. The user is warned of a second live writer.

When two files of one run grow at the same time, TensorBoard's readers show only part of them.

- In this process, every open writer is known.
- The event file of another process is known by a lock on its byte `_LOCKED_BYTE`. The system holds
  the lock while the file is open, and releases it when the process ends, however it ends. The
  byte lies far beyond the end of any file. So no reader is disturbed where locks are mandatory
  (SMB). The lock belongs to the descriptor (OFD, `fcntl_locking(2)`): a forked child that closes
  its copy of the descriptor changes nothing. Where the system or the file system has no such
  locks, other processes are not noticed.

A writer that is replaced is no second writer: a notebook's cell that runs again makes the new
writer before the old one is dropped. So the warning comes at the new writer's first record, if the
other one is still open then.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import struct
import weakref
from collections import deque
from typing import TYPE_CHECKING

from eventwriter._warn import caller_place, warn_caller

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOCKED_BYTE = 1 << 62
# struct flock of Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")

_FILES_CHECKED = 8
"""Only so many of the newest files of a directory are checked for a live writer. The writer of an
older file was there when these files were made, and the user was warned at that time."""

# The writers of this process. A dict, because neither other threads, nor signal handlers, nor the
# end of an object can split its operations.
_present: dict[int, weakref.ref[Presence]] = {}
_numbers = itertools.count()
# The event files that this process made last. The file of a writer that the program has dropped
# stays open for a moment. They are texts: to compare Paths runs Python code, within which another
# thread may append, and a deque that changes during a search raises.
_made: deque[str] = deque(maxlen=1000)
_warned: set[Path] = set()


def mark(fd: int, path: Path) -> None:
    """Mark a new event file as one that this process writes, until its descriptor is closed."""
    _made.append(str(path.resolve()))
    if hasattr(fcntl, "F_OFD_SETLK"):
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK))


class Presence:
    """One writer's presence in the directory of its event file.

    Args:
        path: The event file.
        is_open: Whether the writer still takes records.

    Attributes:
        suspects: Whether another writer was live when this one was made. False after
            `warn_of_others`.
    """

    def __init__(self, path: Path, is_open: Callable[[], bool]) -> None:
        self._path = path
        self._is_open = is_open
        self._directory = path.parent.resolve()
        self._made_at = caller_place()
        self.suspects = self._directory not in _warned and self._find_other() is not None
        number = next(_numbers)
        _present[number] = weakref.ref(self, lambda _: _present.pop(number, None))

    def warn_of_others(self) -> None:
        """Warn if another live writer is in the directory, once for each directory.

        Warns:
            EventWriterWarning: There is one.
        """
        self.suspects = False
        other = self._find_other()
        if other is not None and self._directory not in _warned:
            _warned.add(self._directory)
            warn_caller(
                f"{self._directory}: expected one live writer, got two: the one made at "
                f"{self._made_at}, which writes {self._path.name}, and {other}. TensorBoard shows "
                "only part of two files that grow at the same time. Give each writer a directory "
                "of its own."
            )

    def _find_other(self) -> str | None:
        """Describe another live writer of the directory, if there is one."""
        for reference in list(_present.values()):
            other = reference()
            if other is None or other is self or other._directory != self._directory:
                continue
            if other._is_open():
                return f"the one made at {other._made_at}, which writes {other._path.name}"
        for path in _newest_files(self._directory):
            if str(path) not in _made and _is_marked(path):
                return f"one of another process, which writes {path.name}"
        return None


def _newest_files(directory: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        names = (entry.name for entry in os.scandir(directory) if "tfevents" in entry.name)
        return [directory / name for name in heapq.nlargest(_FILES_CHECKED, names)]
    return []


def _is_marked(path: Path) -> bool:
    """Return whether an open descriptor of any process marks an event file."""
    if not hasattr(fcntl, "F_OFD_GETLK"):
        return False
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _lock(fcntl.F_RDLCK))
        found: int = _FLOCK.unpack(answer)[0]
    except OSError:
        return False
    else:
        return found != fcntl.F_UNLCK
    finally:
        os.close(fd)


def _lock(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, _LOCKED_BYTE, 1, 0)


if hasattr(os, "register_at_fork"):
    # The files are the parent's, and the parent may go on to write.
    os.register_at_fork(after_in_child=_made.clear)
