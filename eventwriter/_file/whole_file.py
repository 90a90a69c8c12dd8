"""Write a file whole: a reader finds the old file or the new one, never a part.

The content goes into a temporary file in the same directory. When the block ends well, that file
takes the place of `path` in one step (`os.replace`). The temporary file's name begins with a dot,
so that `ls` and globs do not show it, and never holds "tfevents", which would make TensorBoard take
its directory for a run. A process that is killed may leave a temporary file behind.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventwriter.typing import PathLike

_made: set[Path] = set()
"""Directories that this process made, and whose names may not be on the disk yet."""


@contextmanager
def whole_file(path: PathLike, *, sync: bool = False) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the place of `path` when the block ends well.

    Arguments, mode and errors are those of `whole_path`.
    """
    with whole_path(path, sync=sync) as temporary, temporary.open("xb") as file:
        yield file


@contextmanager
def whole_path(path: PathLike, *, sync: bool = False) -> Iterator[Path]:
    """Yield a path to write to, for libraries that take a path; then rename that file to `path`.

    The file's mode is what `open` gives: a new file gets the mode of the umask, and a file that
    is replaced keeps its mode. A symbolic link is followed, and the file behind it is replaced.

    Args:
        path: The file to write. Its directory must exist.
        sync: Also wait until the disk holds the file and its name (fsync), so that a power cut
            cannot undo the write.

    Yields:
        A path in the same directory, where no file is yet. It ends like `path` (its last two
        suffixes), because libraries choose the format by that.

    Raises:
        OSError: The directory or the disk refuses. It names `path`. After any exception the old
            file is still there, and the temporary file is removed.
    """
    target = Path(path).absolute()
    if target.is_symlink():
        target = Path(os.path.realpath(target))
    temporary = target.with_name(f".{os.urandom(8).hex()}.tmp{_ending(target)}")
    try:
        yield temporary
        with contextlib.suppress(OSError):  # a new file, or a file system without modes
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        if sync:
            sync_path(temporary)
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    if sync:
        sync_path(target.parent)


def is_temporary(path: Path, target: Path) -> bool:
    """Return whether a killed process may have left a file while it wrote `target`.

    The temporary files of two targets in one directory look alike if the targets end alike. Where
    a library writes its file whole as well, ".tmp" comes twice.
    """
    name = rf"\.[0-9a-f]{{16}}(\.tmp)+{re.escape(_ending(target))}"
    return re.fullmatch(name, path.name) is not None


def make_directory(path: Path, *, exist_ok: bool = True) -> None:
    """Make a directory and its parents, where they are missing. `sync_path` then knows of them.

    Raises:
        FileExistsError: The directory is there, and that is not wanted.
        OSError: A directory cannot be made.
    """
    path = path.absolute()
    if exist_ok and path.is_dir():
        return
    try:
        path.mkdir(exist_ok=exist_ok)
    except FileNotFoundError:
        if path.parent == path:  # a drive that does not exist
            raise
        make_directory(path.parent)
        path.mkdir(exist_ok=exist_ok)
    _made.add(path)


def sync_path(path: Path) -> None:
    """Wait until the disk holds a file's content, or the names in a directory (fsync).

    A directory that `make_directory` made is itself a name in its parent. So that parent is synced
    too. Windows cannot sync a directory. There this function does nothing for one.
    """
    path = path.absolute()
    _sync(path)
    while path in _made:
        _sync(path.parent)
        _made.discard(path)
        path = path.parent


def _sync(path: Path) -> None:
    is_directory = path.is_dir()
    if is_directory and os.name != "posix":
        return
    # Windows syncs only what is open for writing.
    descriptor = os.open(path, os.O_RDONLY if is_directory else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ending(target: Path) -> str:
    return "".join(target.suffixes[-2:]).replace("tfevents", "")
