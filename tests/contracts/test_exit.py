"""The end of the process, of a writer that is closed, and of one that is not."""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest

import eventwriter._file.flusher
from eventwriter import EventFileWriter, SummaryWriter
from eventwriter._proto.event_pb2 import Event
from eventwriter.errors import WriteError, WriterClosedError
from tests.helpers import children
from tests.helpers.patience import LONG_SECS, wait_until
from tests.helpers.scanner import event_file, events, points, scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def end(log_dir: str, how: str) -> None:
    """Log from two threads, and end without a flush."""
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_scalar("main", 0.5, 0)
    writer.flush()

    def log() -> None:
        threading.main_thread().join(LONG_SECS)  # it is at its end, and waits for this thread
        writer.add_scalar("thread", 0.5, 0)

    if how == "thread":
        threading.Thread(target=log).start()
    if how == "atexit":
        atexit.register(writer.add_scalar, "atexit", 0.5, 0)
    for step in range(1, 1000):
        writer.add_scalar("main", 0.5, step)
    writer.add_histogram("main/histograms", [1.0], 1000)
    match how:
        case "sys.exit":
            sys.exit(3)
        case "error":
            raise ValueError
        case "os._exit":
            os._exit(3)


@pytest.mark.parametrize(
    ("how", "returncode"),
    [("return", 0), ("sys.exit", 3), ("error", 1), ("thread", 0), ("atexit", 0)],
)
def test_normal_exit_flushes(tmp_path: Path, how: str, returncode: int) -> None:
    """What was logged just before the interpreter's exit is in the file, without close or flush.

    Catches: a daemon thread that dies with its queue; a flush before the last threads ended.
    """
    _, err = children.run(end, str(tmp_path), how, returncode=returncode)
    found = points(event_file(tmp_path))

    assert list(range(1001)) == [step for tag, step in found if tag == "main"]
    assert [(how, 0)] * (how in {"thread", "atexit"}) == [tag for tag in found if tag[0] != "main"]
    assert how == "error" or not err


def test_hard_exit_keeps_what_was_flushed(tmp_path: Path) -> None:
    """`os._exit` loses at most what was not flushed, and tears no record.

    Catches: a flush that leaves its work to the exit.
    """
    children.run(end, str(tmp_path), "os._exit", returncode=3)
    found = points(event_file(tmp_path))

    assert ("main", 0) == found[0]
    assert [("main", step) for step in range(len(found))] == found


def end_on_a_hanging_disk(log_dir: str) -> None:
    eventwriter._file.flusher.EXIT_SECS = 0.5
    writer = SummaryWriter(log_dir, flush_secs=1000)
    other = SummaryWriter(f"{log_dir}/other", flush_secs=1000)
    children.hang_disk(event_file(log_dir))
    other.add_scalar("a", 0.5, 0)
    other.flush()
    writer.add_scalar("a", 0.5, 0)


def test_hanging_disk_does_not_hang_the_exit(tmp_path: Path) -> None:
    """A write that blocks for ever holds the exit up for `EXIT_SECS`, and a warning tells of them.

    Catches: an exit that drains in its own thread, or waits for the background thread's end. It
    would never come.
    """
    _, err = children.run(end_on_a_hanging_disk, str(tmp_path))

    assert "gave up writing pending records after 0.5 s" in err
    assert [("a", 0)] == points(event_file(tmp_path / "other"))


def end_on_a_full_disk(log_dir: str) -> None:
    """Close on a full disk, give up on that, and end when there is room again."""
    writer = SummaryWriter(log_dir, flush_secs=1000)
    with children.full_disk(event_file(log_dir)):
        writer.add_scalar("a", 0.5, 0)
        try:
            writer.close()
        except WriteError as error:
            print(error.pending)


def test_exit_writes_what_close_could_not(tmp_path: Path) -> None:
    """What a failing disk kept from `close` is tried once more at the exit.

    Catches: a close that loses its records, or the file, when it fails.
    """
    out, _ = children.run(end_on_a_full_disk, str(tmp_path))

    assert "1\n" == out
    assert [("a", 0)] == points(event_file(tmp_path))


