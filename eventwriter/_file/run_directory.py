"""The directory of a run, and the names of the event files in it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from eventwriter._file.framing import frame
from eventwriter._file.presence import mark
from eventwriter._file.whole_file import make_directory
from eventwriter._imports import importing
from eventwriter._proto.event_pb2 import Event
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventwriter.typing import PathLike

EVENT_PREFIX = "events.out.tfevents."
_NAME = re.compile(re.escape(EVENT_PREFIX) + r"(\d+)")
# A scheme has two letters or more, because one letter is a drive of Windows. There is one slash,
# because Path makes one of two.
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_file_numbers = itertools.count()


def create_event_file(log_dir: PathLike, suffix: str) -> tuple[Path, int]:
    """Make and open a new event file that sorts after all others of its directory.

    Its seconds are the later of now and one more than the newest there, so that a restart sorts
    last even when the clock went back.

    Returns:
        The path, and a descriptor that is open for writing.

    Raises:
        ArgumentTypeError, ArgumentValueError: The directory or the suffix cannot be one.
        OSError: The directory or the file cannot be made.
    """
    directory = check_log_dir(log_dir).absolute()
    _check_suffix(suffix)
    make_directory(directory)
    newest = max(
        (int(found[1]) for name in _names(directory) if (found := _NAME.match(name))),
        default=0,
    )
    seconds = max(int(time.time()), newest + 1)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = directory / event_file_name(seconds, suffix)
        try:
            fd = os.open(path, flags, 0o666)
        except FileExistsError:
            continue
        mark(fd, path)
        return path, fd


def event_file_name(seconds: int, suffix: str = "") -> str:
    """Return a name that this process has not given to an event file yet.

    It is `events.out.tfevents.<seconds>.<host>.<pid>.<counter><suffix>`. The numbers are padded
    with zeros, because TensorBoard reads the files of a run in the order of their names.
    """
    host = host_name()
    counter = next(_file_numbers)
    return f"{EVENT_PREFIX}{seconds:010d}.{host}.{os.getpid():07d}.{counter:06d}{suffix}"


def version_record() -> bytes:
    """Return the first record of an event file, framed: the file's version and the time.

    TensorBoard's reader in Python parses the version. Below 2 it would drop points whose steps
    are out of order.
    """
    event = Event(wall_time=time.time(), file_version="brain.Event:2")
    return frame(event.SerializeToString())


def host_name() -> str:
    """Return the name of this machine, as a part of a file's name."""
    # Imported when a file is made: it would take a tenth of a fresh process's start.
    with importing():
        import socket  # noqa: PLC0415

    name = socket.gethostname().encode(errors="replace").decode()
    return re.sub(r"[/\\\0]|(?<=tf)(?=events)", "_", name)


def check_log_dir(log_dir: object) -> Path:
    """Return the path of a run's directory. A leading `~` or `~user` becomes a home directory.

    Raises:
        ArgumentTypeError: The argument is no path.
        ArgumentValueError: The argument is the address of a remote store, its user is unknown, or
            TensorBoard could not show a run of this name.
    """
    if not isinstance(log_dir, (str, os.PathLike)):
        raise ArgumentTypeError(f"log_dir: expected a path, got {type_name(log_dir)}. Pass a str.")
    name = os.fspath(log_dir)
    if not isinstance(name, str):
        raise ArgumentTypeError("log_dir: expected a path as str, got bytes. Decode it first.")
    _check_text(name, "log_dir")
    if not name:
        raise ArgumentValueError(
            "log_dir: expected the path of a directory, got ''. Pass '.' for this one."
        )
    if _REMOTE.match(name):
        raise ArgumentValueError(
            f"log_dir: expected a directory of a file system, got {name!r}. Mount the store, or "
            "log to a local directory and copy it."
        )
    path = Path(name)
    if name.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError as error:
            raise ArgumentValueError(
                f"log_dir: expected '~' or '~' and the name of a user, got {name!r}: {error} Pass "
                "the whole path, or './~...' for a directory of this name."
            ) from None
    if "tfevents" in path.name:
        raise ArgumentValueError(
            f"log_dir: expected a last part without 'tfevents', got {name!r}. TensorBoard would "
            "open the directory as an event file. Choose another name."
        )
    for parent in path.parents:
        if "tfevents" in parent.name and holds_events(parent.parent):
            raise ArgumentValueError(
                f"log_dir: expected no 'tfevents' below {str(parent.parent)!r}, which is a run, "
                f"got {name!r}. TensorBoard would open {parent.name!r} as an event file of that "
                "run. Choose another name."
            )
    return path


