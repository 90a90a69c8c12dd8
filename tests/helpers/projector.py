"""Embeddings on disk: writing them without a writer, and what is listed for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from google.protobuf import text_format

from eventwriter._file import flusher
from eventwriter._proto.projector_pb2 import ProjectorConfig
from eventwriter.projector.embedding import to_embedding
from eventwriter.projector.queue import EmbeddingQueue

if TYPE_CHECKING:
    from pathlib import Path

    from eventwriter.projector.config import Listing


FLOATS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def queue_of(run_dir: Path, max_pending_bytes: int = 1 << 30) -> EmbeddingQueue:
    """Return a queue that the background thread does not drain: only its own `flush` does."""
    with mock.patch.object(flusher, "watch"):
        return EmbeddingQueue(run_dir, flush_secs=1000, max_pending_bytes=max_pending_bytes)


def add(
    queue: EmbeddingQueue,
    mat: Any = FLOATS,
    step: int | None = None,
    tag: str = "embed",
    **arguments: Any,
) -> None:
    queue.put(tag, step, to_embedding(f"add_embedding({tag!r})", mat, **arguments))


def write(run_dir: Path, mat: Any = FLOATS, step: int | None = None, **more: Any) -> None:
    queue = queue_of(run_dir)
    add(queue, mat, step, **more)
    queue.flush()


def config(run_dir: Path) -> ProjectorConfig:
    return text_format.Parse((run_dir / "projector_config.pbtxt").read_text(), ProjectorConfig())


def listed(listing: Listing) -> list[str]:
    text = listing.text()
    return [info.tensor_name for info in text_format.Parse(text, ProjectorConfig()).embeddings]


def names(run_dir: Path) -> list[str]:
    return [info.tensor_name for info in config(run_dir).embeddings]


def runs(logdir: Path) -> list[str]:
    """Return what both of TensorBoard's readers take for runs."""
    parents = {path.parent for path in logdir.rglob("*tfevents*")}
    return sorted(str(parent.relative_to(logdir)) for parent in parents)


WRITE_FOREVER = """if True:
    import sys, numpy as np
    from pathlib import Path
    from eventwriter.projector import queue as queue_module
    from tests.helpers.projector import add, queue_of
    queue_module.LOCK_SECS = 100.0  # a process that has the lock may pause
    queue = queue_of(Path(sys.argv[1]))
    for step in range(int(sys.argv[3])):
        mat = np.full((500, 40), step + 0.1, np.float32)
        add(queue, mat, step, sys.argv[2], metadata=[f"{step}"] * 500)
        queue.flush()
        if step == 2:
            print("under way", flush=True)
"""
