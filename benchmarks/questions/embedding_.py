"""add_embedding: points of 128 dimensions, with and without labels."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import Stopwatch, nbytes, warm_up
from benchmarks.question import Cell, Metrics, NotMeasuredError, Question, Target
from benchmarks.writers import LIBRARIES, OURS, TORCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.writers import Library

FLOOR = "ndarray.tofile"
DIMENSIONS = 128
PEERS_MOST = 20_000


@dataclass(frozen=True)
class Case:
    points: int
    labelled: bool
    secs: float

    @property
    def matrix(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        shape = self.points, DIMENSIONS
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    @property
    def labels(self) -> list[str] | None:
        return [f"word {number}" for number in range(self.points)] if self.labelled else None


def cases(quick: bool) -> dict[str, Case]:
    counts = (100,) if quick else (1_000, 20_000, 100_000)
    return {
        f"{points:,} x {DIMENSIONS}{', labels' * labelled}": Case(
            points, labelled, 0.01 if quick else 0.5
        )
        for points in counts
        for labelled in (False, True)
    }


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    if library is not LIBRARIES[OURS] and case.points > PEERS_MOST:
        raise NotMeasuredError(f"not run above {PEERS_MOST:,} points")
    warm_up(library, directory)
    matrix, labels = case.matrix, case.labels

    def once(run: Path, points: int) -> Metrics:
        writer = library.open(run)
        with Stopwatch() as caller:
            writer.embedding(matrix[:points], labels and labels[:points])
        with Stopwatch() as rest:
            writer.flush()
            writer.close()
        cpu, wall = caller.cpu + rest.cpu, caller.wall + rest.wall
        return {"cpu": cpu * 1e3, "wall": wall * 1e3, "caller": caller.wall * 1e3}

    return repeated(once, case, directory)


def tofile(case: Case, directory: Path) -> Metrics:
    matrix, labels = case.matrix, case.labels

    def once(run: Path, points: int) -> Metrics:
        run.mkdir()
        with Stopwatch() as watch:
            matrix[:points].tofile(run / "tensors.bytes")
            if labels is not None:
                (run / "labels.tsv").write_text("\n".join(labels[:points]))
        return {"cpu": watch.cpu * 1e3, "wall": watch.wall * 1e3, "caller": watch.wall * 1e3}

    return repeated(once, case, directory)


def repeated(once: Callable[[Path, int], Metrics], case: Case, directory: Path) -> Metrics:
    """Return the medians of as many calls as `case.secs` allow, each into a new directory."""
    once(directory / "first", 10)
    found: list[Metrics] = []
    begin = time.perf_counter()
    while not found or time.perf_counter() - begin < case.secs:
        run = directory / "run"
        found.append(once(run, case.points))
        size = nbytes(run) / 1e6
        shutil.rmtree(run)
    medians = {metric: median(one[metric] for one in found) for metric in found[0]}
    return medians | {"size": size, "calls": len(found)}


PLAIN = f"20,000 x {DIMENSIONS}"
QUESTION = Question(
    name="embedding",
    asks=(
        "One add_embedding: all CPU and the time until it is written, flush and close included, "
        "and the caller's time. The floor writes the matrix, and the labels as lines."
    ),
    units={"cpu": "ms", "wall": "ms", "caller": "ms", "size": "MB", "calls": ""},
    cases=cases,
    measure=measure,
    headline=PLAIN,
    references={FLOOR: tofile},
    rounds=3,
    targets=tuple(
        target
        for case in (PLAIN, f"{PLAIN}, labels")
        for target in (
            Target(
                f"embedding {case}: ours / tofile, all CPU",
                Cell(OURS, case, "cpu"),
                2,
                per=Cell(FLOOR, case, "cpu"),
            ),
            Target(
                f"embedding {case}: torch's / ours, until written",
                Cell(TORCH, case, "wall"),
                200,
                "at least",
                per=Cell(OURS, case, "wall"),
            ),
        )
    ),
)
