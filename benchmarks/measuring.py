"""Clocks, memory and data that the benchmarks share.

CPU time is that of the whole process: all threads, user and system. Memory is read from /proc on
Linux. On other systems there are no figures of memory.
"""

from __future__ import annotations

import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.question import Metrics
    from benchmarks.writers import Library

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


class Stopwatch:
    """Seconds that a `with` block takes.

    Attributes:
        cpu: CPU of all threads.
        wall: By the clock on the wall.
    """

    cpu: float
    wall: float

    def __enter__(self) -> Stopwatch:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cpu = time.process_time() - self._cpu
        self.wall = time.perf_counter() - self._wall


def names(count: int) -> list[str]:
    """Return tags of 20 characters."""
    return [f"train/metric_{number:07d}" for number in range(count)]


def repeated(tags: list[str], count: int) -> list[str]:
    """Return so many tags, in turn."""
    return list(islice(cycle(tags), count))


def warm_up(library: Library, directory: Path) -> None:
    """Log a little. What a process pays only once is then in no figure."""
    writer = library.open(directory / "warm_up")
    for step in range(10):
        writer.scalar("warm_up", 0.5, step)
    writer.flush()
    writer.close()


def nbytes(directory: Path) -> int:
    """Return the size of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def memory() -> Metrics:
    """Return the process's memory in MB, now and at its peak, or nothing where unknown."""
    if not _STATUS.exists():
        return {}
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    fields = {"now": "VmRSS", "peak": "VmHWM"}
    return {name: int(lines[field].split()[0]) * 1024 / 1e6 for name, field in fields.items()}


def reset_peak() -> None:
    """Reset the peak of `memory`: it is measured from now on."""
    if _CLEAR_REFS.exists():
        _CLEAR_REFS.write_text("5")
