"""Back-pressure: what a caller does at which level of the rows that wait."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventwriter._file import failing_disk, flusher
from eventwriter._file.back_pressure import BackPressure
from eventwriter._file.failing_disk import FailingDisk
from eventwriter._file.pending import Pending
from eventwriter._file.rows import ROW

if TYPE_CHECKING:
    from collections.abc import Callable


class File:
    """Stands for an event file: writes down what is asked of it."""

    def __init__(self) -> None:
        self.pending = Pending()
        self.batches = 0
        self.asked: list[str | float] = []

    def pending_bytes(self) -> int:
        return len(self.pending.rows)

    def pending_records(self) -> int:
        return len(self.pending.rows) // ROW.size

    def batches_ahead(self) -> int:
        return self.batches

    def encode_ahead(self, patience_secs: float) -> bool:
        self.asked.append("encode")
        self.batches += 1
        return True


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> File:
    file = File()
    monkeypatch.setattr(flusher, "wake", lambda: file.asked.append("wake"))
    monkeypatch.setattr(flusher, "wait", lambda seconds, _: file.asked.append(seconds))
    return file


@pytest.fixture
def press(file: File) -> Callable[[int], list[str | float]]:
    """Add rows one by one, as the hot path does; return what the pressure did, and at which row.

    A disk with room for 100,000 rows, and a background thread that never comes.
    """
    limit = 100_000 * ROW.size
    disk = FailingDisk(Path("run"), "Records", limit, file)
    pressure = BackPressure(file, disk, 1000, limit)
    file.disk, file.pressure = disk, pressure  # type: ignore[attr-defined]

    def rows(count: int) -> list[str | float]:
        for _ in range(count):
            file.pending.rows += bytes(ROW.size)
            if len(file.pending.rows) > pressure.high_water:
                pressure.slow_down()
        asked = list(file.asked)
        file.asked.clear()
        return asked

    return rows


def test_levels(file: File, press: Callable[[int], list[str | float]]) -> None:
    """The caller does nothing, wakes the thread, encodes four batches, waits, is out of room.

    It waits where many rows wait.

    Catches: a thread that is woken again and again; a caller that helps at every row.
    """
    assert [] == press(1000)
    assert ["wake"] == press(1)
    assert [] == press(4095)
    for _ in range(4):
        assert ["encode"] == press(4096 + 1)
    assert [] == press(65_536 - file.pending_records())
    assert [0.005] == press(4096 + 1)
    file.pending.tag_ids["a"] = 0
    asked = press(100_001 - file.pending_records())

    assert failing_disk.MAX_WAIT_SECS == asked[-1]
    assert {0.005} == set(asked[:-1])
    assert file.disk.full  # type: ignore[attr-defined]
    assert {} == file.pending.tag_ids
    assert [] == press(10)  # it waits once


def test_fall(file: File, press: Callable[[int], list[str | float]]) -> None:
    """Once everything is written, the lowest level holds again.

    Catches: a mark that stays high, so that the next thousand rows wake nobody.
    """
    press(30_000)
    file.pending.rows.clear()
    file.batches = 0
    file.pressure.fall()  # type: ignore[attr-defined]

    assert [] == press(1000)
    assert ["wake"] == press(1)


def test_a_disk_that_refuses_is_not_helped(
    file: File, press: Callable[[int], list[str | float]]
) -> None:
    """After an error nobody encodes ahead or waits; memory still has its limit.

    Catches: a caller that loses 5 ms at every 4096 rows, for a disk that writes nothing.
    """
    file.disk.error = OSError(28, "full")  # type: ignore[attr-defined]
    file.pending.tag_ids["a"] = 0

    assert ["wake"] == press(100_001)
    assert {} == file.pending.tag_ids


@pytest.mark.parametrize("limit", [1, 31, 64, 1000])
def test_memory_below_the_first_mark(file: File, limit: int) -> None:
    """Where less memory is allowed than wakes the thread, the limit is the mark."""
    disk = FailingDisk(Path("run"), "Records", limit, file)
    pressure = BackPressure(file, disk, 1000, limit)

    assert (limit, limit) == (pressure.high_water, pressure.high_water_total)
