"""The directory of a run, and the names of the event files in it."""

from __future__ import annotations

import itertools
import os
import re
import time
from datetime import datetime
from pathlib import Path

from eventwriter._file.framing import frame
from eventwriter._file.whole_file import make_directory
from eventwriter._imports import importing
from eventwriter._proto.event_pb2 import Event
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

EVENT_PREFIX = "events.out.tfevents."
_NAME = re.compile(re.escape(EVENT_PREFIX) + r"(\d+)")
# A scheme has two letters or more, because one letter is a drive of Windows. There is one slash,
# because Path makes one of two.
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_file_numbers = itertools.count()
_worker_numbers = itertools.count(1)


def create_event_file(log_dir: str | os.PathLike[str], suffix: str) -> tuple[Path, int]:
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
        (int(found[1]) for path in directory.iterdir() if (found := _NAME.match(path.name))),
        default=0,
    )
    seconds = max(int(time.time()), newest + 1)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = directory / event_file_name(seconds, suffix)
        try:
            return path, os.open(path, flags, 0o666)
        except FileExistsError:
            continue


def event_file_name(seconds: int, suffix: str = "") -> str:
    """Return a name that this process has not given to an event file yet.

    It is `events.out.tfevents.<seconds>.<host>.<pid>.<counter><suffix>`. The numbers are padded
    with zeros, because TensorBoard reads the files of a run in the order of their names.
    """
    host = host_name().replace(os.sep, "_")
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
    """Return the name of this machine."""
    # Imported when a file is made: it would take a tenth of a fresh process's start.
    with importing():
        import socket  # noqa: PLC0415

    return socket.gethostname()


def check_log_dir(log_dir: object) -> Path:
    """Return the path of a run's directory.

    Raises:
        ArgumentTypeError: The argument is no path.
        ArgumentValueError: The argument is the address of a remote store, or TensorBoard would
            take the directory for an event file.
    """
    if not isinstance(log_dir, (str, os.PathLike)):
        raise ArgumentTypeError(f"log_dir: expected a path, got {type_name(log_dir)}. Pass a str.")
    name = os.fspath(log_dir)
    if not isinstance(name, str):
        raise ArgumentTypeError("log_dir: expected a path as str, got bytes. Decode it first.")
    if not name or "\0" in name:
        raise ArgumentValueError(
            f"log_dir: expected the path of a directory, got {name!r}. Pass '.' for this one."
        )
    if _REMOTE.match(name):
        raise ArgumentValueError(
            f"log_dir: expected a directory of a file system, got {name!r}. Mount the store, or "
            "log to a local directory and copy it."
        )
    path = Path(name).expanduser()
    if "tfevents" in path.name:
        raise ArgumentValueError(
            f"log_dir: expected a last part without 'tfevents', got {name!r}. TensorBoard would "
            "open the directory as an event file. Choose another name."
        )
    return path


def _check_suffix(suffix: object) -> None:
    if not isinstance(suffix, str):
        raise ArgumentTypeError(
            f"filename_suffix: expected a str, got {type_name(suffix)}. Pass part of a name."
        )
    if "/" in suffix or os.sep in suffix or "\0" in suffix or suffix.endswith(".profile-empty"):
        raise ArgumentValueError(
            f"filename_suffix: expected part of a file name, got {suffix!r}. Leave out slashes and "
            "null characters, and '.profile-empty': TensorBoard skips files that end so."
        )


def worker_dir(base_dir: Path) -> Path:
    """Return the directory of a run for a copy of a writer in another process.

    The copy gets a run of its own, because one of TensorBoard's readers does not go back to a
    file of a run once it has read a later file.
    """
    number = next(_worker_numbers)
    return base_dir / (f"worker-{os.getpid()}" + (f"-{number}" if number > 1 else ""))


def default_log_dir(comment: str) -> str:
    """Return the directory that a writer without `log_dir` uses, relative to the current one."""
    now = datetime.now().strftime("%b%d_%H-%M-%S")
    return os.path.join("runs", f"{now}_{host_name()}{comment}")  # noqa: PTH118


def holds_events(directory: Path) -> bool:
    """Return whether a directory holds event files, by TensorBoard's rule for their names."""
    return directory.is_dir() and any("tfevents" in path.name for path in directory.iterdir())
