"""Ctrl-C and signal handlers, at any moment: what was logged is in the file once, and whole."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from eventwriter import SummaryWriter
from eventwriter._proto.event_pb2 import Event
from tests.helpers import children
from tests.helpers.interrupts import at_every_place
from tests.helpers.patience import LONG_SECS
from tests.helpers.scanner import event_file, logged_as, points, scan


def interrupt() -> None:
    raise KeyboardInterrupt


class Tail:
    """Follows a file: each `read` returns the tags and steps since the last."""

    def __init__(self, run_dir: Path) -> None:
        self._path = event_file(run_dir)
        self._at = 0
        self.read()

    def read(self) -> list[tuple[str, int]]:
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        records, end = scan(data)
        assert len(data) == end
        self._at += end
        found = [Event.FromString(record.payload) for record in records]
        return [(logged_as(v.tag), event.step) for event in found for v in event.summary.value]


def log_each_kind(writer: SummaryWriter, tag: str, step: int) -> list[tuple[str, int]]:
    """Log four records; return what the file is to show."""
    writer.add_scalar(tag, 0.5, step)
    writer.log({f"{tag}/a": 1, f"{tag}/b": 2}, step)
    writer.add_histogram(f"{tag}/histogram", [1.0, 2.0], step)
    writer.add_scalar_series(f"{tag}/series", [1.0, 2.0], [step, step + 1])
    return [
        (tag, step),
        *((f"{tag}/{name}", step) for name in "ab"),
        (f"{tag}/histogram", step),
        *((f"{tag}/series", step + n) for n in (0, 1)),
    ]


@pytest.mark.parametrize("sync", [False, True])
def test_flush_interrupted_at_every_place(tmp_path: Path, *, sync: bool) -> None:
    """An interrupted flush neither loses, doubles nor tears a record: the next one tells.

    Catches: rows that are taken before they are owned; a write that is not bound to its place;
    a flag or a lock that an interrupt leaves behind.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    tail = Tail(tmp_path)
    for number, place in at_every_place(interrupt, "eventwriter", least=50):
        expected = log_each_kind(writer, f"tag{number % 3}" if number % 2 else f"n{number}", number)
        with contextlib.suppress(KeyboardInterrupt), place:
            writer.flush(sync=sync)
        writer.flush()

        assert expected == tail.read(), place.where
    writer.close()


def test_first_flush_interrupted_at_every_place(tmp_path: Path) -> None:
    """The same when the encoder meets its first tags, and makes their templates.

    Catches: a template that counts as made before its checksum is there: all later records of
    its tag are corrupt; tables that have grown in part.
    """
    modules = "eventwriter._file.encoder", "eventwriter._file.templates"
    for number, place in at_every_place(interrupt, *modules, least=20):
        run_dir = tmp_path / f"{number}"
        writer = SummaryWriter(run_dir, flush_secs=1000)
        writer.add_scalar("a", 0.5, 1)
        writer.add_scalar("b", 0.5, 1)
        with contextlib.suppress(KeyboardInterrupt), place:
            writer.flush()
        writer.close()

        assert [("a", 1), ("b", 1)] == points(event_file(run_dir)), place.where


def test_close_interrupted_at_every_place(tmp_path: Path) -> None:
    """After an interrupted close, closing again writes everything once.

    Catches: a close that marks itself done before it is.
    """
    modules = "eventwriter._writer", "eventwriter.records", "eventwriter._file"
    for number, place in at_every_place(interrupt, *modules, least=20):
        run_dir = tmp_path / f"{number}"
        writer = SummaryWriter(run_dir, flush_secs=1000)
        expected = log_each_kind(writer, "tag", number)
        with contextlib.suppress(KeyboardInterrupt), place:
            writer.close()
        writer.close()

        assert expected == points(event_file(run_dir)), place.where


