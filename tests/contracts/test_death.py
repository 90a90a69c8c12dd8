"""Death: a file that ends anywhere is read up to its last whole record."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from eventwriter import EventFileReader, SummaryWriter
from eventwriter._proto.event_pb2 import Event
from eventwriter.errors import CorruptFileError, TruncatedFileError
from tests.helpers import children
from tests.helpers.scanner import event_file, scan

if TYPE_CHECKING:
    from pathlib import Path


def log_for_ever(log_dir: str) -> None:
    """Log without end; print a step once everything up to it was flushed."""
    writer = SummaryWriter(log_dir, flush_secs=0.01, max_queue=64)
    step = 0
    while True:
        for _ in range(random.randrange(1, 400)):
            writer.add_scalar("a", 0.5, step)
            writer.add_histogram("b", [1.0, 2.0], step, bins=2)
            step += 1
        writer.flush()
        print(step, flush=True)


@pytest.mark.parametrize("seed", range(5))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    """After SIGKILL all that was flushed is there, and the file is whole but for its last record.

    Catches: a flush that returns before the data has left the process; records in a buffer; a
    file that is finished only by `close`.
    """
    lines = random.Random(seed).randrange(1, 12)
    with children.child(log_for_ever, str(tmp_path)) as process:
        flushed = [int(process.stdout.readline()) for _ in range(lines)][-1]
        for _ in range(random.Random(seed).randrange(100_000)):
            pass
        process.kill()
        process.wait()
    data = event_file(tmp_path).read_bytes()
    records, end = scan(data)
    steps = [Event.FromString(record.payload).step for record in records[1:]]

    assert 2 * flushed <= len(steps)
    assert sorted([*range(steps[-1] + 1)] * 2)[: len(steps)] == steps
    count, error = read(event_file(tmp_path))

    assert len(records) == count
    assert (error is None) == (len(data) == end)
    if error is not None:
        assert isinstance(error, TruncatedFileError)
        assert (count, end) == (error.record, error.offset)


@pytest.fixture
def small_file(tmp_path: Path) -> bytes:
    with SummaryWriter(tmp_path, flush_secs=1000) as writer:
        writer.add_scalar("a", 0.5, 1)
        writer.add_histogram("b", [1.0, 2.0], 2, bins=2)
        writer.log({"a": 1.0, "c": 2.0}, 3)
    return event_file(tmp_path).read_bytes()


def read(path: Path) -> tuple[int, CorruptFileError | None]:
    """Return how many events are read, and the error that ends them."""
    count = 0
    try:
        for _ in EventFileReader(path):
            count += 1
    except CorruptFileError as error:
        return count, error
    return count, None


def test_truncated_at_every_byte(tmp_path: Path, small_file: bytes) -> None:
    """A file cut anywhere yields all that is whole, then says which record ends early, and where.

    Catches: a reader that takes a cut for the end of the file, drops what came before, or names
    the wrong place.
    """
    records, _ = scan(small_file)
    starts = {record.offset for record in records} | {len(small_file)}
    for cut in range(len(small_file) + 1):
        (tmp_path / "cut").write_bytes(small_file[:cut])
        count, error = read(tmp_path / "cut")
        whole, end = scan(small_file[:cut])

        assert len(whole) == count
        if cut in starts:
            assert error is None
        else:
            assert isinstance(error, TruncatedFileError)
            assert (str(tmp_path / "cut"), count, end) == (error.path, error.record, error.offset)
            assert f"record {count} at byte {end}" in str(error)


def test_damaged_at_every_byte(tmp_path: Path, small_file: bytes) -> None:
    """A changed byte anywhere is found, and all before its record is read.

    Catches: a checksum that is not compared, of the length or of the payload.
    """
    records, _ = scan(small_file)
    for at in range(len(small_file)):
        damaged = bytearray(small_file)
        damaged[at] ^= 0x10
        (tmp_path / "damaged").write_bytes(damaged)
        count, error = read(tmp_path / "damaged")
        number = sum(record.offset <= at for record in records) - 1

        assert number == count
        assert error is not None
        assert not isinstance(error, TruncatedFileError)
        assert (number, records[number].offset) == (error.record, error.offset)
