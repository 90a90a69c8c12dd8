"""EventFileWriter: its file's name, what it takes, and what it refuses."""

from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from eventwriter import Event, EventFileReader, EventFileWriter, Summary
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


def test_step_and_time_replace_the_events_own(tmp_path: Path) -> None:
    """A step and a wall time go into the file, and the caller's event stays as it is."""
    event = Event(step=1, wall_time=2.0)
    with EventFileWriter(tmp_path) as writer:
        writer.add_event(event)
        writer.add_event(event, 3)
        writer.add_event(event, walltime=4)
        writer.add_event(event, step=np.int64(0), walltime=0.0)
    found = [(event.step, event.wall_time) for event in EventFileReader(writer.path)]

    assert [(1, 2.0), (3, 2.0), (1, 4.0), (0, 0.0)] == found[1:]
    assert (1, 2.0) == (event.step, event.wall_time)


def test_summary_becomes_an_event_of_now(tmp_path: Path) -> None:
    """A Summary is wrapped; its step is the argument, or 0."""
    summary = Summary(value=[Summary.Value(tag="a", simple_value=0.5)])
    before = time.time()
    with EventFileWriter(tmp_path) as writer:
        writer.add_event(summary)
        writer.add_event(summary, 7, 2.0)
    _, first, second = EventFileReader(writer.path)

    assert [summary, summary] == [first.summary, second.summary]
    assert (0, 7, 2.0) == (first.step, second.step, second.wall_time)
    assert before <= first.wall_time <= time.time()


def foreign(package: str, name: str, **fields: tuple[int, int]) -> Any:
    """Return the class of a message that another package defines: number and type by field."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}_{name}_{len(fields)}.proto", package=package, syntax="proto3"
    )
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        message.field.add(name=field, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))


DOUBLE, INT64, STRING = 1, 3, 9


def test_events_of_other_packages_are_taken_by_their_bytes(tmp_path: Path) -> None:
    """A message of the same format is taken; a field that our schema lacks stays in the file."""
    fields = {"wall_time": (1, DOUBLE), "step": (2, INT64), "of_tomorrow": (99, STRING)}
    event = foreign("tensorflow", "Event", **fields)(wall_time=2.0, step=3, of_tomorrow="kept")
    with EventFileWriter(tmp_path) as writer:
        writer.add_event(event)
    payloads = [record.payload for record in EventFileReader(writer.path).records()]

    assert event.SerializeToString() == payloads[1]


@pytest.mark.parametrize(
    ("package", "name", "field", "reason"),
    [
        ("mine", "Event", (1, DOUBLE), "got mine.Event"),
        ("tensorflow", "GraphDef", (1, DOUBLE), "got tensorflow.GraphDef"),
        ("tensorflow", "Event", (3, STRING), None),
        ("tensorflow", "Summary", (1, STRING), "others"),
    ],
)
def test_refuses_other_messages(
    tmp_path: Path, package: str, name: str, field: tuple[int, int], reason: str | None
) -> None:
    """A message of another name is refused, and one whose bytes are not those of its name.

    Catches: a message that is framed unseen, and ends TensorBoard's reading of the file.
    """
    message = foreign(package, name, field=field)(field="\x0f" if field[1] == STRING else 1.0)
    with EventFileWriter(tmp_path) as writer:
        if reason is None:  # a text is what a file version is
            writer.add_event(message)
        else:
            with pytest.raises(ArgumentTypeError, match=rf"^add_event: expected .*{reason}"):
                writer.add_event(message)

    assert (2 if reason is None else 1) == len(list(EventFileReader(writer.path)))


def test_refuses_what_is_no_event(tmp_path: Path) -> None:
    """What is no message is refused, and so is a time that is not finite; the error says which."""
    writer = EventFileWriter(tmp_path)
    with pytest.raises(ArgumentTypeError, match=r"expected an Event or a Summary .* got bytes"):
        writer.add_event(b"")  # type: ignore[arg-type]
    with pytest.raises(ArgumentValueError, match=r"add_event: wall_time: .* got nan"):
        writer.add_event(Event(wall_time=math.nan))
    with pytest.raises(ArgumentValueError, match="add_event: step: expected a whole number"):
        writer.add_event(Event(), 0.5)
    writer.close()
    with pytest.raises(WriterClosedError, match=re.escape(str(writer.path))):
        writer.add_event(Event())


def test_public_face() -> None:
    """A writer of events offers what its users need, and none of the plumbing."""
    public = {name for name in dir(EventFileWriter) if not name.startswith("_")}

    assert {"add_event", "close", "closed", "flush", "path"} == public


def test_writer_that_nobody_holds_is_closed(tmp_path: Path) -> None:
    """What was added is written and the descriptor is closed, without a call of `close`.

    Catches: a writer that the background thread keeps open until the program ends.
    """
    writer = EventFileWriter(tmp_path, flush_secs=1000)
    path, file = writer.path, writer._file
    writer.add_event(Event(step=1))
    del writer
    assert file.closed
    file.close()

    assert [0, 1] == [event.step for event in EventFileReader(path)]


def test_exception_within_with(tmp_path: Path) -> None:
    """The block's own exception leaves `with`, and what was added before is written."""
    error = ValueError("own")
    with pytest.raises(ValueError, match="own") as caught, EventFileWriter(tmp_path) as writer:  # noqa: PT012
        writer.add_event(Event(step=1))
        raise error

    assert caught.value is error
    assert writer.closed
    assert [0, 1] == [event.step for event in EventFileReader(writer.path)]


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
