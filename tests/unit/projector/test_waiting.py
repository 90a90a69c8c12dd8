"""Embeddings that have to wait hold up nobody else, and are not forgotten at the end."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter import SummaryWriter
from eventwriter._file import failing_disk, flusher
from eventwriter._file.failing_disk import MAX_WAIT_SECS
from eventwriter.errors import WriteError
from eventwriter.projector import queue as queue_module
from eventwriter.projector.files import EmbeddingFiles
from eventwriter.projector.locks import ConfigLock
from tests.helpers import children
from tests.helpers.patience import LONG_SECS, wait_until
from tests.helpers.projector import FLOATS, add, names, queue_of
from tests.helpers.scanner import event_file, points

if TYPE_CHECKING:
    from eventwriter.projector.queue import EmbeddingQueue

FOR_EVER_SECS = 3 * LONG_SECS
"""Longer than the tests wait: a thread that waits for so long is too late."""


def test_a_locked_configuration_delays_no_scalar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process has the configuration locked, scalars reach the disk in time.

    Catches: the background thread of all writers that waits for the lock.
    """
    monkeypatch.setattr(queue_module, "LOCK_SECS", FOR_EVER_SECS)
    with SummaryWriter(tmp_path, flush_secs=0.05) as writer:
        with ConfigLock(tmp_path).held(1.0):
            writer.add_embedding(FLOATS, global_step=0, tag="embed")
            for step in range(5):
                writer.add_scalar("a", 0.5, step)
                wait_until(lambda step=step: len(points(event_file(tmp_path))) > step, "a scalar")
        wait_until((tmp_path / "projector_config.pbtxt").exists, "the embedding")
    assert names(tmp_path) == ["embed:00000"]


class SlowWrite:
    """Lets the write of embeddings begin, and holds it until `go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started, self.go = threading.Event(), threading.Event()
        original = EmbeddingFiles._write_file

        def slow(files: EmbeddingFiles, *args: Any) -> None:
            self.started.set()
            assert self.go.wait(FOR_EVER_SECS)
            original(files, *args)

        monkeypatch.setattr(EmbeddingFiles, "_write_file", slow)


def assert_scalars_arrive(writer: SummaryWriter, slow: SlowWrite) -> None:
    try:
        assert slow.started.wait(LONG_SECS)
        for step in range(3):
            writer.add_scalar("a", 0.5, step)
        flusher.wake()
        path = event_file(Path(writer.log_dir))
        wait_until(lambda: len(points(path)) == 3, "the scalars")
    finally:
        slow.go.set()


def test_a_large_embedding_delays_no_scalar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a large embedding is written, scalars are written too."""
    monkeypatch.setattr(queue_module, "_LARGE_BYTES", FLOATS.nbytes - 1)
    slow = SlowWrite(monkeypatch)
    with SummaryWriter(tmp_path, flush_secs=1000) as writer:
        writer.add_embedding(FLOATS, global_step=0, tag="embed")
        assert_scalars_arrive(writer, slow)
    assert names(tmp_path) == ["embed:00000"]


def test_a_flush_of_embeddings_delays_no_scalar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a thread flushes embeddings, the background thread does not wait for it.

    What comes meanwhile is written once that flush ends.
    """
    slow = SlowWrite(monkeypatch)
    with SummaryWriter(tmp_path, flush_secs=1000) as writer:
        queue = queue_of(tmp_path)  # only its own flush drains it
        add(queue, step=0)
        flush = threading.Thread(target=queue.flush)
        flush.start()
        assert slow.started.wait(LONG_SECS)
        add(queue, step=1)
        flusher.watch(queue)  # this wakes the background thread, which meets the flush
        assert_scalars_arrive(writer, slow)
        wait_until(lambda: queue.pending_records() == 0, "the embeddings")
        flush.join(LONG_SECS)
        assert not flush.is_alive()
        flusher.unwatch(queue)
    assert names(tmp_path) == ["embed:00000", "embed:00001"]


def test_memory_that_runs_full_waits_for_a_large_embedding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call waits for the disk before an embedding is dropped, whatever thread writes."""
    monkeypatch.setattr(queue_module, "_LARGE_BYTES", 0)
    for module in (queue_module, failing_disk):
        monkeypatch.setattr(module, "MAX_WAIT_SECS", LONG_SECS)
    original = EmbeddingFiles._write_file

    def slow(files: EmbeddingFiles, *args: Any) -> None:
        time.sleep(0.1)
        original(files, *args)

    monkeypatch.setattr(EmbeddingFiles, "_write_file", slow)
    with SummaryWriter(tmp_path, max_pending_bytes=FLOATS.nbytes) as writer:
        for step in range(3):
            writer.add_embedding(FLOATS, global_step=step, tag="embed")
    assert len(names(tmp_path)) == 3


