"""Many threads at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measuring import Stopwatch, names, warm_up
from benchmarks.question import Cell, Metrics, Question, Target
from benchmarks.writers import OURS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.writers import Library, Writer


@dataclass(frozen=True)
class Case:
    threads: int
    writers: int
    secs: float


def cases(quick: bool) -> dict[str, Case]:
    secs = 0.002 if quick else 0.3
    into_one = {
        f"{threads} thread{'s' * (threads > 1)}, 1 writer": Case(threads, 1, secs)
        for threads in (1, 2, 4, 8, 16)
    }
    return into_one | {"16 threads, 16 writers": Case(16, 16, secs)}


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    warm_up(library, directory)
    writers = [library.open(directory / str(number)) for number in range(case.writers)]
    calls = max(1, library.calls(case.secs) // case.threads)
    start = threading.Barrier(case.threads + 1)

    def work(writer: Writer, tag: str) -> None:
        scalar = writer.scalar
        start.wait()
        for step in range(calls):
            scalar(tag, 0.4321, step)

    threads = [
        threading.Thread(target=work, args=(writers[number % case.writers], tag))
        for number, tag in enumerate(names(case.threads))
    ]
    for thread in threads:
        thread.start()
    start.wait()
    with Stopwatch() as watch:
        for thread in threads:
            thread.join()
        for writer in writers:
            writer.flush()
            writer.close()
    total = calls * case.threads
    return {"wall": watch.wall / total * 1e6, "cpu": watch.cpu / total * 1e6, "calls": total}


ALONE, CROWD = "1 thread, 1 writer", "16 threads, 1 writer"
QUESTION = Question(
    name="contention",
    asks=(
        "add_scalar from many threads, flush and close included: time by the clock for each call "
        "of any thread, and all CPU."
    ),
    units={"wall": "µs", "cpu": "µs", "calls": ""},
    cases=cases,
    measure=measure,
    headline=CROWD,
    rounds=3,
    targets=(
        Target(
            "threads: total throughput of 16 / of 1",
            Cell(OURS, ALONE, "wall"),
            0.7,
            "at least",
            per=Cell(OURS, CROWD, "wall"),
        ),
    ),
)
