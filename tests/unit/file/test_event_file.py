"""EventFileWriter: its file's name, what it takes, and what it refuses."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from eventwriter import EventFileReader, EventFileWriter
from eventwriter._proto.event_pb2 import Event
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, WriterClosedError


def test_name(tmp_path: Path) -> None:
    """The name has seconds, host, process and counter, padded: order of text is order of time."""
    writer = EventFileWriter(tmp_path, filename_suffix=".v2")
    writer.close()
    pattern = rf"events\.out\.tfevents\.\d{{10}}\..+\.0*{os.getpid()}\.\d{{6}}\.v2"

    assert [writer.path] == list(tmp_path.iterdir())
    assert re.fullmatch(pattern, writer.path.name)
    assert len(str(os.getpid())) <= 7


def test_later_files_sort_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new file of a run sorts after all others, also when the clock goes back."""
    paths = []
    for now in (2_000_000_000.5, 2_000_000_000.9, 1_500_000_000.0, 1_500_000_000.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        writer = EventFileWriter(tmp_path)
        writer.close()
        paths.append(writer.path)

    assert sorted(paths) == paths
    assert 4 == len(set(paths))


def test_file_exists_at_once(tmp_path: Path) -> None:
    """From construction on TensorBoard can list the run: the file holds its version."""
    writer = EventFileWriter(tmp_path / "a" / "b")
    (event,) = EventFileReader(writer.path)
    writer.close()

    assert "brain.Event:2" == event.file_version


def test_events_are_taken_as_they_are(tmp_path: Path) -> None:
    """An event's later changes do not reach the file."""
    writer = EventFileWriter(tmp_path)
    event = Event(step=1)
    writer.add_event(event)
    event.step = 2
    writer.close()

    assert [0, 1] == [event.step for event in EventFileReader(writer.path)]


def test_refuses_what_is_no_event(tmp_path: Path) -> None:
    """Only events of our schema are taken; the error says what came."""
    writer = EventFileWriter(tmp_path)
    with pytest.raises(ArgumentTypeError, match="expected an Event, got bytes"):
        writer.add_event(b"")
    writer.close()
    with pytest.raises(WriterClosedError, match=re.escape(str(writer.path))):
        writer.add_event(Event())


@pytest.mark.parametrize(
    ("log_dir", "error"),
    [
        (None, ArgumentTypeError),
        (b"runs", ArgumentTypeError),
        (3, ArgumentTypeError),
        ("", ArgumentValueError),
        ("a\0b", ArgumentValueError),
        ("s3://bucket/runs", ArgumentValueError),
        (Path("gs://bucket/runs"), ArgumentValueError),
        ("runs/tfevents", ArgumentValueError),
    ],
)
def test_directories_that_are_refused(
    log_dir: Any, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that TensorBoard could not read is refused before anything is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=r"^log_dir: "):
        EventFileWriter(log_dir)

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"flush_secs": "5"}, ArgumentTypeError),
        ({"flush_secs": -1}, ArgumentValueError),
        ({"flush_secs": float("nan")}, ArgumentValueError),
        ({"max_queue": None}, ArgumentTypeError),
        ({"max_queue": 1.5}, ArgumentTypeError),
        ({"max_pending_bytes": 0}, ArgumentValueError),
        ({"filename_suffix": 1}, ArgumentTypeError),
        ({"filename_suffix": "a/b"}, ArgumentValueError),
        ({"filename_suffix": ".profile-empty"}, ArgumentValueError),
    ],
)
def test_options_that_are_refused(
    options: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    """An option of the wrong kind is refused by name, and no file is left."""
    with pytest.raises(error, match=rf"^{next(iter(options))}: expected"):
        EventFileWriter(tmp_path, **options)

    assert [] == list(tmp_path.iterdir())


def test_path_that_cannot_be_made(tmp_path: Path) -> None:
    """A directory that cannot be made is the operating system's error, with its path."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught:
        EventFileWriter(tmp_path / "file" / "run")

    assert caught.value.strerror
