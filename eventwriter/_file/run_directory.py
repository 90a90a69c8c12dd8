"""A run's directory: where it lies, and what the event files in it are called."""

from __future__ import annotations

import itertools
import os
import re
import time
from datetime import datetime
from pathlib import Path

from eventwriter._file.framing import frame
from eventwriter._proto.event_pb2 import Event
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

EVENT_PREFIX = "events.out.tfevents."
_NAME = re.compile(re.escape(EVENT_PREFIX) + r"(\d+)")
# A scheme of two letters or more, as one letter is a drive; Path makes one slash of two.
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_file_numbers = itertools.count()
_worker_numbers = itertools.count(1)


def create_event_file(log_dir: str | os.PathLike[str], suffix: str) -> tuple[Path, int]:
    """Make a new event file that sorts after all others of its directory; open it."""
    directory = check_log_dir(log_dir).absolute()
    _check_suffix(suffix)
    directory.mkdir(parents=True, exist_ok=True)
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
    """Return the first record of an event file, framed: its version and the time.

    TensorBoard's reader in Python parses the number: below 2 it would purge points by their steps.
    """
    event = Event(wall_time=time.time(), file_version="brain.Event:2")
    return frame(event.SerializeToString())


def host_name() -> str:
    """Return the name of this machine."""
    # Imported when a file is made: of a fresh process's start it would take a tenth.
    import socket  # noqa: PLC0415

    return socket.gethostname()


def check_log_dir(log_dir: object) -> Path:
    """Return the path of a run's directory.

    Raises:
        ArgumentTypeError: It is no path.
        ArgumentValueError: It is the address of a remote store, or TensorBoard would take the
            directory for a file.
    """
    if not isinstance(log_dir, (str, os.PathLike)):
        raise ArgumentTypeError(f"log_dir: expected a path, got {type(log_dir).__name__}.")
    name = os.fspath(log_dir)
    if not isinstance(name, str):
        raise ArgumentTypeError("log_dir: expected a path as str, got bytes. Decode it first.")
    if not name or "\0" in name:
        raise ArgumentValueError(f"log_dir: expected the path of a directory, got {name!r}.")
    if _REMOTE.match(name):
        raise ArgumentValueError(
            f"log_dir: expected a directory of a file system, got {name!r}. Mount the store, or "
            "log to a local directory and copy it."
        )
    path = Path(name).expanduser()
    if "tfevents" in path.name:
        raise ArgumentValueError(
            f"log_dir: {name!r} has 'tfevents' in its last part, so that TensorBoard would open "
            "the directory as an event file. Choose another name."
        )
    return path


def _check_suffix(suffix: object) -> None:
    if not isinstance(suffix, str):
        raise ArgumentTypeError(f"filename_suffix: expected a str, got {type(suffix).__name__}.")
    if "/" in suffix or os.sep in suffix or "\0" in suffix or suffix.endswith(".profile-empty"):
        raise ArgumentValueError(
            f"filename_suffix: expected part of a file name, got {suffix!r}. TensorBoard skips "
            "files that end in '.profile-empty'."
        )


def worker_dir(base_dir: Path) -> Path:
    """Return a run of its own for a copy: two files at once in one run would hide each other."""
    number = next(_worker_numbers)
    return base_dir / (f"worker-{os.getpid()}" + (f"-{number}" if number > 1 else ""))


def default_log_dir(comment: str) -> str:
    now = datetime.now().strftime("%b%d_%H-%M-%S")
    return os.path.join("runs", f"{now}_{host_name()}{comment}")  # noqa: PTH118


def holds_events(directory: Path) -> bool:
    return directory.is_dir() and any("tfevents" in path.name for path in directory.iterdir())
