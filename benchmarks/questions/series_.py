"""A whole curve at once."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import Stopwatch, nbytes, warm_up
from benchmarks.question import Cell, Metrics, Question, Target
from benchmarks.writers import LIBRARIES, OURS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.writers import Library

FLOOR = "a call of crc32c on 38 bytes"
SERIES = "eventwriter, add_scalar_series"
TAG = "loss/train"


@dataclass(frozen=True)
class Case:
    points: int
    secs: float


def cases(quick: bool) -> dict[str, Case]:
    counts = (1_000,) if quick else (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    return {f"{points:,} points": Case(points, 0.002 if quick else 0.15) for points in counts}


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    """Log point by point, as all but `add_scalar_series` must."""
    warm_up(library, directory)
    points = min(case.points, library.calls(case.secs))
    values = np.linspace(1, 0, points, dtype=np.float32).tolist()
    writer = library.open(directory / "run")
    before = nbytes(directory / "run")
    with Stopwatch() as watch:
        for step, value in enumerate(values):
            writer.scalar(TAG, value, step)
        writer.flush()
        writer.close()
    size = nbytes(directory / "run") - before
    return {"cpu": watch.cpu / points * 1e6, "bytes": size / points, "points": points}


def series(case: Case, directory: Path) -> Metrics:
    from eventwriter import SummaryWriter  # noqa: PLC0415 - not in a peer's process

    warm_up(LIBRARIES[OURS], directory)
    values = np.linspace(1, 0, case.points, dtype=np.float32)
    steps = np.arange(case.points)
    repeats = max(1, 100_000 // case.points)
    writer = SummaryWriter(directory / "run")
    before = nbytes(directory / "run")
    with Stopwatch() as watch:
        for _ in range(repeats):
            writer.add_scalar_series(TAG, values, steps)
            writer.flush()
        writer.close()
    points = case.points * repeats
    size = nbytes(directory / "run") - before
    return {"cpu": watch.cpu / points * 1e6, "bytes": size / points, "points": points}


def checksum(case: Case, directory: Path) -> Metrics:  # noqa: ARG001 - a reference's arguments
    crc32c = importlib.import_module("crc32c").crc32c
    record, calls = bytes(range(38)), 100_000
    started = time.process_time()
    for _ in range(calls):
        crc32c(record)
    return {"cpu": (time.process_time() - started) / calls * 1e6, "points": calls}


MILLION = "1,000,000 points"
QUESTION = Question(
    name="series",
    asks=(
        "Points of one curve that are arrays already: all CPU for a point, flush and close "
        "included. Only add_scalar_series takes arrays; the others get point by point, fewer of "
        "them."
    ),
    units={"cpu": "µs", "bytes": "", "points": ""},
    cases=cases,
    measure=measure,
    headline=MILLION,
    references={SERIES: series, FLOOR: checksum},
    targets=(
        Target(
            "add_scalar_series, a point / a call of crc32c (0.1 µs where that takes 0.12)",
            Cell(SERIES, MILLION, "cpu"),
            0.1 / 0.12,
            per=Cell(FLOOR, MILLION, "cpu"),
        ),
    ),
)
