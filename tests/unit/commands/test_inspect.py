"""`eventwriter inspect`: what it prints of files, whole and damaged."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from eventwriter import EventFileWriter, SummaryWriter
from eventwriter._proto.event_pb2 import Event, SessionLog
from eventwriter._proto.summary_pb2 import Summary
from eventwriter._proto.tensor_pb2 import DT_DOUBLE, DT_FLOAT, DT_HALF, TensorProto
from tests.helpers.command_line import cli
from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from pathlib import Path


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

    assert result.returncode == 1
    assert f"damaged: {path}." in result.stderr
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


def test_inspect_lets_no_name_command_the_terminal(tmp_path: Path) -> None:
    """Tags, plugins, messages, file names and directories of a hostile log come out escaped."""
    evil = "\x1b]0;owned\x07\u202e"
    run = tmp_path / f"run{evil}"
    with contextlib.closing(EventFileWriter(run, filename_suffix=evil)) as writer:
        value = Summary.Value(tag=f"tag{evil}")
        value.metadata.plugin_data.plugin_name = f"plugin{evil}"
        value.tensor.dtype = DT_FLOAT
        writer.add_event(Event(summary=Summary(value=[value])))
        writer.add_event(Event(session_log=SessionLog(msg=f"message{evil}")))
    (path,) = run.iterdir()
    path.write_bytes(path.read_bytes() + b"torn")
    result = cli("inspect", str(tmp_path))

    assert result.returncode == 1
    for name in ("run", "tag", "plugin", "message", f"{path.name[:10]}"):
        assert name in result.stdout
    for character in evil[0], evil[-1], "\x07":
        assert character not in result.stdout + result.stderr


@pytest.mark.parametrize("content", [b"# Notes\n\nNo event file.\n", b"\x00" * 100, b"{}"])
def test_inspect_of_a_file_that_is_no_event_file(tmp_path: Path, content: bytes) -> None:
    """A file of another kind is said to be none, with status 1."""
    path = tmp_path / "notes.md"
    path.write_bytes(content)
    result = cli("inspect", str(path))

    assert result.returncode == 1
    assert "no event file" in result.stdout


SCALARS = {
    "TensorFlow 2, float32": TensorProto(dtype=DT_FLOAT, tensor_content=b"\0\0\0\x3f"),
    "Keras, float_val": TensorProto(dtype=DT_FLOAT, float_val=[0.5]),
    "double_val": TensorProto(dtype=DT_DOUBLE, double_val=[0.5]),
    "half_val": TensorProto(dtype=DT_HALF, half_val=[0x3800]),
    "half, bytes": TensorProto(dtype=DT_HALF, tensor_content=b"\0\x38"),
}


@pytest.mark.parametrize("form", SCALARS)
def test_inspect_shows_scalars_in_tensor_form(tmp_path: Path, form: str) -> None:
    """A scalar as a tensor is shown as its number, also where a later value names no plugin."""
    with contextlib.closing(EventFileWriter(tmp_path)) as writer:
        for step in range(2):
            value = Summary.Value(tag="loss", tensor=SCALARS[form])
            if not step:
                value.metadata.plugin_data.plugin_name = "scalars"
            writer.add_event(Event(step=step, summary=Summary(value=[value])))
    rows = [cells(line) for line in cli("inspect", str(tmp_path)).stdout.splitlines()]

    assert ["scalar", "loss", "2", "0", "1", "0.5"] in rows


def test_inspect_says_that_a_projector_configuration_is_damaged(tmp_path: Path) -> None:
    """What is no configuration is named with the place; the rest is described all the same."""
    written(tmp_path)
    config = tmp_path / "projector_config.pbtxt"
    config.write_text("embeddings {", encoding="utf-8")
    result = cli("inspect", str(tmp_path))

    assert result.returncode == 1
    expected = "expected a projector configuration in protobuf's text format, got: 1:"
    assert f"  damage: {config}: {expected}" in result.stdout
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
        assert process.wait(LONG_SECS) == 1