def _check_text(text: str, argument: str) -> None:
    """Refuse what no name of a file can hold, or what no reader could decode.

    TensorBoard's reader in Python shows no run at all where a name is not UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentValueError(
            f"{argument}: expected text that UTF-8 can encode, got {text!r}. TensorBoard would "
            "show no run. Leave out the lone surrogates, which stand for undecodable bytes."
        ) from None
    if "\0" in text:
        raise ArgumentValueError(
            f"{argument}: expected no null character, got {text!r}. Leave it out."
        )


def _check_suffix(suffix: object) -> None:
    if not isinstance(suffix, str):
        raise ArgumentTypeError(
            f"filename_suffix: expected a str, got {type_name(suffix)}. Pass part of a name."
        )
    _check_text(suffix, "filename_suffix")
    if "/" in suffix or os.sep in suffix or suffix.endswith(".profile-empty"):
        raise ArgumentValueError(
            f"filename_suffix: expected part of a file name, got {suffix!r}. Leave out slashes, "
            "and '.profile-empty': TensorBoard skips files that end so."
        )


def default_log_dir(comment: str) -> Path:
    """Return the directory that a writer without `log_dir` wants, relative to the current one.

    Raises:
        ArgumentTypeError, ArgumentValueError: The comment is no part of a name, or would lead out
            of `runs`.
    """
    if not isinstance(comment, str):
        raise ArgumentTypeError(
            f"comment: expected a str, got {type_name(comment)}. Pass part of a name."
        )
    _check_text(comment, "comment")
    parts = re.split(r"[/\\]", comment)
    if ".." in parts or any("tfevents" in part for part in parts):
        raise ArgumentValueError(
            f"comment: expected part of a name below 'runs', without '..' and 'tfevents', got "
            f"{comment!r}. Pass log_dir to choose the directory."
        )
    now = datetime.now().strftime("%b%d_%H-%M-%S")
    return Path("runs", f"{now}_{host_name()}{comment}")


def worker_dir(base_dir: Path) -> Path:
    """Return the directory that a copy of a writer in another process wants.

    The copy gets a run of its own, because one of TensorBoard's readers does not go back to a
    file of a run once it has read a later file.
    """
    return base_dir / f"worker-{os.getpid()}"


@contextmanager
def new_directory(wanted: Path) -> Iterator[Path]:
    """Make a directory that no other writer has, and yield its path.

    If the wanted name is taken, a number is appended: `worker-1-2`. If the block raises, what was
    made is removed again, unless something is in it.

    Raises:
        OSError: The directory cannot be made.
    """
    missing = [parent for parent in wanted.parents if not parent.exists()]
    make_directory(wanted.parent)
    for number in itertools.count(1):
        path = wanted.with_name(f"{wanted.name}-{number}") if number > 1 else wanted
        # Only the system can decide who was first: two containers may share a host name, a process
        # id and a disk.
        with contextlib.suppress(FileExistsError):
            make_directory(path, exist_ok=False)
            break
    try:
        yield path
    except BaseException:
        with contextlib.suppress(OSError):
            for made in (path, *missing):
                made.rmdir()
        raise


def holds_events(directory: Path) -> bool:
    """Return whether a directory holds event files, by TensorBoard's rule for their names."""
    try:
        return any("tfevents" in name for name in _names(directory))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _names(directory: Path) -> Iterator[str]:
    """Return the names of the files in a directory.

    Path.iterdir would make a Path of each, which takes ten times as long.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.is_dir():
                yield entry.name
