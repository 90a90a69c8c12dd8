"""How long logging holds up a training loop."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import names, warm_up
from benchmarks.question import Cell, Metrics, Question, Target
from benchmarks.writers import OURS, TORCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.writers import Library

NOTHING = "nothing logged"
STEP_SECS = 1e-3
SCALARS, HISTOGRAMS, HISTOGRAM_VALUES = 100, 5, 10_000


@dataclass(frozen=True)
class Case:
    work: Callable[[int], None]
    steps: int
    secs: float


def release(amount: int) -> None:
    """Work as frameworks do: in C, without the interpreter's lock."""
    hashlib.sha256(memoryview(_BUFFER)[: amount * 64])


def hold(amount: int) -> None:
    """Work in Python alone."""
    for _ in range(amount):
        pass


_BUFFER = bytes(8 << 20)


def cases(quick: bool) -> dict[str, Case]:
    steps, secs = (20, 1.0) if quick else (5_000, 6.0)
    return {
        "steps release the GIL": Case(release, steps, secs),
        "steps hold the GIL": Case(hold, steps, secs),
    }


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    warm_up(library, directory)
    writer = library.open(directory / "run")
    tags = names(SCALARS)
    values = np.random.default_rng(0).standard_normal(HISTOGRAM_VALUES, np.float32)

    def log(step: int) -> None:
        for tag in tags:
            writer.scalar(tag, 0.4321, step)
        for number in range(HISTOGRAMS):
            writer.histogram(f"layer_{number}/weights", values, step)

    try:
        return pauses(case, log)
    finally:
        writer.close()


def nothing(case: Case, directory: Path) -> Metrics:  # noqa: ARG001 - a reference's arguments
    return pauses(case, log_nothing)


def log_nothing(step: int) -> None:
    """Stand for `log` of `measure`."""


def pauses(case: Case, log: Callable[[int], None]) -> Metrics:
    """Return by how much steps last longer than the median of those before any logging."""
    amount = calibrated(case.work)
    usual = float(np.median(durations(case, amount, log_nothing, case.steps // 10)))
    longer = np.array(durations(case, amount, log, case.steps)) - usual
    return {
        "p99.9": float(np.percentile(longer, 99.9)) * 1e3,
        "longest": float(longer.max()) * 1e3,
        "median": float(np.median(longer)) * 1e3,
        "steps": len(longer),
    }


def durations(case: Case, amount: int, log: Callable[[int], None], steps: int) -> list[float]:
    """Return the seconds of each step, for as many as the case's time allows."""
    found: list[float] = []
    begin = time.perf_counter()
    for step in range(steps):
        start = time.perf_counter()
        case.work(amount)
        log(step)
        end = time.perf_counter()
        found.append(end - start)
        if end - begin > case.secs:
            break
    return found


def calibrated(work: Callable[[int], None]) -> int:
    """Return the amount of work that lasts for STEP_SECS."""
    amount = 1_000

    def best() -> float:
        times = []
        for _ in range(20):
            start = time.perf_counter()
            work(amount)
            times.append(time.perf_counter() - start)
        return min(times)

    for _ in range(3):
        amount = int(amount * STEP_SECS / best())
    return amount


RELEASED, HELD = "steps release the GIL", "steps hold the GIL"
QUESTION = Question(
    name="stall",
    asks=(
        f"Steps of 1 ms that log {SCALARS} scalars and {HISTOGRAMS} histograms of "
        f"{HISTOGRAM_VALUES:,} values each: by how much a step lasts longer than one without "
        "logging. Slow libraries get fewer steps, so their 99.9th percentile is nearly their "
        "longest."
    ),
    units={"p99.9": "ms", "longest": "ms", "median": "ms", "steps": ""},
    cases=cases,
    measure=measure,
    headline=RELEASED,
    references={NOTHING: nothing},
    rounds=3,
    targets=tuple(
        target
        for case, limit in ((RELEASED, 1), (HELD, 6))
        for target in (
            Target(
                f"stall, 99.9th percentile more than without logging, {case}",
                Cell(OURS, case, "p99.9"),
                limit,
                minus=Cell(NOTHING, case, "p99.9"),
                unit="ms",
            ),
            Target(
                f"stall, 99.9th percentile: ours / torch's, {case}",
                Cell(OURS, case, "p99.9"),
                0.1,
                per=Cell(TORCH, case, "p99.9"),
            ),
        )
    ),
)
