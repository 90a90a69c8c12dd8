"""The command line: its help, mistakes in its arguments, packages that are not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import eventwriter
from eventwriter import commands
from eventwriter.cli import main
from tests.helpers.command_line import cli
from tests.helpers.patience import LONG_SECS


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], ["eventwriter demo ", "eventwriter view runs", "eventwriter inspect runs"]),
        (["demo"], ["--logdir", "--epochs", "--seed", "--no-view", "--port", "Projector"]),
        (["view"], ["eventwriter view runs", "LOGDIR", "--host", "--port", "Ctrl-C"]),
        (["inspect"], ["eventwriter inspect runs", "PATH", "damaged"]),
    ],
)
def test_help_teaches(command: list[str], words: list[str]) -> None:
    """Each help shows what to type, names every option, and says what will be seen."""
    result = cli(*command, "--help")

    assert (result.returncode, result.stderr) == (0, "")
    assert " ".join(["usage: eventwriter", *command]) in result.stdout
    assert all(word in result.stdout for word in words)


def test_the_table_of_commands_is_the_folder() -> None:
    """Each command's file is listed once, and each listed command has a file."""
    files = {path.stem for path in Path(commands.__file__).parent.glob("[!_]*.py")}

    assert sorted(files) == sorted(commands.NAMES)


def test_version() -> None:
    """`--version` prints the package's version and nothing else."""
    assert f"{eventwriter.__version__}\n" == cli("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: COMMAND"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
        (["view"], "required: LOGDIR"),
        (["inspect"], "required: PATH"),
        (["demo", "--epochs", "0"], "expected an integer from 1, got '0'"),
        (["demo", "--epochs", "many"], "expected an integer from 1, got 'many'"),
        (["demo", "--seed", "-1"], "expected"),
        (["view", ".", "--port", "x"], "expected an integer from 0, got 'x'"),
    ],
)
def test_mistakes_in_the_arguments(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake is answered with the usage, what was wrong, and status 2."""
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)

    assert exit_info.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: eventwriter")
    assert complaint in printed.err


def test_mistakes_are_answered_before_anything_heavy_is_imported() -> None:
    """Parsing arguments loads neither TensorBoard nor the demo nor its extras."""
    script = (
        "import sys; from eventwriter.cli import main\n"
        "try: main(['view'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorboard', 'tqdm', 'eventwriter.demo', 'eventwriter.commands._viewer'}\n"
        "print(sorted((heavy | {'argparse'}) & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG_SECS,
    )

    # argparse shows that the list can tell.
    assert result.stdout == "['argparse']\n"


@pytest.mark.parametrize("command", ["view", "inspect"])
def test_a_path_that_is_not_there(command: str, tmp_path: Path) -> None:
    """One line that names the path, and status 1."""
    result = cli(command, str(tmp_path / "nowhere"))

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"eventwriter {command}: {tmp_path / 'nowhere'}: expected ")
    assert "got no such " in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "missing", "remedy"),
    [
        (["view", "."], "tensorboard", 'pip install "eventwriter[view]"'),
        (["demo"], "tensorboard", 'pip install "eventwriter[view]"'),
        (["demo", "--no-view"], "tqdm", 'pip install "eventwriter[demo]"'),
        (["demo", "--no-view"], "threadpoolctl", 'pip install "eventwriter[demo]"'),
    ],
)
def test_a_missing_extra_says_what_to_install(
    arguments: list[str], missing: str, remedy: str, tmp_path: Path
) -> None:
    """At once and before anything is written: one line with the command to type, and status 1."""
    result = cli(*arguments, without=missing, cwd=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith(f"eventwriter {arguments[0]}: ")
    assert f"expected {missing} to be installed" in result.stderr
    assert result.stderr.endswith(f"Run: {remedy}\n")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
