"""Order and visibility: the file holds records in the order of the calls, and soon."""

from __future__ import annotations

import contextlib
import pickle
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eventwriter import SummaryWriter
from eventwriter.errors import WriterClosedError
from tests.helpers import children
from tests.helpers.interrupts import at_every_place
from tests.helpers.patience import LONG_SECS, wait_until
from tests.helpers.scanner import event_file, events, points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNLIMITED = 1 << 40
"""`max_pending_bytes` where threads log flat out: a disk that pauses must not cost a record."""


@pytest.fixture
def _eager_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class OnDevice:
    """Stands for an array of JAX that is not computed yet."""

    shape = ()
    size = 1
    dtype = np.dtype("f4")

    def __init__(self, value: float) -> None:
        self._value = value

    def is_deleted(self) -> bool:
        return False

    def is_ready(self) -> bool:
        return False

    def copy(self) -> OnDevice:
        return self

    def item(self) -> float:
        return self._value


@pytest.fixture
def _jax(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = type(sys)("jax")
    jax.Array = OnDevice
    jax.core = type("core", (), {"Tracer": type("Tracer", (), {})})
    monkeypatch.setitem(sys.modules, "jax", jax)


def log_one(writer: SummaryWriter, tag: str, step: int) -> list[tuple[str, int]]:
    """Log a record of the kind that `step` chooses; return what the file is to show."""
    match step % 8:
        case 0 | 1:
            writer.add_scalar(tag, step, step)
        case 2:
            writer.add_scalar(tag, step, step, walltime=1.0)
        case 3:
            writer.log({tag: step, f"{tag}/b": step}, step)
            return [(tag, step), (f"{tag}/b", step)]
        case 4:
            writer.add_histogram(f"{tag}/histograms", [step], step, bins=1)
        case 5:
            writer.add_scalar_series(tag, [step] * 3, [step] * 3)
            return [(tag, step)] * 3
        case 6:
            writer.add_scalar(tag, OnDevice(step), step)
        case 7:
            writer.add_scalar(tag * 300, step, step)  # too long for the fast path
            return [(tag * 300, step)]
    return [(tag, step)]


@pytest.mark.filterwarnings("ignore:.*expected each step once")
@pytest.mark.usefixtures("_eager_switches", "_jax")
@pytest.mark.parametrize("max_queue", [1, 50, 1_000_000])
def test_each_threads_order_is_kept(tmp_path: Path, max_queue: int) -> None:
    """Records of all kinds from several threads: nothing is lost or doubled, no order changes.

    Catches: a queue that is swapped or cleared while somebody appends; a second queue for some
    kinds; deferred values that are written when they arrive; two drains at once.
    """
    writer = SummaryWriter(tmp_path, flush_secs=0.01, max_queue=max_queue)
    barrier = threading.Barrier(5)
    expected: list[list[tuple[str, int]]] = [[] for _ in range(4)]

    def log(thread: int) -> None:
        barrier.wait()
        for step in range(800):
            expected[thread] += log_one(writer, f"{thread}", step)

    def flush() -> None:
        while any(thread.is_alive() for thread in threads):
            writer.flush()

    threads = [threading.Thread(target=log, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait()
    flusher = threading.Thread(target=flush)
    flusher.start()
    flush()
    flusher.join()
    writer.close()
    found = points(event_file(tmp_path))

    for thread, logged in enumerate(expected):
        assert logged == [point for point in found if point[0][0] == f"{thread}"]
    assert sum(map(len, expected)) == len(found)


@pytest.mark.usefixtures("_jax")
def test_values_stay_with_their_calls(tmp_path: Path) -> None:
    """Value, step and wall time of each record are those of its call, in order, for each kind.

    Catches: rows and other records that change places, or a value taken after the call.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    for step in range(8000):
        writer.add_scalar("row", step + 0.5, step, *([float(step)] if step % 3 == 0 else []))
        if step % 500 == 0:
            writer.add_scalar("later", OnDevice(step), step, walltime=float(step))
    writer.close()
    found = events(event_file(tmp_path))
    rows = [event for event in found if event.summary.value[0].tag == "row"]
    later = [event for event in found if event.summary.value[0].tag == "later"]

    assert [(step, step + 0.5) for step in range(8000)] == [
        (event.step, event.summary.value[0].simple_value) for event in rows
    ]
    assert list(map(float, range(0, 8000, 3))) == [event.wall_time for event in rows[::3]]
    assert [(step, step, step) for step in range(0, 8000, 500)] == [
        (event.step, event.summary.value[0].simple_value, event.wall_time) for event in later
    ]


@pytest.mark.usefixtures("_eager_switches")
def test_close_while_threads_log(tmp_path: Path) -> None:
    """Every call that returned is in the file, and every later one raises.

    Catches: a record that is accepted while the writer closes, and never written.
    """
    for number in range(40):
        run_dir = tmp_path / f"{number}"
        writer = SummaryWriter(run_dir, flush_secs=1000, max_pending_bytes=UNLIMITED)
        barrier = threading.Barrier(4)
        accepted = [0, 0, 0]

        def log(
            thread: int,
            writer: SummaryWriter = writer,
            barrier: threading.Barrier = barrier,
            accepted: list[int] = accepted,
        ) -> None:
            barrier.wait()
            with contextlib.suppress(WriterClosedError):
                while True:
                    if accepted[thread] % 20 == 19:
                        writer.log({f"{thread}": 0.5}, accepted[thread])
                    else:
                        writer.add_scalar(f"{thread}", 0.5, accepted[thread])
                    accepted[thread] += 1

        threads = [threading.Thread(target=log, args=(thread,)) for thread in range(3)]
        for thread in threads:
            thread.start()
        barrier.wait()
        writer.add_scalar("main", 0.5, 0)
        writer.close()
        for thread in threads:
            thread.join()
        writer.close()  # what came at the moment of the first
        found = points(event_file(run_dir))

        for thread, count in enumerate(accepted):
            assert list(range(count)) == [step for tag, step in found if tag == f"{thread}"]


@pytest.mark.parametrize("kind", ["scalar", "log"])
def test_close_within_a_call(tmp_path: Path, kind: str) -> None:
    """The same when a signal's handler closes the writer at any place within a call.

    Catches: a check of whether the writer is open that is not repeated once the record is queued.
    """

    def close() -> None:
        writer.close()

    modules = "eventwriter._writer", "eventwriter.records", "eventwriter._file"
    for number, place in at_every_place(close, *modules, least=1):
        run_dir = tmp_path / f"{number}"
        writer = SummaryWriter(run_dir, flush_secs=1000)
        writer.add_scalar("a", 0.5, 0)
        expected = [("a", 0)]
        with contextlib.suppress(WriterClosedError), place:
            if kind == "scalar":
                writer.add_scalar("a", 0.5, 1)
            else:
                writer.log({"a": 0.5}, 1)
            expected += [("a", 1)]
        writer.close()
        found = points(event_file(run_dir))

        assert found in (expected, [("a", 0), ("a", 1)]), place.where


def test_first_use_of_a_copy_by_two_threads(tmp_path: Path) -> None:
    """A copy opens its file at its first record. Where two threads log first, both are written.

    Catches: a row that goes to the queue from before the file was opened.
    """

    def log_in_another_thread() -> None:
        thread = threading.Thread(target=writer.add_scalar, args=("a", 0.5, 1))
        threads.append(thread)
        thread.start()
        thread.join(0.05)  # it waits for us where we hold the lock

    for number, place in at_every_place(log_in_another_thread, "eventwriter._writer", least=3):
        original = SummaryWriter(tmp_path / str(number), flush_secs=1000)
        writer = pickle.loads(pickle.dumps(original))
        original.close()
        threads: list[threading.Thread] = []
        with place:
            writer.add_scalar("a", 0.5, 0)
        for thread in threads:
            thread.join()
        writer.close()

        expected = {("a", 0), ("a", 1)} if threads else {("a", 0)}
        assert expected == set(points(event_file(writer.log_dir))), place.where


@pytest.mark.parametrize("kind", ["scalar", "log", "series"])
def test_flush_returns_while_another_thread_logs_on(tmp_path: Path, kind: str) -> None:
    """`flush` writes what was logged before it, however fast another thread goes on logging.

    Catches: a drain that goes on while there are rows, which is for ever.
    """
    writer = SummaryWriter(tmp_path, max_pending_bytes=UNLIMITED)
    stop = False
    values = np.zeros(50)

    def log() -> None:
        step = 0
        while not stop:
            if kind == "scalar":
                writer.add_scalar("busy", 0.5, step)
            elif kind == "log":
                writer.log({"busy": 0.5}, step)
            else:
                writer.add_scalar_series("busy", values)
            step += 1

    thread = threading.Thread(target=log)
    thread.start()
    try:
        for step in range(3):
            writer.add_scalar("mine", 0.5, step)
            flusher = threading.Thread(target=writer.flush)
            flusher.start()
            flusher.join(LONG_SECS)

            assert not flusher.is_alive(), "flush goes on for as long as the other thread logs"
            # The file is too large by now to be read record by record.
            assert step + 1 == event_file(tmp_path).read_bytes().count(b"\x0a\x04mine")
    finally:
        stop = True
        thread.join()
        writer.close()


def report_points(path: str) -> None:
    print(points(path))


def test_flush_makes_everything_readable(tmp_path: Path) -> None:
    """What was logged before `flush` is read by another process, of each kind, each time.

    Catches: a flush that asks the background thread and does not wait, or leaves bytes in a
    buffer of its own.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    expected = []
    for step in range(20):
        writer.add_scalar("scalar", 0.5, step)
        writer.log({"log": 0.5}, step)
        writer.add_histogram("histogram", [1.0], step)
        writer.add_scalar_series("series", [0.5], [step])
        writer.flush()
        expected += [(name, step) for name in ("scalar", "log", "histogram", "series")]

        assert expected == points(event_file(tmp_path))
    out, _ = children.run(report_points, str(event_file(tmp_path)))

    assert f"{expected}\n" == out
    writer.close()


@pytest.mark.filterwarnings("ignore:.*No space left")
def test_nothing_waits_longer_than_flush_secs(tmp_path: Path) -> None:
    """Without a flush, a record is in the file soon after `flush_secs`, again and again.

    The shortest `flush_secs` of all writers counts, and a writer whose disk fails holds up none.

    Catches: a thread that wakes once, or only when the queue is long; one that an error ends.
    """
    slow = SummaryWriter(tmp_path / "slow", flush_secs=1000)
    failing = SummaryWriter(tmp_path / "failing", flush_secs=0.05)
    writer = SummaryWriter(tmp_path / "run", flush_secs=0.05)
    path = event_file(tmp_path / "run")
    with children.full_disk(event_file(tmp_path / "failing")):
        failing.add_scalar("a", 0.5, 0)
        for step in range(4):
            writer.add_scalar("a", 0.5, step)
            wait_until(lambda step=step: len(points(path)) > step, f"step {step}")

            assert [("a", n) for n in range(step + 1)] == points(path)
    for each in (slow, failing, writer):
        each.close()
