"""What changes as a file, its tags and the writers grow in number."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measuring import Stopwatch, memory, names, repeated, reset_peak, warm_up
from benchmarks.question import Cell, Metrics, NotMeasuredError, Question, Target
from benchmarks.writers import LIBRARIES, OURS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.writers import Library

FLOOR = "import numpy and protobuf"
BLOCKS = 100
TEN_MILLION = 10_000_000
PEERS_MOST_TAGS = 10_000


@dataclass(frozen=True)
class Case:
    records: int = 0  # of ours; the peers get what they can do in `secs`
    tags: int = 1
    writers: int = 1
    secs: float = 0.3


def cases(quick: bool) -> dict[str, Case]:
    if quick:
        return {
            "records": Case(10_000, secs=0.02),
            "10 tags": Case(tags=10, secs=0.02),
            "2 runs": Case(writers=2, secs=0.02),
        }
    # 100 million take 5 GB as this package writes them, one by one.
    return (
        {"records": Case(100_000_000, secs=5)}
        | {f"{tags:,} tags": Case(tags=tags) for tags in (100, 10_000, 100_000)}
        | {f"{writers:,} runs": Case(writers=writers) for writers in (1, 10, 100)}
    )


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    if library is not LIBRARIES[OURS] and case.tags > PEERS_MOST_TAGS:
        raise NotMeasuredError(f"not run above {PEERS_MOST_TAGS:,} tags")
    warm_up(library, directory)
    reset_peak()
    return one_file(library, case, directory) if case.records else many(library, case, directory)


def one_file(library: Library, case: Case, directory: Path) -> Metrics:
    """Return the cost of the first and of the last tenth of the calls, and the memory."""
    records = case.records if library is LIBRARIES[OURS] else library.calls(case.secs)
    block = max(1, records // BLOCKS)
    writer = library.open(directory / "run")
    (path,) = (path for path in (directory / "run").rglob("*") if path.is_file())
    scalar = writer.scalar
    costs, found = [], {}
    for first in range(0, block * BLOCKS, block):
        with Stopwatch() as watch:
            for step in range(first, first + block):
                scalar("train/metric_0000000", 0.4321, step)
        costs.append(watch.cpu / block * 1e6)
        # The file goes on at its place and stays sparse: its length grows, the disk's use not.
        os.truncate(path, 0)
        if first + block == TEN_MILLION:
            found = {f"{name} at 10M": mb for name, mb in memory().items()}
    writer.close()
    tenth = BLOCKS // 10
    costs_found = {"first": median(costs[:tenth]), "last": median(costs[-tenth:])}
    return costs_found | found | memory() | {"calls": block * BLOCKS}


def many(library: Library, case: Case, directory: Path) -> Metrics:
    """Return the cost of calls over many tags, or many writers, and the memory."""
    writers = [library.open(directory / str(number)) for number in range(case.writers)]
    calls = max(library.calls(case.secs), case.tags)
    tags = repeated(names(case.tags), calls)
    with Stopwatch() as watch:
        for step, tag in enumerate(tags):
            writers[step % case.writers].scalar(tag, 0.4321, step)
        for writer in writers:
            writer.flush()
            writer.close()
    return {"last": watch.cpu / calls * 1e6, "calls": calls} | memory()


def floor(case: Case, directory: Path) -> Metrics:  # noqa: ARG001 - a reference's arguments
    if not case.records:
        raise NotMeasuredError("see records")
    importlib.import_module("numpy")
    importlib.import_module("google.protobuf.internal.builder")  # as protoc's code does
    reset_peak()
    found = memory()
    return found | {f"{name} at 10M": mb for name, mb in found.items()}


RECORDS = "records"
QUESTION = Question(
    name="growth",
    asks=(
        "As records, tags and runs grow in number: all CPU for a call, in the first and in the "
        "last tenth of the records, logged without a pause or a flush; memory of the process "
        "after 10 million records and at the end, and at its peak. Peers get what they can write "
        "in 5 seconds."
    ),
    units={
        "last": "µs",
        "first": "µs",
        "now at 10M": "MB",
        "peak at 10M": "MB",
        "now": "MB",
        "peak": "MB",
        "calls": "",
    },
    cases=cases,
    measure=measure,
    headline=RECORDS,
    references={FLOOR: floor},
    rounds=1,
    targets=(
        Target(
            "memory after 10 million scalars above numpy + protobuf, at its peak",
            Cell(OURS, RECORDS, "peak at 10M"),
            20,
            minus=Cell(FLOOR, RECORDS, "peak at 10M"),
            unit="MB",
        ),
        Target(
            "memory, at 100 million scalars more than at 10 million",
            Cell(OURS, RECORDS, "peak"),
            1,
            minus=Cell(OURS, RECORDS, "peak at 10M"),
            unit="MB",
        ),
        Target(
            "growth: a call among the last 10 million of 100 / among the first",
            Cell(OURS, RECORDS, "last"),
            1.1,
            per=Cell(OURS, RECORDS, "first"),
        ),
    ),
)
