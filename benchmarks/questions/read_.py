"""What stock TensorBoard makes of the files."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import names, nbytes
from benchmarks.question import Metrics, Question

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.writers import Library

LOAD_SECS = 60

_LOADED = re.compile(r"Finished load cycle \(([\d.]+)(ns|µs|ms|s)\)")
_UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}

_PYTHON_READER = """
import sys, time
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
EventAccumulator(sys.argv[1]).Reload()  # imports what it needs, TensorFlow where installed
wall = time.perf_counter()
EventAccumulator(sys.argv[1]).Reload()
print(time.perf_counter() - wall)
"""


@dataclass(frozen=True)
class Case:
    steps: int
    scalars: int = 0
    histograms: int = 0
    together: bool = False


def cases(quick: bool) -> dict[str, Case]:
    steps = 2 if quick else 200
    return {
        f"{steps * 100:,} scalars": Case(steps, scalars=100),
        f"{steps * 100:,} scalars, 100 at once": Case(steps, scalars=100, together=True),
        f"{steps * 5:,} histograms": Case(steps, histograms=5),
    }


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    values = np.random.default_rng(0).standard_normal(10_000, np.float32)
    metrics = dict.fromkeys(names(case.scalars), 0.4321)
    writer = library.open(directory / "run")
    for step in range(case.steps):
        if case.together:
            writer.log(metrics, step)
        else:
            for tag, value in metrics.items():
                writer.scalar(tag, value, step)
        for number in range(case.histograms):
            writer.histogram(f"layer_{number}/weights", values, step)
    writer.flush()
    writer.close()
    return {
        "default reader": default_reader(directory) * 1e3,
        "Python reader": python_reader(directory / "run") * 1e3,
        "size": nbytes(directory / "run") / 1e6,
    }


def default_reader(directory: Path) -> float:
    """Return the seconds that TensorBoard's data server says it took for a directory of runs."""
    binary = importlib.import_module("tensorboard_data_server").server_binary()
    command = [binary, "--logdir", str(directory), "--port", "0", "--reload", "once"]
    command += ["--samples-per-plugin", "scalars=all,histograms=all"]
    command += ["--verbose", "--die-after-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        assert it.stderr is not None
        printed = []
        for line in it.stderr:
            printed.append(line)
            if found := _LOADED.search(line):
                it.kill()
                return float(found[1]) * _UNITS[found[2]]
    raise RuntimeError(f"the data server ended: {''.join(printed[-1:])}")


def python_reader(run: Path) -> float:
    """Return the seconds that TensorBoard's reader in Python takes for a run."""
    command = [sys.executable, "-c", _PYTHON_READER, str(run)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_SECS, check=True)
    return float(ended.stdout.split()[-1])


QUESTION = Question(
    name="read",
    asks=(
        "How long stock TensorBoard takes to load what each writer wrote, with its default reader "
        "(the data server) and with its reader in Python; and bytes on disk."
    ),
    units={"default reader": "ms", "Python reader": "ms", "size": "MB"},
    cases=cases,
    measure=measure,
    headline="20,000 scalars",
    rounds=3,
)