@pytest.mark.parametrize("kind", ["scalar", "new tag", "log", "histogram", "series"])
def test_call_interrupted_at_every_place(tmp_path: Path, kind: str) -> None:
    """An interrupted call is logged once or not at all, and spoils nothing before or after it.

    Catches: a marker row without its record; a lock that an interrupt leaves behind.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000, max_queue=1)
    tail = Tail(tmp_path)
    for number, place in at_every_place(interrupt, "eventwriter", least=4):
        tag = f"tag{number}" if kind == "new tag" else "tag"
        writer.add_scalar("before", 0.0, number)
        with contextlib.suppress(KeyboardInterrupt), place:
            match kind:
                case "scalar" | "new tag":
                    writer.add_scalar(tag, 0.5, number)
                case "log":
                    writer.log({tag: 0.5}, number)
                case "histogram":
                    writer.add_histogram(tag, [1.0], number)
                case "series":
                    writer.add_scalar_series(tag, [1.0], [number])
        writer.add_scalar("after", 0.0, number)
        writer.flush()
        before, *called, after = tail.read()

        assert (("before", number), ("after", number)) == (before, after), place.where
        assert called in ([[(tag, number)], []] if place.where else [[(tag, number)]]), place.where
    writer.close()


def test_help_interrupted_at_every_place(tmp_path: Path) -> None:
    """An interrupt while a caller encodes a batch leaves the file to the background thread.

    Catches: a lock that the interrupted caller keeps, so that nothing else is ever written, and
    the exit waits for it.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    tail = Tail(tmp_path)
    file = writer._file
    for number, place in at_every_place(interrupt, "eventwriter._file", least=10):
        writer.add_scalar("a", 0.5, number)
        with contextlib.suppress(KeyboardInterrupt), place:
            file.encode_ahead(1.0)
        drain = threading.Thread(target=file.drain_in_background, daemon=True)
        drain.start()
        drain.join(LONG_SECS)

        assert not drain.is_alive(), place.where
        assert [("a", number)] == tail.read(), place.where
    writer.close()


def log_or_flush(writer: SummaryWriter, number: int) -> None:
    match number % 7:
        case 0 | 1 | 2:
            writer.add_scalar("a", 0.5, number)
        case 3:
            writer.log({"a": 0.5}, number)
        case 4:
            writer.add_histogram("a/histograms", [1.0, 2.0], number)
        case 5:
            writer.add_scalar_series("a", [1.0], [number])
        case 6:
            writer.flush()


def log_under_alarms(log_dir: str, seed: int, interrupts: int) -> None:
    """Log until real signals have interrupted so many calls; say which calls returned."""
    random.seed(seed)
    armed = False

    def raise_once(*_: object) -> None:
        nonlocal armed
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 4e-4))
        if armed:
            armed = False
            raise KeyboardInterrupt

    writer = SummaryWriter(log_dir, flush_secs=0.01, max_queue=8)
    returned = []
    interrupted = number = 0
    signal.signal(signal.SIGALRM, raise_once)
    signal.setitimer(signal.ITIMER_REAL, 1e-4)
    while interrupted < interrupts:
        number += 1
        done = False
        try:
            armed = True
            log_or_flush(writer, number)
            done = True
            armed = False
        except KeyboardInterrupt:
            interrupted += 1
        if done and number % 7 != 6:
            returned.append(number)
    # First this: a handler that is about to run sets the timer again.
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    writer.close()
    print(*returned)


@pytest.mark.parametrize("seed", range(3))
def test_real_interrupts_while_logging(tmp_path: Path, seed: int) -> None:
    """Under real signals every call that returned is in the file once; the others at most once.

    Catches: a write that goes on at the file's own position, which an interrupt leaves wrong.
    """
    out, _ = children.run(log_under_alarms, str(tmp_path), seed, 1000)
    returned = list(map(int, out.split()))
    steps = [step for _, step in points(event_file(tmp_path))]

    assert returned
    assert sorted(set(steps)) == steps
    assert set(returned) <= set(steps)