def hanging_queue(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[EmbeddingQueue, SlowWrite, threading.Thread]:
    """Return a queue, the write of its embedding, and the thread that hangs in this write."""
    monkeypatch.setattr(flusher, "wake", lambda: None)
    monkeypatch.setattr(flusher, "unwatch", lambda _: None)
    slow = SlowWrite(monkeypatch)
    queue = queue_of(run_dir)
    add(queue, step=0)
    hanging = threading.Thread(target=queue.drain_in_background, daemon=True)
    hanging.start()
    assert slow.started.wait(LONG_SECS)
    return queue, slow, hanging


def test_a_drain_that_hangs_holds_up_no_other_thread(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one thread hangs in the write of an embedding, all calls but `flush` return.

    So another thread can go on draining the other writers. Once the disk works again, everything
    is written.
    """
    queue, slow, hanging = hanging_queue(run_dir, monkeypatch)

    def go_on() -> None:
        for step in range(1, 4):
            add(queue, step=step)
            queue.drain_in_background()
        assert 4 == queue.pending_records()
        queue.purge(100)
        queue.close_later()
        done.set()

    done = threading.Event()
    other = threading.Thread(target=go_on, daemon=True)
    other.start()
    assert done.wait(LONG_SECS)
    slow.go.set()
    hanging.join(LONG_SECS)
    queue.flush()

    assert 0 == queue.pending_records()
    assert [f"embed:{step:05d}" for step in range(4)] == names(run_dir)


def test_a_child_is_not_held_up_by_a_drain_that_hangs(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`abandon` drops what waits and makes new locks. So `flush` and `close` of a child return.

    Catches: a forked child that waits for a thread which only its parent has.
    """
    queue, slow, hanging = hanging_queue(run_dir, monkeypatch)

    def go_on() -> None:
        queue.abandon()
        queue.flush()
        queue.close()
        done.set()

    done = threading.Event()
    threading.Thread(target=go_on, daemon=True).start()
    assert done.wait(LONG_SECS)
    assert 0 == queue.pending_records()
    assert not (run_dir / "projector_config.pbtxt").exists()
    slow.go.set()
    hanging.join(LONG_SECS)


def test_an_embedding_above_the_limit(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedding larger than `max_pending_bytes` is taken when nothing waits.

    The next one waits for the disk, for a bounded time. It is written if the disk was fast enough.
    If not, it is dropped, and `flush` raises the count and the reason.
    """
    waits: list[float] = []
    queue = queue_of(run_dir, max_pending_bytes=1)

    def fast(seconds: float, _: object) -> None:
        waits.append(seconds)
        queue.drain_in_background()

    with monkeypatch.context() as patch:
        patch.setattr(flusher, "wake", lambda: None)
        patch.setattr(flusher, "wait", fast)
        add(queue, step=0)
        assert [] == waits
        add(queue, step=1)
        assert [MAX_WAIT_SECS] == waits
        patch.setattr(flusher, "wait", lambda secs, _: waits.append(secs))
        for step in (2, 3):
            add(queue, step=step)
        assert [MAX_WAIT_SECS] * 2 == waits, "a disk that is known to be slow is not waited for"
    with pytest.raises(WriteError, match=r"Embeddings lost: 2 \(more than max_pending_bytes=1"):
        queue.flush()

    assert ["embed:00000", "embed:00001"] == names(run_dir)


def embed_and_exit(log_dir: str) -> None:
    queue_module.LOCK_SECS = flusher.EXIT_SECS = LONG_SECS
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_embedding(np.eye(2), global_step=0, tag="embed")
    print("logged", flush=True)


def test_exit_waits_for_the_lock(tmp_path: Path) -> None:
    """An embedding that waits for another process when the interpreter ends is still written."""
    with children.child(embed_and_exit, str(tmp_path)) as process:
        assert process.stdout is not None
        with ConfigLock(tmp_path).held(1.0):
            assert process.stdout.readline() == "logged\n"
            time.sleep(0.5)
            assert process.poll() is None
        _, err = process.communicate(timeout=LONG_SECS)
    assert (process.returncode, err) == (0, "")
    assert names(tmp_path) == ["embed:00000"]
