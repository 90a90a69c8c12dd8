"""`eventwriter demo` without TensorBoard: what it prints, and what it leaves when it fails."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.helpers.children import environment
from tests.helpers.command_line import cli
from tests.helpers.patience import LONG_SECS
from tests.helpers.runs import steps_of_tags

if TYPE_CHECKING:
    from pathlib import Path


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
    # How many batches there are depends on Python's own text, which the demo learns.
    assert re.search(r"^Epoch 1/1: (\d+)/\1 \[", result.stderr, re.MULTILINE)
    assert "Traceback" not in result.stderr
    (logdir,) = (tmp_path / "runs").iterdir()
    assert f"See it with: eventwriter view runs/{logdir.name}\n" in result.stdout
    assert {"train", "validation"} <= {path.name for path in logdir.iterdir()}


def test_ctrl_c_in_training_keeps_what_was_logged(tmp_path: Path) -> None:
    """The demo, interrupted, ends without a traceback and leaves whole files."""
    with subprocess.Popen(
        [sys.executable, "-m", "eventwriter.cli", "demo", "--no-view", "--epochs", "1000"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            printed = ""
            while "Epoch 2/" not in printed:
                character = process.stderr.read(1)
                assert character, printed  # it has ended
                printed += character
            process.send_signal(signal.SIGINT)
            printed += process.stderr.read()
            assert process.wait(LONG_SECS) == 130
        finally:
            process.kill()
    assert "Traceback" not in printed
    (run,) = tmp_path.glob("runs/*/validation")
    assert {"epoch/loss", "epoch/accuracy"} == steps_of_tags(run).keys()