def log_under_keyboard_interrupts(log_dir: str, seed: int) -> None:
    """Flush while a thread sends SIGINT to the main thread; say which calls returned."""
    random.seed(seed)
    sys.setswitchinterval(1e-5)
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_scalar("a", 0.5, 0)
    main = threading.get_ident()
    sent = 0
    go = threading.Semaphore(0)
    stop = False

    def send() -> None:
        nonlocal sent
        while go.acquire() and not stop:
            for _ in range(random.randrange(3000)):
                pass
            signal.pthread_kill(main, signal.SIGINT)
            sent += 1

    sender = threading.Thread(target=send)
    sender.start()
    logged = 0
    for number in range(300):
        with contextlib.suppress(KeyboardInterrupt):
            go.release()
            while sent <= number:
                writer.add_scalar("a", 0.5, logged + 1)
                logged += 1
                writer.flush()
            time.sleep(0)  # a signal that was sent comes with a system call, at the latest
    stop = True
    go.release()
    sender.join()
    writer.close()
    print(logged)


def test_keyboard_interrupts_from_another_thread(tmp_path: Path) -> None:
    """Ctrl-C, hundreds of times, in a loop that flushes after every record: none is lost.

    A call that was interrupted after its row was appended is logged again under its step by the
    loop, so that a step may come twice in a row, but never out of order.

    Catches: a flush that forgets its batch when it is interrupted.
    """
    out, _ = children.run(log_under_keyboard_interrupts, str(tmp_path), 1)
    steps = [step for _, step in points(event_file(tmp_path))]

    assert sorted(steps) == steps
    assert set(range(int(out) + 1)) <= set(steps)


def handle_at_every_place(log_dir: str, kind: str) -> None:
    """Run a handler that logs and flushes at every place within a call; print what is wrong."""

    def handle() -> None:
        writer.flush()  # so that what comes next wakes the background thread
        writer.add_scalar("handler", 0.5, number)
        writer.add_scalar("handler", 0.5, number)
        writer.log({"handler/log": 0.5}, number)
        writer.flush()
        # It may end the process now: everything is on disk, although it interrupted a drain.
        found = scan(event_file(run_dir).read_bytes())[0]
        written = b"".join(record.payload for record in found)
        for tag in (b"main", b"handler", b"handler/log"):
            if tag not in written:
                print(f"{tag!r} is not on disk after flush at", place.where, flush=True)

    for number, place in at_every_place(handle, "eventwriter", "threading", least=30):
        # A run each, for the directories that embeddings leave behind would be ever more places.
        run_dir = Path(log_dir, f"{number}")
        writer = SummaryWriter(run_dir, flush_secs=1000, max_queue=1)
        tail = Tail(run_dir)
        if kind == "embedding":
            writer.add_embedding([[1.0, 2.0]] * 2, global_step=number, tag="e")
        writer.add_scalar("main", 0.5, number)
        with place:
            if kind == "call":
                writer.add_histogram("main/histograms", [1.0], number)
                writer.add_scalar("main", 0.5, number)
            else:
                writer.flush()
        writer.flush()
        handled = [("handler", number)] * 2 + [("handler/log", number)]
        expected = [("main", number)] * (3 if kind == "call" else 1) + handled * bool(place.where)
        if sorted(expected) != sorted(tail.read()):
            print("wrong at", place.where, flush=True)
        writer.close()
    os._exit(0)


@pytest.mark.parametrize("kind", ["flush", "call", "embedding"])
def test_handler_logs_and_flushes_within_a_call(tmp_path: Path, kind: str) -> None:
    """A signal handler may log and flush, whatever its thread is doing: no deadlock, no loss.

    Catches: a lock that its own thread cannot take again, in the writer or in what it uses to
    wake the background thread.
    """
    out, _ = children.run(handle_at_every_place, str(tmp_path), kind)

    assert out == ""


def test_interrupt_within_put_leaves_true_counts(tmp_path: Path) -> None:
    """Ctrl-C at any place of a call leaves a count of memory that is right after the next flush.

    Catches: a record that is counted for ever, so that the writer takes itself for full.
    """

    def interrupt() -> None:
        raise KeyboardInterrupt

    for number, place in at_every_place(interrupt, "eventwriter._file.pending", least=3):
        writer = SummaryWriter(tmp_path / f"{number}", flush_secs=1000, max_pending_bytes=100_000)
        with contextlib.suppress(KeyboardInterrupt), place:
            writer.add_image("a", np.zeros((1, 200, 200), np.uint8), 1)
        writer.flush()
        file = writer._current_file()

        assert (0, 0) == (file.pending.nbytes, file.pending_records()), place.where
        writer.close()