def is_open(path: Path) -> bool:
    try:
        children.descriptor(path)
    except LookupError:
        return False
    return True


def test_dropped_writer_loses_nothing(tmp_path: Path) -> None:
    """A writer that the program has dropped is written and closed, in the background.

    Catches: a queue that is collected with its writer; a file that stays open.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    path = event_file(tmp_path)
    for step in range(100):
        writer.add_scalar("a", 0.5, step)
    writer.add_histogram("b", [1.0], 0)
    del writer
    gc.collect()
    wait_until(lambda: not is_open(path), "the end of the file")

    assert [*(("a", step) for step in range(100)), ("b", 0)] == points(path)


CALLS: dict[str, Callable[[SummaryWriter], None]] = {
    "add_scalar": lambda writer: writer.add_scalar("a", 0.5, 1),
    "add_scalar, new tag": lambda writer: writer.add_scalar("new", 0.5, 1),
    "add_scalar, walltime": lambda writer: writer.add_scalar("a", 0.5, 1, 1.0),
    "log": lambda writer: writer.log({"a": 0.5}, 1),
    "log, new names": lambda writer: writer.log({"new": 0.5}, 1),
    "add_scalar_series": lambda writer: writer.add_scalar_series("a", [0.5], [1]),
    "add_histogram": lambda writer: writer.add_histogram("h", [0.5], 1),
    "add_histogram_raw": lambda writer: writer.add_histogram_raw(
        "h", 0.0, 1.0, 1, 0.5, 0.25, [1.0], [1.0], 1
    ),
    "add_graph": lambda writer: writer.add_graph(b"\x0a\x09\x0a\x01a\x12\x04NoOp"),
    "add_embedding": lambda writer: writer.add_embedding([[0.5, 1.0]] * 2, global_step=1),
}


@pytest.mark.parametrize("call", CALLS)
def test_logging_after_close_raises(tmp_path: Path, call: str) -> None:
    """After `close` every call raises, and nothing is written; before it, the same call works.

    Catches: a fast path that goes on, or a closed writer that opens a file of its own.
    """
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("a", 0.5, 0)
    writer.log({"a": 0.5}, 0)
    CALLS[call](writer)
    writer.close()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for _ in range(2):
        with pytest.raises(WriterClosedError, match="closed"):
            CALLS[call](writer)
    writer.flush()
    writer.close()

    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_event_file_writer_after_close(tmp_path: Path) -> None:
    """An `EventFileWriter` takes nothing after `close`; closing twice does no harm.

    Catches: a record that waits for ever in a closed file's queue.
    """
    writer = EventFileWriter(tmp_path)
    writer.add_event(Event(step=1))
    writer.close()
    writer.close()
    with pytest.raises(WriterClosedError, match="was closed"):
        writer.add_event(Event(step=2))
    writer.flush()

    assert [1] == [event.step for event in events(writer.path)]


@pytest.mark.parametrize("flags", ["-W default", "-W error"])
def test_exception_within_with(tmp_path: Path, flags: str) -> None:
    """The training's exception leaves `with` as it is, even when the disk fails as well.

    Catches: a `close` whose own error, or warning, takes its place.
    """
    out, err = children.run(fail_within_with, str(tmp_path), flags=flags)

    assert ["True None", "True None", "WriteError 1"] == out.splitlines()
    assert "No space left" in err


def fail_within_with(log_dir: str) -> None:
    error = ValueError("of the training")
    for name, disk in (("a", None), ("b", children.full_disk)):
        writer = SummaryWriter(f"{log_dir}/{name}", flush_secs=1000)
        broken = disk(event_file(writer.log_dir)) if disk else None
        try:
            with writer:
                if broken:
                    broken.__enter__()
                writer.add_scalar("a", 0.5, 0)
                raise error
        except Exception as caught:  # noqa: BLE001 - which one is the question
            print(caught is error, caught.__cause__)
        if broken:
            broken.__exit__(None, None, None)
    writer = SummaryWriter(f"{log_dir}/c", flush_secs=1000)
    with children.full_disk(event_file(writer.log_dir)):
        try:
            with writer:
                writer.add_scalar("a", 0.5, 0)
        except WriteError as caught:
            print(type(caught).__name__, caught.pending)


class ClosesLate:
    """Closes a writer when the interpreter clears its globals."""

    def __init__(self, writer: SummaryWriter) -> None:
        self.writer = writer

    def __del__(self) -> None:
        self.writer.add_scalar("late", 0.5, 0)
        self.writer.close()


def close_while_daemons_log(log_dir: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=0.001, max_queue=1)

    def log() -> None:
        step = 0
        while True:
            writer.add_histogram("daemon", [1.0], step)
            writer.add_scalar("daemon/scalar", 0.5, step)
            step += 1

    for _ in range(3):
        threading.Thread(target=log, daemon=True).start()
    sys.modules["__main__"].late = ClosesLate(writer)  # type: ignore[attr-defined]
    time.sleep(0.02)


@pytest.mark.parametrize("attempt", range(10))
def test_finalizer_does_not_hang_the_exit(tmp_path: Path, attempt: int) -> None:
    """A `__del__` that logs and closes at the very end returns, though daemon threads logged.

    Catches: a lock that a thread held when the interpreter stopped it.
    """
    children.run(close_while_daemons_log, str(tmp_path))
    records, end = scan(event_file(tmp_path).read_bytes())
    tags = [v.tag for r in records for v in Event.FromString(r.payload).summary.value]

    assert event_file(tmp_path).stat().st_size == end
    assert tags.count("late") == 1


class LogsLate:
    """Logs when the interpreter clears its globals."""

    def __init__(self, writer: SummaryWriter, tag: str) -> None:
        self.writer = writer
        self.tag = tag

    def __del__(self) -> None:
        self.writer.add_scalar(self.tag, 0.5, 1)
        self.writer.add_histogram(f"{self.tag}/histogram", [0.5], 1)


def log_after_the_last_drain(log_dir: str) -> None:
    writers: list[SummaryWriter] = []
    atexit.register(lambda: writers[0].add_scalar("atexit", 0.5, 1))
    atexit.register(lambda: writers[0].log({"log": 0.5}, 1))
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writers.append(writer)
    writer.add_scalar("atexit", 0.5, 0)
    target = sys.modules["__main__"]
    weakref.finalize(target, writer.add_scalar, "finalize", 0.5, 1)
    target.late = LogsLate(writer, "del")  # type: ignore[attr-defined]


def test_calls_after_the_last_drain_are_written(tmp_path: Path) -> None:
    """Handlers registered before the first writer, finalizers and `__del__` of globals may log.

    Catches: records that wait for a thread that has ended.
    """
    children.run(log_after_the_last_drain, str(tmp_path))
    found = points(event_file(tmp_path))
    expected = {("atexit", 0), ("atexit", 1), ("log", 1), ("finalize", 1), ("del", 1)}

    assert expected | {("del/histogram", 1)} == {*found}
    assert len(found) == 6


def log_in_a_thread_that_outlives_the_target(log_dir: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=1000)

    def log_on() -> None:
        # The target has returned, and multiprocessing has run its finalizers.
        threading.main_thread().join(LONG_SECS)
        for step in range(20):
            writer.add_scalar("thread", 0.5, step)

    threading.Thread(target=log_on).start()


def start_a_child_with_a_thread(log_dir: str) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=log_in_a_thread_that_outlives_the_target, args=(log_dir,)
    )
    process.start()
    process.join()


def test_thread_that_outlives_the_target_of_a_process(tmp_path: Path) -> None:
    """In a child of multiprocessing, what a thread logs after the target returned is written."""
    children.run(start_a_child_with_a_thread, str(tmp_path))

    assert [("thread", step) for step in range(20)] == points(event_file(tmp_path))
