"""Run the questions: each contender in a process of its own, in turn, round after round.

If another program slows the machine for a while, it slows all contenders of that round. So the
ratios within a round stay right when its times are not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.questions import load
from benchmarks.results import Results
from benchmarks.writers import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHILD_SECS = 300.0
"""A process that takes longer than this for all cases of a question is ended."""


def run(
    names: Sequence[str], *, quick: bool, tell: Callable[[str], None], secs: float = CHILD_SECS
) -> dict[str, Results]:
    """Measure some questions.

    Args:
        names: Of the questions.
        quick: Whether only to see that everything works: one round of the smallest cases, all
            questions of a library in one process.
        tell: Gets a line on what is done now.
        secs: The time limit of a process.
    """
    found = {name: _rows(name, quick) for name in names}
    if quick:
        for contender in LIBRARIES:
            tell(f"{contender}: {', '.join(names)}")
            _run_child(contender, names, 0, found, quick=True, secs=secs)
        for name in names:
            for contender in load(name).references:
                tell(f"{name}: {contender}")
                _run_child(contender, [name], 0, found, quick=True, secs=secs)
        return found
    for name in names:
        question = load(name)
        for number in range(question.rounds):
            for contender in (*LIBRARIES, *question.references):
                tell(f"{name}, round {number + 1} of {question.rounds}: {contender}")
                _run_child(contender, [name], number, found, quick=False, secs=secs)
    return found


def _rows(name: str, quick: bool) -> Results:
    """Return the table that is to be filled in: nothing may be left out silently."""
    question, results = load(name), Results()
    for case in question.cases(quick):
        for contender in (*LIBRARIES, *question.references):
            results.row(case, contender)
    return results


def _run_child(
    contender: str,
    names: Sequence[str],
    number: int,
    found: dict[str, Results],
    *,
    quick: bool,
    secs: float,
) -> None:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        output = Path(directory, "output.jsonl")
        output.touch()
        command = [sys.executable, "-m", "benchmarks.child", contender]
        command += ["quick" if quick else "full", str(output), *names]
        ending = _ending(command, directory, secs)
        measured = [json.loads(line) for line in output.read_text().splitlines()]
    for line in measured:
        row = found[line["question"]].row(line["case"], contender)
        if "metrics" in line:
            row.rounds[number] = line["metrics"]
            row.note = ""
        elif not row.rounds:
            row.note = line["note"]
    for name in names:
        for (_, other), row in found[name].rows.items():
            if other == contender and not row.rounds and not row.note:
                row.note = ending or "failed: it measured nothing"


def _ending(command: list[str], directory: str, secs: float) -> str:
    """Run a process with its children, and return how it ended if that was not well."""
    environment = os.environ | {"TMPDIR": directory, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        command,
        env=environment,
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=secs)
        except subprocess.TimeoutExpired:
            return f"failed: not done within {secs:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        lines = errors.strip().splitlines()
        return f"failed: {lines[-1] if lines else f'exit status {process.returncode}'}"
    return ""
