"""Processes that a test may kill, starve or interrupt, and ways to break what they write to."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventwriter.typing import PathLike

ROOT = Path(__file__).parents[2]
FORK_SECS = 60
"""The life of a forked child that hangs. Its parent, which waits for it, has `LONG_SECS`."""


def environment() -> dict[str, str]:
    """Return the environment of a child: it imports the package that is tested here."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def child(
    target: Callable[..., None], *args: object, flags: str = ""
) -> Iterator[subprocess.Popen]:
    """Run `target(*args)`, a function of a module, in a new interpreter.

    At the end of the block that process is killed, and with it all that it has started.
    """
    code = f"from {target.__module__} import {target.__name__} as f; f(*{args!r})"
    with _interpreter(*flags.split(), "-c", code) as process:
        yield process


@contextlib.contextmanager
def _interpreter(*arguments: str) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment() | {"PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            _kill(process)


def _kill(process: subprocess.Popen) -> None:
    """Kill a process and its own children. They might wait for ever, and keep its pipes open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def limit_life() -> None:
    """End this process, which is a forked child, if it hangs."""
    signal.alarm(FORK_SECS)


def run(
    target: Callable[..., None], *args: object, flags: str = "", returncode: int = 0
) -> tuple[str, str]:
    """Run `target(*args)` in a new interpreter to its end; return what it printed."""
    with child(target, *args, flags=flags) as process:
        return _output(process, returncode)


def run_module(name: str, *args: str, returncode: int = 0) -> tuple[str, str]:
    """Run `python -m NAME ARGS` to its end; return what it printed."""
    with _interpreter("-m", name, *args) as process:
        return _output(process, returncode)


def _output(process: subprocess.Popen, returncode: int) -> tuple[str, str]:
    """Wait for the end of a child, and return what it printed."""
    try:
        out, err = process.communicate(timeout=LONG_SECS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler tells where it hangs
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=FORK_SECS)
        _kill(process)
        _, err = process.communicate()
        raise AssertionError(f"the child hangs:\n{err}") from None
    assert returncode == process.returncode, err
    return out, err


def descriptor(path: PathLike) -> int:
    """Return this process's descriptor of an open file."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if entry.readlink() == Path(path).absolute():
                return int(entry.name)
    raise LookupError(f"{path} is not open")


@contextlib.contextmanager
def full_disk(path: PathLike) -> Iterator[None]:
    """Make every write to an event file fail with ENOSPC."""
    file = Path(path).stat()
    pwrite = os.pwrite

    def refuse(fd: int, data: bytes, place: int) -> int:
        if os.path.samestat(os.fstat(fd), file):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(fd, data, place)

    os.pwrite = refuse
    try:
        yield
    finally:
        os.pwrite = pwrite


@contextlib.contextmanager
def full_descriptor(path: PathLike) -> Iterator[None]:
    """Make every write to a file that Python's own `open` opened fail with ENOSPC."""
    fd = descriptor(path)
    healthy = os.dup(fd)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        os.dup2(full, fd)
        yield
    finally:
        os.dup2(healthy, fd)
        os.close(healthy)
        os.close(full)


@contextlib.contextmanager
def file_size_limit(nbytes: int) -> Iterator[None]:
    """Make every write beyond `nbytes` of any file fail with EFBIG."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def hang_disk(path: PathLike) -> None:
    """Make every write to a file block for ever in the system, like a file on a dead server."""
    _reader, full = os.pipe()
    os.set_blocking(full, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full, bytes(65536))
    os.set_blocking(full, True)
    file = Path(path).stat()
    pwrite = os.pwrite

    def hang(fd: int, data: bytes, place: int) -> int:
        if os.path.samestat(os.fstat(fd), file):
            return os.write(full, data)
        return pwrite(fd, data, place)

    os.pwrite = hang
