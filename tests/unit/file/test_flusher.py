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
