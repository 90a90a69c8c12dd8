"""Embeddings when disks, processes, locks or calls fail, and when several threads add them."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from eventwriter.errors import WriteError
from eventwriter.projector import queue as queue_module
from eventwriter.projector.files import EmbeddingFiles
from eventwriter.projector.locks import ConfigLock
from tests.helpers.patience import LONG_SECS
from tests.helpers.projector import FLOATS, WRITE_FOREVER, add, names, queue_of, runs

if TYPE_CHECKING:
    from pathlib import Path


def test_a_failed_write_is_tried_again(run_dir: Path) -> None:
    """The error has the system's reason and the path, and the next flush writes the embedding.

    Catches: an embedding that is forgotten or listed before its files are there.
    """
    queue = queue_of(run_dir)
    add(queue, step=1)
    (run_dir / "projector").write_text("in the way")
    for _ in range(2):
        with pytest.raises(WriteError) as caught:
            queue.flush()
        assert caught.value.errno == errno.EEXIST
        assert caught.value.pending == 1
        assert str(run_dir) in str(caught.value)
        assert queue.pending_bytes() == FLOATS.nbytes
    assert not (run_dir / "projector_config.pbtxt").exists()
    (run_dir / "projector").unlink()
    queue.flush()
    assert names(run_dir) == ["embed:00001"]


def test_an_interrupt_repeats_nothing(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C just behind the write of the configuration, the embedding is listed once.

    Catches: an embedding that is taken for one that was logged again.
    """
    queue = queue_of(run_dir)
    add(queue)
    extend = EmbeddingFiles._extend_config

    def interrupted(self: EmbeddingFiles, infos: Any) -> None:
        extend(self, infos)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddingFiles, "_extend_config", interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.flush()
    queue.flush()
    assert names(run_dir) == ["embed"]
    assert queue.pending_bytes() == 0


def test_two_processes_lose_nothing_of_each_other(run_dir: Path) -> None:
    """Writers that write to one run at the same time take turns with its configuration.

    Catches: a configuration that is read, extended and written without a lock.
    """
    with contextlib.ExitStack() as stack:
        processes = []
        for tag in ("one", "two"):
            command = [sys.executable, "-c", WRITE_FOREVER, str(run_dir), tag, "40"]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
            processes.append(process)
        assert [process.wait(LONG_SECS) for process in processes] == [0, 0]
    expected = {f"{tag}:{step:05d}" for tag in ("one", "two") for step in range(40)}
    assert expected == set(names(run_dir))
    assert len(runs(run_dir.parent)) == 2


def test_a_locked_configuration_hangs_nothing(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a stopped process holds the lock, `flush` raises. The next flush works."""
    monkeypatch.setattr(queue_module, "LOCK_SECS", 0.05)
    queue = queue_of(run_dir)
    add(queue)
    with ConfigLock(run_dir).held(1.0), pytest.raises(WriteError, match="locked by another"):
        queue.flush()
    queue.flush()
    assert names(run_dir) == ["embed"]


def test_threads_may_add_while_others_drain(run_dir: Path) -> None:
    """No embedding of any thread is lost, and none is listed twice."""
    queue = queue_of(run_dir)

    def work(tag: str) -> None:
        for step in range(10):
            add(queue, FLOATS, step, tag=tag)
            queue.flush()

    threads = [threading.Thread(target=work, args=(f"t{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_SECS)
    assert sorted(f"t{index}:{step:05d}" for index in range(4) for step in range(10)) == sorted(
        names(run_dir)
    )
