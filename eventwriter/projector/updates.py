"""Updates: how a running TensorBoard learns of a run's new embeddings.

The plugin reads configurations again only when the set of runs has changed. A run is a directory
with an event file. So there is one event file without data, and each update moves it to a directory
with a new name. The old run then vanishes from the dashboards, so that there is one such run,
however many embeddings there are. It stays when training ends: to remove it would restore the set
of runs that TensorBoard may have seen last. The emptied directory stays for some seconds, because
TensorBoard's reader in Python (`--load_fast=false`) dies when a directory vanishes while the reader
discovers it. When a directory vanishes later, the reader says "Deleting accumulator" and goes on.
"""

from __future__ import annotations

import contextlib
import re
import stat
import time
from typing import TYPE_CHECKING

from eventwriter._file.run_directory import EVENT_PREFIX, event_file_name, version_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SETTLE_SECS = 2.0
"""How long an emptied directory stays. TensorBoard discovers a directory in far less time."""


class Updates:
    """The event file without data, and the directories `update-<n>` that it was moved through."""

    def __init__(self, assets: Path) -> None:
        self._assets = assets
        self._file: Path | None = None
        self._number = 0
        # Directories to remove, in the order in which they were left.
        self._emptied: dict[Path, None] = {}

    def move(self, write_file: Callable[[Path, Iterable[bytes]], None]) -> Path | None:
        """Move the event file to a new directory, which changes the set of runs.

        Returns:
            The file's new path. None if somebody removed it meanwhile.

        Raises:
            OSError: The directory of all updates was removed, or the disk refused.
        """
        if self._file is None or not _is_update(self._file):
            self._find()
        source, target = self._file, self._new_directory()
        name = source.name if source else event_file_name(int(time.time()))
        if source is None:
            write_file(target / name, (version_record(),))
        else:
            # If a signal handler has moved the file meanwhile, the set of runs has changed.
            with contextlib.suppress(FileNotFoundError):
                source.rename(target / name)
            self._emptied[source.parent] = None
        self._file = target / name if (target / name).exists() else None
        if self._file is None:
            self._emptied[target] = None
        self._remove_emptied()
        return self._file

    def _new_directory(self) -> Path:
        while True:
            self._number += 1
            target = self._assets / f"update-{self._number}"
            with contextlib.suppress(FileExistsError):
                target.mkdir()
                return target

    def _find(self) -> None:
        """Look for what other writers left."""
        self._file = None
        names = (re.fullmatch(r"update-(\d+)", path.name) for path in self._assets.iterdir())
        for number, name in sorted((int(name[1]), name[0]) for name in names if name):
            path = self._assets / name
            self._number = max(self._number, number)
            self._emptied[path] = None
            for file in path.glob(EVENT_PREFIX + "*"):
                self._file = file if _is_update(file) else self._file
        if self._file is not None:
            self._emptied.pop(self._file.parent, None)

    def _remove_emptied(self) -> None:
        settled = time.time() - SETTLE_SECS
        for path in list(self._emptied):  # A signal handler may add others meanwhile.
            with contextlib.suppress(OSError):  # not empty, or another writer was faster
                if path.lstat().st_mtime >= settled:
                    break  # Those that were left later are not looked at.
                path.rmdir()
            self._emptied.pop(path, None)


def _is_update(file: Path) -> bool:
    """Return whether this is an event file without data, in a directory that is no link.

    A link may lead to another run, whose file is not ours to move.
    """
    try:
        directory, found = file.parent.lstat(), file.lstat()
    except OSError:  # removed
        return False
    is_file = stat.S_ISDIR(directory.st_mode) and stat.S_ISREG(found.st_mode)
    return is_file and found.st_size <= len(version_record())
