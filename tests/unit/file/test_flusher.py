"""The background thread goes on, whatever fails around it."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from eventwriter._file import flusher
from eventwriter._warn import warn_from_thread
from eventwriter.errors import EventWriterWarning
from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sink:
    """Counts its drains. Raises in each of them if it was told to fail."""

    flush_secs = 0.01

    def __init__(self, fail: bool = False) -> None:
        self.fail = fail
        self.drained = threading.Semaphore(0)

    def drain_in_background(self) -> None:
        self.drained.release()
        if self.fail:
            raise RuntimeError("unforeseen")

    def write_at_once(self) -> None: ...

    def abandon(self) -> None:
        pass


@pytest.fixture
def sinks() -> Iterator[list[Sink]]:
    sinks = [Sink(fail=True), Sink()]
    for sink in sinks:
        flusher.watch(sink)
    yield sinks
    for sink in sinks:
        flusher.unwatch(sink)


def test_a_sink_that_raises_stops_no_other(sinks: list[Sink]) -> None:
    """When the drain of one writer raises, the other writers are still drained again and again."""
    for sink in sinks:
        for _ in range(3):
            assert sink.drained.acquire(timeout=LONG_SECS)


class HangingSink(Sink):
    """Hangs in its drain until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = threading.Semaphore(0)
        self.let_go = threading.Event()

    def drain_in_background(self) -> None:
        self.hangs.release()
        assert self.let_go.wait(LONG_SECS)
        self.drained.release()


@pytest.fixture
def overseen(monkeypatch: pytest.MonkeyPatch) -> Iterator[flusher._Flusher]:
    """A background thread of the test's own."""
    monkeypatch.setattr(flusher, "_LOOK_SECS", 0.05)
    own = flusher._Flusher()
    yield own
    for sink in own.sinks():
        if isinstance(sink, HangingSink):
            sink.let_go.set()
        own.unwatch(sink)


def test_sinks_that_hang_stop_no_other(overseen: flusher._Flusher) -> None:
    """While two drains hang, the third sink is drained. When they come back, they go on.

    Catches: one thread that waits for a disk of one writer, and leaves all others unwritten.
    """
    hanging, sink = [HangingSink(), HangingSink()], Sink()
    for each in (hanging[0], sink, hanging[1]):
        overseen.watch(each)
    for each in hanging:
        assert each.hangs.acquire(timeout=LONG_SECS)
    for _ in range(20):
        assert sink.drained.acquire(timeout=LONG_SECS)
    for each in hanging:
        each.let_go.set()
        for _ in range(3):
            assert each.drained.acquire(timeout=LONG_SECS)
    names = [thread.name for thread in threading.enumerate()]

    assert sink.drained.acquire(timeout=LONG_SECS)
    assert names.count("eventwriter") <= 2 + 2 + 1  # of this one, and of the process


def test_who_waits_is_told_of_the_right_sink(overseen: flusher._Flusher) -> None:
    """A wait ends when its own sink was drained; a wait for all sinks, when all were.

    Catches: a caller that takes its own stuck disk for drained, and drops records; one that waits
    for the stuck disk of another writer; an exit that does not wait for a slow disk.
    """
    hanging, sink = HangingSink(), Sink()
    overseen.watch(hanging)
    overseen.watch(sink)
    assert hanging.hangs.acquire(timeout=LONG_SECS)

    assert overseen.wait(LONG_SECS, sink)
    assert not overseen.wait(0.2, hanging)
    assert not overseen.wait(0.2, None)
    hanging.let_go.set()
    assert overseen.wait(LONG_SECS, hanging)
    assert overseen.wait(LONG_SECS, None)


def test_an_overseer_is_there_for_several_sinks_alone(overseen: flusher._Flusher) -> None:
    """One sink has one thread. A second thread comes with the second sink, and leaves with it."""
    first, second = Sink(), Sink()
    overseen.watch(first)
    assert overseen._overseer is None
    for _ in range(2):
        overseen.watch(second)
        overseer = overseen._overseer
        assert overseer is not None
        overseen.unwatch(second)
        overseer.join(LONG_SECS)
        assert overseen._overseer is None


def raise_error(*_: object, **__: object) -> None:
    raise ValueError("a hook of the user's")


@pytest.mark.parametrize("stderr_fails", [False, True])
def test_a_warning_in_the_background_never_raises(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stderr_fails: bool
) -> None:
    """A hook that raises, or a stderr that fails, does not reach the thread that warns."""
    if stderr_fails:
        monkeypatch.setattr("sys.stderr", None)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("always")
        patch.setattr(warnings, "warn", raise_error)
        warn_from_thread("the disk is full")

    assert stderr_fails or "the disk is full" in capsys.readouterr().err


def test_a_warning_that_is_an_error_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Under `-W error` the message is not lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", EventWriterWarning)
        warn_from_thread("the disk is full")

    assert "EventWriterWarning: the disk is full\n" == capsys.readouterr().err
