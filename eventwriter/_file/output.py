"""The event file on disk: bytes to their places, and what happens when the file goes away.

While a job runs, people clear `runs/`, copy a run over it, or truncate a file; and a program may
close a descriptor that is not its own, which the system then gives to another file. So before a
batch is written, the file is looked at: by its path, by its descriptor, and by its size.

- If only the descriptor is wrong, the file is opened again. Nothing is ever written through a
  descriptor that does not belong to the file.
- If the file is gone, is another one, or was cut, a new event file is made in the same directory,
  and one warning says so.

Places are counted over all files of one writer: a new file goes on where the old one ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from eventwriter._file.run_directory import create_event_file, version_record
from eventwriter._file.whole_file import sync_path
from eventwriter._warn import warn_from_thread

if TYPE_CHECKING:
    from eventwriter.typing import PathLike

_OPEN_FLAGS = os.O_WRONLY | getattr(os, "O_BINARY", 0)


class Output:
    """The file of one writer. Its owner lets one thread at a time write.

    Args:
        log_dir: The directory, which is made where missing.
        suffix: Appended to the file's name.

    Raises:
        ArgumentTypeError, ArgumentValueError: The directory or the suffix cannot be one.
        OSError: The directory or the file cannot be made.

    Attributes:
        path: The file.
    """

    def __init__(self, log_dir: PathLike, suffix: str) -> None:
        self._suffix = suffix
        self._base = 0  # the place of the file's first byte
        self._create(log_dir)

    def _create(self, log_dir: PathLike) -> None:
        self.path, self._fd = create_event_file(log_dir, self._suffix)
        found = os.fstat(self._fd)
        self._identity = found.st_dev, found.st_ino
        there = self.path.stat()
        # On a file system that gives a file no lasting number, the file cannot be recognised.
        self._can_recognise = (there.st_dev, there.st_ino) == self._identity
        self._end = 0  # no byte was written at this offset of the file, or beyond it

    def replace_if_lost(self, written: int, resume: int, records: int) -> bool:
        """Look whether the file is still there. If it is not, make a new one.

        Args:
            written: The place up to which everything is written.
            resume: The place that the next byte has if the file has to be a new one.
            records: How many records the file holds, for the warning.

        Returns:
            Whether the file is a new one.

        Raises:
            OSError: The new file cannot be made.
        """
        fault = self._find_fault(written - self._base)
        if not fault:
            return False
        lost, directory = self.path, self.path.parent
        self.close()
        self._create(directory)
        version = version_record()
        self._base = resume - len(version)
        self.write(memoryview(version), self._base)
        warn_from_thread(
            f"{lost}: expected the event file, but {fault}. It held {records} records. Logging "
            f"goes on in {self.path.name}. Stop the writer before you change its directory."
        )
        return True

    def _find_fault(self, size: int) -> str:
        """Return what happened to the file, or "". Forget a wrong descriptor."""
        if not self._can_recognise:
            return ""
        if self._fd >= 0 and not self._is_ours():
            self._fd = -1  # it is not ours to close
        try:
            there = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return "it was removed"
        if (there.st_dev, there.st_ino) != self._identity:
            return "another file is in its place"
        if there.st_size < size:
            return f"it was cut to {there.st_size} bytes of {size}"
        if there.st_size > self._end:
            return "somebody else has written to it"
        return ""

    def _is_ours(self) -> bool:
        try:
            found = os.fstat(self._fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def write(self, view: memoryview, place: int) -> int:
        """Write to a place, and return how many bytes were written: at least one.

        Raises:
            OSError: The disk refused, or took nothing without giving a reason.
        """
        if self._fd < 0:
            # The file was closed, and a call came after it; or the descriptor was a wrong one.
            self._fd = os.open(self.path, _OPEN_FLAGS)
        offset = place - self._base
        self._end = max(self._end, offset + len(view))
        if hasattr(os, "pwrite"):
            written = os.pwrite(self._fd, view, offset)
        else:  # Windows
            os.lseek(self._fd, offset, os.SEEK_SET)
            written = os.write(self._fd, view)
        if not written:
            raise OSError(errno.EIO, "the system wrote nothing and gave no reason")
        return written

    def sync(self) -> None:
        """Have the operating system put the file and its name on the disk."""
        if self._fd >= 0:
            os.fsync(self._fd)
            # Where the directory was removed, the next write makes a new file, and says so.
            with contextlib.suppress(FileNotFoundError):
                sync_path(self.path.parent)

    @property
    def is_open(self) -> bool:
        """Whether a descriptor is open."""
        return self._fd >= 0

    def close(self) -> None:
        """Close the descriptor, unless somebody else did and it is another file's now."""
        if self._fd >= 0:
            fd, is_ours = self._fd, not self._can_recognise or self._is_ours()
            self._fd = -1
            if is_ours:
                os.close(fd)
