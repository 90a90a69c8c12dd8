"""The queue of embeddings: what it takes, and when the background thread forgets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from eventwriter._file import flusher
from eventwriter.errors import ArgumentValueError, EventWriterWarning, WriteError
from eventwriter.projector.embedding import to_embedding
from eventwriter.projector.queue import EmbeddingQueue
from tests.helpers.patience import wait_until
from tests.helpers.projector import FLOATS, add, names, queue_of

if TYPE_CHECKING:
    from pathlib import Path


def watched(queue: EmbeddingQueue) -> bool:
    return any(sink is queue for sink in flusher._flusher.sinks())


def wait_until_forgotten(queue: EmbeddingQueue) -> None:
    wait_until(lambda: not watched(queue), "a queue that nobody watches")


def open_queue(run_dir: Path) -> EmbeddingQueue:
    return EmbeddingQueue(run_dir, flush_secs=1000, max_pending_bytes=1 << 20)


def test_background_thread_forgets_a_closed_queue(run_dir: Path) -> None:
    """It drains a queue until everything is written after `close`.

    Catches: a thread that keeps every queue, and so every matrix, of the process alive.
    """
    queue = open_queue(run_dir)
    add(queue)
    assert watched(queue)
    queue.close()
    assert not watched(queue)
    later = open_queue(run_dir)
    add(later, tag="later")
    later.close_later()
    wait_until_forgotten(later)

    assert ["embed", "later"] == names(run_dir)


def test_a_call_that_close_overtook_is_written(run_dir: Path) -> None:
    """An embedding that comes just after another thread's `close` still reaches the disk.

    Catches: an embedding that waits for ever in a queue that no thread drains.
    """
    queue = open_queue(run_dir)
    queue.close()
    add(queue)
    wait_until_forgotten(queue)

    assert ["embed"] == names(run_dir)


def test_closed_queue_is_kept_until_its_disk_works(run_dir: Path) -> None:
    """A `close` that fails leaves the queue with the background thread, which tries again."""
    queue = open_queue(run_dir)
    (run_dir / "projector").write_text("in the way")
    add(queue)
    with pytest.raises(WriteError):
        queue.close()
    assert watched(queue)
    (run_dir / "projector").unlink()

    def forgotten() -> bool:
        flusher.wake()  # again and again: after a failed write that took long, the queue rests
        return not watched(queue)

    wait_until(forgotten, "a queue that nobody watches")

    assert ["embed"] == names(run_dir)


def test_dropped_embeddings_are_counted(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while memory is full is lost and counted, and the error says how many."""
    monkeypatch.setattr(flusher, "wait", lambda *_: None)
    queue = queue_of(run_dir, max_pending_bytes=FLOATS.nbytes)
    for step in range(4):
        add(queue, step=step)
    with pytest.raises(WriteError, match=r"Embeddings lost: 3 \(more than max_pending") as caught:
        queue.flush()
    queue.flush()

    assert (3, 0, str(run_dir)) == (caught.value.lost, caught.value.pending, caught.value.filename)
    assert ["embed:00000"] == names(run_dir)


def test_embedding_is_a_snapshot() -> None:
    """It shares no memory with its arguments, and knows the memory that it takes."""
    mat, pictures = FLOATS.copy(), np.zeros((6, 1, 2, 2), np.uint8)
    embedding = to_embedding("here", mat, ["ab"] * 6, pictures)
    mat[:], pictures[:] = 0, 255

    np.testing.assert_array_equal(FLOATS, embedding.matrix)
    assert b"ab\n" * 6 == embedding.metadata
    assert embedding.sheet is not None
    assert not embedding.sheet.pixels.any()
    assert FLOATS.nbytes + 6 * 3 + 9 * 4 == embedding.nbytes
    assert embedding.token != to_embedding("here", mat).token


def test_refused_embedding_is_not_warned_of() -> None:
    """A refused embedding raises, and no warning speaks of its cells.

    Catches: a warning of what was written when nothing was written.
    """
    with pytest.raises(ArgumentValueError, match="here: metadata: expected 2 labels"):
        to_embedding("here", [[np.nan, 1.0]] * 2, ["a"])
    with pytest.warns(EventWriterWarning, match="here: 2 of 4 cells are not finite"):
        to_embedding("here", [[np.nan, 1.0]] * 2, ["a", "b"])
