"""The policy for a disk that refuses: what is warned of, counted, waited for and raised."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

from eventwriter._file import flusher
from eventwriter._file.failing_disk import MAX_WAIT_SECS, FailingDisk, close_after
from eventwriter.errors import EventWriterWarning, WriteError


class Waiting:
    """Stands for the records of a file."""

    nbytes = 0
    records = 0

    def pending_bytes(self) -> int:
        return self.nbytes

    def pending_records(self) -> int:
        return self.records


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def disk(waiting: Waiting) -> FailingDisk:
    return FailingDisk(Path("run"), "Records", 100, waiting)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(flusher, "wait", lambda seconds, _: waits.append(seconds))
    return waits


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left")


def elsewhere() -> None:
    raise OSError(errno.EIO, "Input error", "run/other")


def unforeseen() -> None:
    raise RuntimeError("unforeseen")


def unreadable() -> None:
    raise WriteError("expected a list. Repair it.", path="run/list")


@pytest.mark.parametrize(
    ("drain", "path", "number", "text"),
    [
        (full, "run", errno.ENOSPC, "run: writing failed: No space left. Records that wait"),
        (elsewhere, "run/other", errno.EIO, "run/other: writing failed: Input error. Records"),
        (unforeseen, "run", None, r"run: writing failed: RuntimeError\('unforeseen'\). Records"),
        (unreadable, "run/list", None, "run/list: writing failed: expected a list. Repair it. R"),
    ],
)
def test_error_that_is_raised(
    disk: FailingDisk, waiting: Waiting, drain: object, path: str, number: int | None, text: str
) -> None:
    """The caller is told the path, the system's reason, and how many records wait."""
    waiting.records = 3
    for _ in range(2):
        with pytest.raises(WriteError, match=f"^{text}.* tried again: 3.$") as caught:
            disk.run(drain)

        assert (path, number, 3) == (
            caught.value.filename,
            caught.value.errno,
            caught.value.pending,
        )
        assert (number is None) == (caught.value.cause is None)
        assert number == pickle.loads(pickle.dumps(caught.value)).errno


def test_warning_comes_once_for_each_failure(disk: FailingDisk) -> None:
    """In the background the first error is warned of, and the first after a success again."""
    for _ in range(2):
        with pytest.warns(EventWriterWarning, match=r"No space left.*Training goes on"):
            disk.run_in_background(full)
        disk.run_in_background(full)  # a second warning would be an error here
        disk.run_in_background(elsewhere)
        disk.error = None


def test_losses_are_reported_once(disk: FailingDisk) -> None:
    """Losses are raised once, with their number and the last reason; an error has them too."""
    disk.run(lambda: None)
    disk.count_lost("first", 2)
    disk.count_lost("second", 3)
    with pytest.raises(WriteError, match=r"^run: Records lost: 5 \(second\).$") as caught:
        disk.run(lambda: None)
    assert (5, 0, None) == (caught.value.lost, caught.value.pending, caught.value.cause)
    disk.run(lambda: None)
    disk.count_lost("third", 1)
    with pytest.raises(WriteError, match=r"No space left.*Records lost: 1 \(third\).$") as caught:
        disk.run(full)

    assert 1 == caught.value.lost


def test_one_wait_each_time_that_memory_runs_full(
    disk: FailingDisk, waiting: Waiting, waits: list[float]
) -> None:
    """Of many records that find memory full, one waits; all of them are counted.

    Catches: a training that waits a second for every record.
    """
    assert disk.has_room(1)
    for full_time in (1, 2):
        waiting.nbytes = 100
        assert [False] * 3 == [disk.has_room(2) for _ in range(3)]
        assert disk.full
        assert [MAX_WAIT_SECS] * full_time == waits
        waiting.nbytes = 99
        assert disk.has_room(1)
        assert not disk.full
    with pytest.raises(WriteError, match=r"lost: 12 .more than max_pending_bytes=100 waited"):
        disk.run(lambda: None)


def test_room_that_the_wait_brings(
    disk: FailingDisk, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk makes room while a caller waits, nothing is lost."""
    monkeypatch.setattr(flusher, "wait", lambda *_: setattr(waiting, "nbytes", 0))
    waiting.nbytes = 100

    assert disk.has_room(1)
    assert not disk.full


def test_a_disk_that_refused_is_not_waited_for(
    disk: FailingDisk, waiting: Waiting, waits: list[float]
) -> None:
    """An error is known already: to wait for that disk would only cost time."""
    disk.error = OSError(errno.ENOSPC, "full")
    waiting.nbytes = 100

    assert not disk.has_room(1)
    assert [] == waits


def test_close_after_a_block() -> None:
    """A WriteError of `close` is raised, or warned of when an exception left the block."""

    def close() -> None:
        raise WriteError("run: lost", path="run")

    with pytest.raises(WriteError, match="run: lost"):
        close_after(None, close)
    with pytest.warns(EventWriterWarning, match="run: lost"):
        close_after(ValueError("own"), close)
