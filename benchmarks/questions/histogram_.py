"""add_histogram: values of many dtypes, layouts and shapes of distribution."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measuring import Stopwatch, memory, reset_peak, warm_up
from benchmarks.question import Cell, Metrics, NotMeasuredError, Question, Target
from benchmarks.writers import LIBRARIES, OURS, TORCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.writers import Library

FLOOR = "fast-histogram, min and max"
PEERS_MOST = 10_000_000


@dataclass(frozen=True)
class Case:
    count: int
    kind: str = "float32"
    secs: float = 0.3


def cases(quick: bool) -> dict[str, Case]:
    counts = [10**exponent for exponent in (range(3, 5) if quick else range(3, 9))]
    many = 10_000 if quick else 1_000_000
    secs = 0.002 if quick else 0.3
    by_count = {f"{count:,} float32": Case(count, secs=secs) for count in counts}
    kinds = [kind for kind in KINDS if kind != "float32"]
    return by_count | {f"{many:,} {kind}": Case(many, kind, secs) for kind in kinds}


def normal(count: int) -> np.ndarray[Any, Any]:
    values = np.empty(count, np.float32)
    np.random.default_rng(0).standard_normal(out=values, dtype=np.float32)
    return values


def heavy_tails(count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_cauchy(count).astype(np.float32)


KINDS: dict[str, Callable[[int], Any]] = {
    "float32": normal,
    "float64": lambda count: normal(count).astype(np.float64),
    "float16": lambda count: normal(count).astype(np.float16),
    "bfloat16": lambda count: normal(count).astype(importlib.import_module("ml_dtypes").bfloat16),
    "int8": lambda count: (normal(count) * 30).clip(-128, 127).astype(np.int8),
    "float32, strided": lambda count: normal(2 * count)[::2],
    "float32, heavy tails": heavy_tails,
    "float32, torch's": lambda count: importlib.import_module("torch").from_numpy(normal(count)),
}


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    if library is not LIBRARIES[OURS] and case.count > PEERS_MOST:
        raise NotMeasuredError(f"not run above {PEERS_MOST:,} values")
    warm_up(library, directory)
    values = KINDS[case.kind](case.count)
    writer = library.open(directory / "run")

    def many(calls: int) -> None:
        for step in range(calls):
            writer.histogram("layer/weights", values, step)
        writer.flush()

    return timed(many, writer.close, case)


def fast_histogram(case: Case, directory: Path) -> Metrics:  # noqa: ARG001 - as references are
    histogram1d = importlib.import_module("fast_histogram").histogram1d
    values = KINDS[case.kind](case.count)
    if not isinstance(values, np.ndarray):
        values = values.numpy()

    def many(calls: int) -> None:
        for _ in range(calls):
            histogram1d(values, 30, (values.min(), values.max()))

    return timed(many, lambda: None, case)


def timed(many: Callable[[int], None], close: Callable[[], Any], case: Case) -> Metrics:
    """Return the cost of a call, among as many as `case.secs` allow, and its extra memory."""
    reset_peak()
    before = memory()
    with Stopwatch() as first:
        many(1)
    after = memory()
    calls = max(1, min(1_000, int(case.secs / first.wall)))
    with Stopwatch() as watch:
        many(calls)
        close()
    cpu = watch.cpu / calls
    extra = {"memory": after["peak"] - before["now"]} if before else {}
    return {"cpu": cpu * 1e3, "value": cpu / case.count * 1e9} | extra | {"calls": calls}


MILLION, MOST = "1,000,000 float32", "100,000,000 float32"
QUESTION = Question(
    name="histogram",
    asks=(
        "One add_histogram: all CPU for a call, flush and close included; CPU for a value; and "
        "what the first call takes of memory beyond the values."
    ),
    units={"cpu": "ms", "value": "ns", "memory": "MB", "calls": ""},
    cases=cases,
    measure=measure,
    headline=MILLION,
    references={FLOOR: fast_histogram},
    targets=(
        Target(
            "histogram of 1M float32: ours / fast-histogram with min and max",
            Cell(OURS, MILLION, "cpu"),
            1.25,
            per=Cell(FLOOR, MILLION, "cpu"),
        ),
        Target(
            "histogram of 1M float32: torch's / ours",
            Cell(TORCH, MILLION, "cpu"),
            20,
            "at least",
            per=Cell(OURS, MILLION, "cpu"),
        ),
        Target(
            "histogram: a value among 100M / a value among 1M",
            Cell(OURS, MOST, "value"),
            1.1,
            per=Cell(OURS, MILLION, "value"),
        ),
        Target("histogram of 100M: extra memory", Cell(OURS, MOST, "memory"), 32, unit="MB"),
    ),
)
