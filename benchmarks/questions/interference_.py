"""How long a thread that logs scalars waits for a thread that logs large records elsewhere."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import names, warm_up
from benchmarks.question import Cell, Metrics, NotMeasuredError, Question, Target
from benchmarks.writers import LIBRARIES, OURS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.writers import Library, Writer

POINTS, DIMENSIONS = 200_000, 128
HISTOGRAM_VALUES = 1_000_000
IMAGE_SIZE = 512
PEERS_MOST_POINTS = 20_000
SCALARS = 10
LONGEST_MS = 5.0
"""Python lets a thread compute for 5 ms before another may go on (`sys.getswitchinterval`)."""


@dataclass(frozen=True)
class Case:
    """What the other thread does.

    Attributes:
        add: Takes the other thread's writer and a step, and logs a large record.
        points: The size of an embedding, which most libraries are too slow for; 0 for others.
        secs: How long is measured.
        calls: How often `add` is called at least, however long that takes.
    """

    add: Callable[[Writer, int], object]
    points: int
    secs: float
    calls: int


def cases(quick: bool) -> dict[str, Case]:
    rng = np.random.default_rng(0)
    points = 100 if quick else POINTS
    matrix = rng.standard_normal((points, DIMENSIONS), np.float32)
    labels = [f"word {number}" for number in range(points)]
    values = rng.standard_normal(1000 if quick else HISTOGRAM_VALUES, np.float32)
    size = 8 if quick else IMAGE_SIZE
    pixels = rng.integers(0, 256, (3, size, size), np.uint8)

    def embedding(writer: Writer, step: int) -> None:  # noqa: ARG001 - all of these have a step
        writer.embedding(matrix, labels)
        writer.flush()  # a second one would not fit beside it in the memory for what waits

    def histogram(writer: Writer, step: int) -> None:
        writer.histogram("weights", values, step)

    def image(writer: Writer, step: int) -> None:
        writer.image("pixels", pixels, step)

    secs = 0.02 if quick else 2.0
    return {
        EMBEDDING: Case(embedding, points, secs, 1 if quick else 3),
        HISTOGRAMS: Case(histogram, 0, secs, 1),
        IMAGES: Case(image, 0, secs, 1),
    }


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    if library is not LIBRARIES[OURS] and case.points > PEERS_MOST_POINTS:
        raise NotMeasuredError(f"not run above {PEERS_MOST_POINTS:,} points")
    warm_up(library, directory)
    other = library.open(directory / "other")
    try:
        case.add(other, 0)
        return waits(library, case, directory, lambda step: case.add(other, step))
    finally:
        other.close()


def sleeping(case: Case, directory: Path) -> Metrics:
    return waits(LIBRARIES[OURS], case, directory, lambda _: time.sleep(0.01))


def counting(case: Case, directory: Path) -> Metrics:
    return waits(LIBRARIES[OURS], case, directory, lambda _: count(1_000_000))


def count(most: int) -> None:
    """Compute in Python alone, as any other thread of the user's may do."""
    for _ in range(most):
        pass


def waits(library: Library, case: Case, directory: Path, add: Callable[[int], object]) -> Metrics:
    """Return how long calls of `log` take while another thread calls `add` again and again."""
    writer = library.open(directory / "run")
    metrics = dict.fromkeys(names(SCALARS), 0.4321)
    is_over = threading.Event()
    added = 0
    errors: list[BaseException] = []

    def work() -> None:
        nonlocal added
        try:
            while not is_over.is_set():
                add(added + 1)
                added += 1
        except BaseException as error:  # noqa: BLE001 - raised in the thread that measures
            errors.append(error)

    thread = threading.Thread(target=work)
    secs: list[float] = []
    thread.start()
    begin = time.perf_counter()
    try:
        while not errors and (added < case.calls or time.perf_counter() - begin < case.secs):
            count(1_000)  # the rest of a step
            start = time.perf_counter()
            writer.log(metrics, len(secs))
            secs.append(time.perf_counter() - start)
    finally:
        is_over.set()
        thread.join()
        writer.close()
    if errors:
        raise errors[0]
    found = np.array(secs) * 1e3
    return {
        "longest": float(found.max()),
        "p99.9": float(np.percentile(found, 99.9)),
        "median": float(np.median(found)),
        "calls": len(found),
        "records": added,
    }


EMBEDDING = f"embeddings of {POINTS:,} x {DIMENSIONS}, labels"
HISTOGRAMS = f"histograms of {HISTOGRAM_VALUES:,} values"
IMAGES = f"images of {IMAGE_SIZE} x {IMAGE_SIZE}"
QUESTION = Question(
    name="interference",
    asks=(
        f"log() of {SCALARS} scalars in a loop in Python, while another thread logs large records "
        "with a writer of its own: how long a call takes. In the references the other thread "
        "sleeps, or computes in Python, which Python lets it do for 5 ms at a time."
    ),
    units={"longest": "ms", "p99.9": "ms", "median": "ms", "calls": "", "records": ""},
    cases=cases,
    measure=measure,
    headline=EMBEDDING,
    references={"a thread that sleeps": sleeping, "a thread that computes": counting},
    rounds=3,
    targets=tuple(
        Target(
            f"interference, longest log() beside {case}",
            Cell(OURS, case, "longest"),
            LONGEST_MS,
            unit="ms",
        )
        for case in (EMBEDDING, HISTOGRAMS, IMAGES)
    ),
)
