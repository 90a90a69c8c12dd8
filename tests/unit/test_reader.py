"""EventFileReader: what it yields, and where it says that a file is damaged."""

from __future__ import annotations

import os
import re
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from eventwriter import EventFileReader
from eventwriter._file.framing import frame, header
from eventwriter._proto.event_pb2 import Event
from eventwriter.errors import CorruptFileError, TruncatedFileError

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = [Event(wall_time=1.0, file_version="brain.Event:2"), Event(step=1), Event(step=300)]
RECORDS = [frame(event.SerializeToString()) for event in EVENTS]
STARTS = [0, len(RECORDS[0]), len(RECORDS[0]) + len(RECORDS[1])]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join(RECORDS))
    return path


def read_until_damage(path: Path) -> tuple[int, CorruptFileError | None]:
    """Return how many events came, and the error that ended them."""
    count = 0
    try:
        for event in EventFileReader(path):
            assert EVENTS[count] == event
            count += 1
    except CorruptFileError as error:
        return count, error
    return count, None


def test_yields_all_events_each_time(path: Path) -> None:
    """Iterating yields every event in order, and starts at the first each time."""
    reader = EventFileReader(path)

    assert EVENTS == list(reader)
    assert EVENTS == list(reader)


def test_empty_file(path: Path) -> None:
    """A file without bytes holds no events, and is not damaged."""
    path.write_bytes(b"")

    assert (0, None) == read_until_damage(path)


@pytest.mark.parametrize("kept", range(1, sum(map(len, RECORDS))))
def test_truncated_at_every_byte(path: Path, kept: int) -> None:
    """Whole records are yielded. The error has the number and the first byte of the cut record."""
    path.write_bytes(path.read_bytes()[:kept])
    whole = sum(start + len(record) <= kept for start, record in zip(STARTS, RECORDS, strict=True))
    count, error = read_until_damage(path)

    assert whole == count
    if kept in STARTS:
        assert error is None
    else:
        assert isinstance(error, TruncatedFileError)
        assert (str(path), whole, STARTS[whole]) == (error.path, error.record, error.offset)


@pytest.mark.parametrize("at", range(sum(map(len, RECORDS))))
def test_flipped_bit_in_every_byte(path: Path, at: int) -> None:
    """A changed byte is found wherever it is, in the record that holds it."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)
    damaged = max(n for n, start in enumerate(STARTS) if start <= at)
    count, error = read_until_damage(path)

    assert error is not None
    assert (damaged, damaged, STARTS[damaged]) == (count, error.record, error.offset)


def test_message_tells_both_checksums(path: Path) -> None:
    """The message has the place, the stored checksum and the computed one."""
    data = bytearray(path.read_bytes())
    data[STARTS[1] + 12] ^= 1
    path.write_bytes(data)
    _, error = read_until_damage(path)

    assert re.match(
        rf"{re.escape(str(path))}: record 1 at byte {STARTS[1]}: expected 0x\w+ as the checksum of "
        r"its payload, got 0x\w+\.",
        str(error),
    )
    assert 2 == str(error).count("0x")


def test_length_beyond_the_file(path: Path) -> None:
    """A length beyond all memory, with a right checksum, is a truncated file, no MemoryError."""
    for length in (2**31, 2**45, 2**63):
        path.write_bytes(RECORDS[0] + header(length) + b"abc")
        count, error = read_until_damage(path)

        assert 1 == count
        assert isinstance(error, TruncatedFileError)


@pytest.mark.parametrize("length", [65 << 20, 2**31 - 1, 2**31, 2**38])
def test_length_within_a_sparse_file(path: Path, length: int) -> None:
    """A length that a sparse file seems to hold is our error, and costs no memory.

    Catches: a MemoryError, or a reader that the system kills.
    """
    path.write_bytes(RECORDS[0] + header(length))
    os.truncate(path, length + 1000)
    tracemalloc.start()
    try:
        count, error = read_until_damage(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (1, CorruptFileError) == (count, type(error))
    assert (1, STARTS[1]) == (error.record, error.offset)
    assert peak < 16 << 20


def test_huge_record(path: Path) -> None:
    """A record above the size that is verified first is read all the same."""
    event = Event(wall_time=1.0, graph_def=bytes(range(256)) * (1 << 18) + b"more")
    path.write_bytes(RECORDS[0] + frame(event.SerializeToString()) + RECORDS[2])
    events = list(EventFileReader(path))

    assert [EVENTS[0], EVENTS[2]] == [events[0], events[2]]
    assert event.graph_def == events[1].graph_def


def test_record_that_is_no_event(path: Path) -> None:
    """Other bytes with right checksums have an error of their own."""
    path.write_bytes(RECORDS[0] + frame(b"\xff\xff\xff"))
    count, error = read_until_damage(path)

    assert 1 == count
    assert "expected an Event" in str(error)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is the operating system's error, with its path."""
    with pytest.raises(FileNotFoundError, match="none"):
        list(EventFileReader(tmp_path / "none"))
