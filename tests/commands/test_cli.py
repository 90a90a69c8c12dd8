"""The command line, as a user meets it: in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import eventwriter
from eventwriter import EventFileReader, SummaryWriter
from eventwriter.cli import main

# The package that is tested here, from whatever directory.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(eventwriter.__file__).parents[1])}


def cli(
    *arguments: str, without: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs it in a process of its own, where importing the module `without` fails."""
    block = f"sys.modules[{without!r}] = None; " if without else ""
    script = f"import sys; {block}from eventwriter.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


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
        "heavy = {'tensorboard', 'tqdm', 'eventwriter.demo', 'eventwriter.viewer'}\n"
        "print(sorted((heavy | {'argparse'}) & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    # argparse shows that the list can tell.
    assert result.stdout == "['argparse']\n"


@pytest.mark.parametrize("command", ["view", "inspect"])
def test_a_path_that_is_not_there(command: str, tmp_path: Path) -> None:
    """One line that names the path, and status 1."""
    result = cli(command, str(tmp_path / "nowhere"))

    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"eventwriter {command}: {tmp_path / 'nowhere'}: no such ")
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
    assert "is not installed" in result.stderr
    assert result.stderr.endswith(f"run: {remedy}\n")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_logdir_that_cannot_be_written(tmp_path: Path) -> None:
    """The operating system's reason and the path, in one line after the progress bar's."""
    blocker = tmp_path / "file"
    blocker.touch()
    result = cli("demo", "--no-view", "--epochs", "1", "--logdir", str(blocker / "logs"))

    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("eventwriter demo: ")
    assert "Not a directory" in last
    assert str(blocker) in last


def test_demo_without_view(tmp_path: Path) -> None:
    """The demo trains with a progress bar, writes below a new directory, and says how to see it."""
    result = cli("demo", "--no-view", "--epochs", "1", cwd=tmp_path)

    assert result.returncode == 0
    assert "100%" in result.stderr
    assert "Traceback" not in result.stderr
    (logdir,) = (tmp_path / "runs").iterdir()
    assert f"See it with: eventwriter view runs/{logdir.name}\n" in result.stdout
    assert {"train", "validation"} <= {path.name for path in logdir.iterdir()}


def written(directory: Path) -> Path:
    """An event file with two scalars, a histogram and three points."""
    with SummaryWriter(directory) as writer:
        for step in (3, 5, 9):
            writer.add_scalar("loss", 1 / step, step)
        writer.add_histogram("weights", [1.0, 2.0, 3.0], 4, bins=7)
    (path,) = directory.glob("*tfevents*")
    return path


def cells(line: str) -> list[str]:
    return line.replace(", ", ",").split()


def test_inspect_describes_a_directory(tmp_path: Path) -> None:
    """Runs, files with sizes, and per tag kind, points, steps and the last value or shape."""
    path = written(tmp_path / "a")
    written(tmp_path / "b" / "c")
    result = cli("inspect", str(tmp_path))
    lines = result.stdout.splitlines()

    assert (result.returncode, result.stderr) == (0, "")
    assert lines[0] == str(tmp_path / "a")
    assert cells(lines[1]) == [path.name, f"{path.stat().st_size:,}", "bytes", "5", "records"]
    assert cells(lines[3]) == ["histogram", "weights", "1", "4", "4", "[7,3]"]
    assert cells(lines[4]) == ["scalar", "loss", "3", "3", "9", "0.111111"]
    assert lines[5] == ""
    assert lines[6] == str(tmp_path / "b" / "c")
    assert len(lines) == 11


def test_inspect_describes_a_file(tmp_path: Path) -> None:
    """A file alone is described as in its directory."""
    path = written(tmp_path)

    assert cli("inspect", str(path)).stdout == cli("inspect", str(tmp_path)).stdout


def test_inspect_says_how_a_training_ended(tmp_path: Path) -> None:
    """The end that a run noted is the last of its session."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_session_log("interrupted\nby hand")
    result = cli("inspect", str(tmp_path))

    assert result.stdout.splitlines()[-1].split(maxsplit=4)[0] == "session"
    assert result.stdout.splitlines()[-1].endswith(r"interrupted\nby hand")


def test_inspect_says_where_a_file_is_damaged(tmp_path: Path) -> None:
    """What precedes the damage is described, with the record and the byte at which that begins."""
    path = written(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    result = cli("inspect", str(path))
    lines = result.stdout.splitlines()

    assert result.returncode == 0
    assert cells(lines[1])[-2:] == ["4", "records"]
    assert lines[2].startswith(f"  damage: {path}: record 4 at byte ")
    assert cells(lines[4]) == ["scalar", "loss", "3", "3", "9", "0.111111"]


def test_inspect_lists_embeddings(tmp_path: Path) -> None:
    """An embedding, which is in files of its own, is listed with its shape."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding([[1.0, 2.0, 3.0]] * 4, tag="words")
    lines = [cells(line) for line in cli("inspect", str(tmp_path)).stdout.splitlines()]

    assert ["embedding", "words:00000", "[4,3]"] in [
        [*row[:1], *row[1:2], row[-1]] for row in lines if row
    ]


def test_inspect_of_a_directory_without_logs(tmp_path: Path) -> None:
    """A directory that holds no event file is an error, which says what was looked for."""
    result = cli("inspect", str(tmp_path))

    assert result.returncode == 1
    assert "holds no event files" in result.stderr


def test_inspect_shows_line_breaks_in_a_tag(tmp_path: Path) -> None:
    """A tag cannot forge a line of the table."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a\nscalar b é", 1.0, 0)

    assert "a\\nscalar b é" in cli("inspect", str(tmp_path)).stdout


def test_inspect_says_that_a_projector_configuration_is_damaged(tmp_path: Path) -> None:
    """What is no configuration is named with the place; the rest is described all the same."""
    written(tmp_path)
    config = tmp_path / "projector_config.pbtxt"
    config.write_text("embeddings {", encoding="utf-8")
    result = cli("inspect", str(tmp_path))

    assert result.returncode == 0
    assert f"  damage: {config}: 1:" in result.stdout
    assert "scalar" in result.stdout


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    """`eventwriter inspect PATH | head -0` ends without a complaint."""
    written(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "eventwriter.cli", "inspect", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


def test_ctrl_c_in_training_keeps_what_was_logged(tmp_path: Path) -> None:
    """The demo, interrupted, ends without a traceback and leaves whole files."""
    with subprocess.Popen(
        [sys.executable, "-m", "eventwriter.cli", "demo", "--no-view", "--epochs", "1000"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            printed = ""
            while "epoch 1:" not in printed:
                printed += process.stderr.read(1)
            process.send_signal(signal.SIGINT)
            printed += process.stderr.read()
            assert process.wait(60) == 130
        finally:
            process.kill()
    assert "Traceback" not in printed
    (path,) = tmp_path.glob("runs/*/validation/*tfevents*")
    tags = {value.tag for event in EventFileReader(path) for value in event.summary.value}
    assert {"epoch/loss", "epoch/accuracy"} == tags
