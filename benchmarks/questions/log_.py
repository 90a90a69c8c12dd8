"""Many scalars of one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measuring import Stopwatch, names, nbytes, warm_up
from benchmarks.question import Cell, Metrics, Question, Target
from benchmarks.writers import LIBRARIES, OURS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.writers import Library

ONE_BY_ONE = "eventwriter, add_scalar for each"


@dataclass(frozen=True)
class Case:
    names: int
    secs: float


def cases(quick: bool) -> dict[str, Case]:
    secs = 0.002 if quick else 0.15
    return {f"{count:,} a step": Case(count, secs) for count in (1, 10, 100, 1_000)}


def measure(library: Library, case: Case, directory: Path, *, each: bool = False) -> Metrics:
    warm_up(library, directory)
    metrics = dict.fromkeys(names(case.names), 0.4321)
    steps = max(2, library.calls(case.secs) // case.names)
    writer = library.open(directory / "run")
    before = nbytes(directory / "run")
    with Stopwatch() as watch:
        for step in range(steps):
            if each:
                for tag, value in metrics.items():
                    writer.scalar(tag, value, step)
            else:
                writer.log(metrics, step)
        writer.flush()
        writer.close()
    scalars = steps * case.names
    return {
        "cpu": watch.cpu / scalars * 1e6,
        "bytes": (nbytes(directory / "run") - before) / scalars,
        "scalars": scalars,
    }


def one_by_one(case: Case, directory: Path) -> Metrics:
    return measure(LIBRARIES[OURS], case, directory, each=True)


HUNDRED = "100 a step"
QUESTION = Question(
    name="log",
    asks=(
        "A dict of scalars at every step, names of 20 characters: all CPU for a scalar, flush and "
        "close included. Peers without such a call log one by one."
    ),
    units={"cpu": "µs", "bytes": "", "scalars": ""},
    cases=cases,
    measure=measure,
    headline=HUNDRED,
    references={ONE_BY_ONE: one_by_one},
    targets=(
        Target("log, 100 scalars, all CPU for each", Cell(OURS, HUNDRED, "cpu"), 0.3, unit="µs"),
        Target(
            "log, 100 scalars: bytes / one event each",
            Cell(OURS, HUNDRED, "bytes"),
            0.75,
            per=Cell(ONE_BY_ONE, HUNDRED, "bytes"),
        ),
    ),
)
