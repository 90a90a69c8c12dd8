"""What a fresh process pays before it can log."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.question import Cell, Metrics, NotMeasuredError, Question, Target
from benchmarks.writers import OURS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.writers import Library

FLOOR = "numpy and protobuf"
IMPORT_SECS = 60
_NOT_COMPILED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")

_HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "tensorflow", "jax"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""
_TIMED = """
import sys, time
wall, cpu = time.perf_counter(), time.process_time()
try:
    {statement}
except ModuleNotFoundError as error:
    sys.exit("needs " + error.name)
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


@dataclass(frozen=True)
class Case:
    hidden: bool


def cases(quick: bool) -> dict[str, Case]:  # noqa: ARG001 - both take as long
    return {
        "all that is installed": Case(hidden=False),
        "torch, tensorflow and jax hidden": Case(hidden=True),
    }


def measure(library: Library, case: Case, directory: Path) -> Metrics:  # noqa: ARG001 - no files
    return fresh(library.imports, case)


def floor(case: Case, directory: Path) -> Metrics:  # noqa: ARG001 - no files
    # What code that protoc generated imports of protobuf.
    return fresh("import numpy, google.protobuf.internal.builder", case)


def first_record(case: Case, directory: Path) -> Metrics:
    statement = (
        f"from eventwriter import SummaryWriter; writer = SummaryWriter({str(directory)!r}); "
        "writer.add_scalar('loss', 1.0, 0); writer.close()"
    )
    return fresh(statement, case)


def fresh(statement: str, case: Case) -> Metrics:
    """Return the milliseconds of a statement in an interpreter of its own, all files compiled."""
    environment = {name: os.environ[name] for name in os.environ if name not in _NOT_COMPILED}
    code = _HIDE * case.hidden + _TIMED.format(statement=statement)
    command = [sys.executable, "-c", code]
    for _ in range(2):  # the first compiles what a checkout has not compiled yet
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=IMPORT_SECS,
            check=False,
            env=environment,
        )
    if ended.returncode:
        reason = ended.stderr.strip().splitlines()[-1]
        missing = reason.removeprefix("needs ")
        if missing != reason and importlib.util.find_spec(missing) is None:
            raise ModuleNotFoundError(name=missing)
        raise NotMeasuredError(reason)
    wall, cpu = map(float, ended.stdout.split()[-2:])
    return {"wall": wall * 1e3, "cpu": cpu * 1e3}


HIDDEN = "torch, tensorflow and jax hidden"
QUESTION = Question(
    name="import",
    asks="The import that users begin with, in a fresh process, with files in the system's cache.",
    units={"wall": "ms", "cpu": "ms"},
    cases=cases,
    measure=measure,
    headline="all that is installed",
    references={FLOOR: floor, "eventwriter, to its first record on disk": first_record},
    targets=tuple(
        Target(
            f"import, more than numpy and protobuf, {case}",
            Cell(OURS, case, "wall"),
            30,
            minus=Cell(FLOOR, case, "wall"),
            unit="ms",
        )
        for case in ("all that is installed", HIDDEN)
    ),
)
