"""add_scalar: the caller's time, and all CPU, flush and close included."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring import Stopwatch, names, nbytes, repeated, warm_up
from benchmarks.question import Cell, Metrics, Question, Target
from benchmarks.writers import OURS, TORCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.writers import Library

FLOOR = "an empty call with time.time()"
BURST = 1000

VALUES: dict[str, Callable[[], Any]] = {
    "float": lambda: 0.4321,
    "numpy": lambda: np.float32(0.4321),
    "torch": lambda: importlib.import_module("torch").tensor(0.4321),
    "jax": lambda: importlib.import_module("jax.numpy").asarray(0.4321),
}


@dataclass(frozen=True)
class Case:
    tags: int
    value: str
    secs: float


def cases(quick: bool) -> dict[str, Case]:
    secs = 0.002 if quick else 0.15
    counts = (1, 10) if quick else (1, 10, 100, 1_000, 10_000)
    by_tags = {
        f"{tags:,} tag{'s' * (tags > 1)}, float": Case(tags, "float", secs) for tags in counts
    }
    # Frameworks' own values cost all writers some microseconds to take.
    kinds = {"numpy": secs, "torch": secs / 5, "jax": secs / 5}
    return by_tags | {f"1 tag, {kind}": Case(1, kind, some) for kind, some in kinds.items()}


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    warm_up(library, directory)
    value = VALUES[case.value]()
    calls = max(library.calls(case.secs), case.tags)
    tags = repeated(names(case.tags), calls)

    writer = library.open(directory / "cpu")
    scalar = writer.scalar
    before = nbytes(directory / "cpu")
    with Stopwatch() as watch:
        for step, tag in enumerate(tags):
            scalar(tag, value, step)
        writer.flush()
        writer.close()
    size = nbytes(directory / "cpu") - before

    writer = library.open(directory / "caller")
    bursts = []
    for _ in range(min(50, max(2, calls // BURST))):
        bursts.append(burst(writer.scalar, value))
        writer.flush()
    writer.close()
    return {
        "cpu": watch.cpu / calls * 1e6,
        "caller": median(bursts) * 1e6,
        "bytes": size / calls,
        "calls": calls,
    }


def burst(scalar: Callable[[str, Any, int], Any], value: Any) -> float:
    """Return the seconds of a call, among many of one tag with nothing pending before."""
    started = time.perf_counter()
    for step in range(BURST):
        scalar("train/metric_0000000", value, step)
    return (time.perf_counter() - started) / BURST


def empty_call(case: Case, directory: Path) -> Metrics:  # noqa: ARG001 - a reference's arguments
    now = time.time

    def empty(tag: str, value: Any, step: int) -> None:  # noqa: ARG001 - add_scalar's arguments
        now()

    bursts = [burst(empty, 0.4321) for _ in range(200)]
    return {"cpu": median(bursts) * 1e6, "caller": median(bursts) * 1e6, "calls": BURST}


ONE, THOUSAND = "1 tag, float", "1,000 tags, float"
QUESTION = Question(
    name="scalar",
    asks=(
        "One add_scalar: all CPU of the process for a call, flush and close included, and the "
        "caller's time in bursts of 1,000 with nothing pending."
    ),
    units={"cpu": "µs", "caller": "µs", "bytes": "", "calls": ""},
    cases=cases,
    measure=measure,
    headline=ONE,
    references={FLOOR: empty_call},
    targets=(
        *(
            Target(
                f"add_scalar, all CPU, {case}: torch's / ours",
                Cell(TORCH, case, "cpu"),
                100,
                "at least",
                per=Cell(OURS, case, "cpu"),
            )
            for case in (ONE, THOUSAND)
        ),
        Target(
            "add_scalar, all CPU, 1 tag, where torch takes 70 µs",
            Cell(OURS, ONE, "cpu"),
            0.7,
            unit="µs",
        ),
        Target(
            "add_scalar, caller: ours / an empty call with time.time()",
            Cell(OURS, ONE, "caller"),
            3,
            per=Cell(FLOOR, ONE, "caller"),
        ),
    ),
)
