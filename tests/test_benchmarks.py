"""The benchmarks run, and name what they could not measure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report, runner
from benchmarks.question import Cell, NotMeasuredError, Question, Target
from benchmarks.questions import NAMES, load
from benchmarks.results import Results, Spread, reached
from benchmarks.writers import LIBRARIES, OURS, Library

ROOT = Path(__file__).parent.parent
QUICK_SECS = 900
"""About a minute on an idle machine."""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=QUICK_SECS,
        check=False,
    )


def rows_of(results: dict[tuple[str, str], dict[int, dict[str, float]]]) -> Results:
    """Return results with these metrics, by case and writer, then by round."""
    found = Results()
    for (case, contender), rounds in results.items():
        found.row(case, contender).rounds.update(rounds)
    return found


@pytest.mark.timeout(QUICK_SECS + 60)
def test_every_benchmark_measures_this_package(tmp_path):
    """A quick run has figures of ours for every case, and figures or a reason for all others."""
    file = tmp_path / "figures.json"
    ran = command("--quick", "--json", str(file))
    assert 0 == ran.returncode, ran.stderr
    written = json.loads(file.read_text())
    rows = {(row["question"], row["case"], row["writer"]): row for row in written["results"]}
    for name in NAMES:
        question = load(name)
        for case in question.cases(True):
            for contender in (*LIBRARIES, *question.references):
                row = rows.pop((name, case, contender))
                assert ("metrics" in row) != bool(row.get("note")), row
                # torch's and jax's values are not there without torch and jax.
                installed = not row.get("note", "").startswith("not installed")
                assert contender != OURS or "metrics" in row or not installed, row
                assert contender in ran.stdout
    assert {} == rows
    for target in (target for name in NAMES for target in load(name).targets):
        assert target.text in ran.stdout


def test_an_unknown_name_lists_the_names():
    """`--only` with a name that is none says which there are, and exits with 2."""
    ran = command("--only", "scalars")
    assert 2 == ran.returncode
    assert "'scalars'" in ran.stderr
    for name in NAMES:
        assert f"'{name}'" in ran.stderr or f" {name}" in ran.stderr


def test_versions_name_what_is_not_installed(monkeypatch):
    """`--versions` prints a line for each library, installed or not."""
    monkeypatch.setitem(
        LIBRARIES, "other", Library("no-such-distribution", "no_such", "import nothing", 1e-6)
    )
    found = report.versions()
    assert "not installed" == found["no-such-distribution"]
    assert "not installed" != found["numpy"]
    assert set(found) == {line.split()[0] for line in report.versions_text().splitlines()}


def test_a_missing_peer_is_named(monkeypatch):
    """A library that cannot be imported has a row that says so, at every case."""
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    from benchmarks.child import measurement, outcome

    question = load("scalar")
    (case, *_) = question.cases(True).values()
    monkeypatch.delitem(sys.modules, "benchmarks.writers.tensorboard_x", raising=False)
    found = outcome(measurement(question, "tensorboardX", case))
    assert {"note": "not installed: tensorboardX"} == found


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (NotMeasuredError("has none"), "has none"),
        (ValueError("no such bin\nand more"), "failed: ValueError: no such bin"),
        (RuntimeError(), "failed: RuntimeError: no message"),
    ],
)
def test_a_case_that_fails_says_why(error, note):
    """What a measurement raises becomes the note of its row."""
    from benchmarks.child import outcome

    def measure(directory: Path) -> dict[str, float]:
        raise error

    assert {"note": note} == outcome(measure)


def test_a_process_that_hangs_is_ended_and_named(monkeypatch):
    """A process beyond its time is ended with its children, and every row of it says so."""
    found = runner.run(["graph"], quick=True, tell=lambda line: None, secs=0.01)
    notes = {row.note for row in found["graph"].rows.values()}
    assert {"failed: not done within 0.01 s"} == notes


def test_a_process_that_dies_is_named():
    """What a process prints last stands in the rows that it did not measure."""
    command_line = [sys.executable, "-c", "import sys; sys.exit('out of luck')"]
    assert "failed: out of luck" == runner._ending(command_line, str(ROOT), 60)
    silent = [sys.executable, "-c", "import os; os._exit(3)"]
    assert "failed: exit status 3" == runner._ending(silent, str(ROOT), 60)
    well = [sys.executable, "-c", "pass"]
    assert "" == runner._ending(well, str(ROOT), 60)


def test_spread():
    """Medians and quartiles, also of one round and of none."""
    assert None is Spread.of([])
    assert Spread(3.0, 3.0, 3.0) == Spread.of([3.0])
    assert Spread(3.0, 2.0, 4.0) == Spread.of([5.0, 1.0, 3.0, 2.0, 4.0])


ONE, OTHER = Cell("a", "case", "cpu"), Cell("b", "case", "cpu")


@pytest.mark.parametrize(
    ("target", "outcome", "is_reached"),
    [
        (Target("a value", ONE, 4.0), 4.0, True),
        (Target("a value", ONE, 3.9), 4.0, False),
        # Of the same round, so not 4 / 1.5, and not with round 2, which the other lacks.
        (Target("a ratio", ONE, 2.5, "at least", per=OTHER), 2.5, True),
        (Target("a ratio", ONE, 2.6, "at least", per=OTHER), 2.5, False),
        (Target("a difference", ONE, 1.9, minus=OTHER), 2.0, False),
        (Target("missing", Cell("c", "case", "cpu"), 1.0), None, None),
        (Target("missing", ONE, 1.0, per=Cell("b", "case", "wall")), None, None),
    ],
)
def test_targets(target, outcome, is_reached):
    """A target's figure is the median over the rounds, of pairs of one round."""
    results = rows_of(
        {
            ("case", "a"): {0: {"cpu": 3.0}, 1: {"cpu": 4.0}, 2: {"cpu": 90.0}},
            ("case", "b"): {0: {"cpu": 1.0}, 1: {"cpu": 2.0}},
        }
    )
    before = set(results.rows)
    found = results.outcome(target)
    assert outcome == found
    assert is_reached == (None if found is None else reached(target, found))
    assert before == set(results.rows)


def test_table_shows_spreads_ratios_and_notes():
    """The table of a question: medians with quartiles, ratios to ours, and reasons."""
    question = Question(
        name="some",
        asks="What it costs.",
        units={"cpu": "µs", "bytes": "", "never": "ms"},
        cases=lambda quick: {"case": None},
        measure=lambda library, case, directory: {},
        headline="case",
    )
    results = rows_of(
        {
            ("case", OURS): {0: {"cpu": 0.5, "bytes": 50}, 1: {"cpu": 0.7, "bytes": 50}},
            ("case", "peer"): {0: {"cpu": 50.0}, 1: {"cpu": 70.0}},
        }
    )
    results.row("case", "missing").note = "not installed: missing"
    expected = """\
some: What it costs.

case  writer       cpu [µs]         bytes  cpu / ours
case  eventwriter  0.6 (0.55-0.65)  50     1
      peer         60 (55-65)       -      100
      missing      not installed: missing"""
    assert expected == report.table(question, results)
