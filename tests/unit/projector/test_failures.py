"""Embeddings where something breaks: disks, processes, locks, interrupts, other threads."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter.errors import WriteError
from eventwriter.projector import files as projector_module
from eventwriter.projector.files import Projector
from tests.helpers.projector_plugin import FLOATS, Plugin, add, names, runs, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run that has an event file, as the writer's own has from its start."""
    path = tmp_path / "train"
    path.mkdir()
    (path / "events.out.tfevents.0000000001.host.0000001.000000").touch()
    return path


def test_a_failed_write_is_tried_again(run_dir: Path) -> None:
    """The error is the system's, with the path; nothing is lost; the next drain writes it.

    Would catch an embedding that is forgotten, or listed, before its files are there.
    """
    projector = Projector(run_dir)
    add(projector, step=1)
    (run_dir / "projector").write_text("in the way")
    for _ in range(2):
        with pytest.raises(WriteError) as caught:
            projector.drain()
        assert caught.value.errno == errno.EEXIST
        assert caught.value.pending == 1
        assert str(run_dir) in str(caught.value)
        assert projector.pending_bytes == FLOATS.nbytes
    assert not (run_dir / "projector_config.pbtxt").exists()
    (run_dir / "projector").unlink()
    projector.drain()
    assert names(run_dir) == ["embed:00001"]


def test_a_failed_update_is_tried_again(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedding on disk that TensorBoard was not told of is told of by the next drain."""
    projector = Projector(run_dir)
    add(projector)
    with monkeypatch.context() as patch:
        patch.setattr(
            projector_module,
            "version_record",
            lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")),
        )
        with pytest.raises(WriteError):
            projector.drain()
    assert runs(run_dir.parent) == ["train"]
    projector.drain()
    assert len(runs(run_dir.parent)) == 2
    assert Plugin(run_dir.parent).names("train") == ["embed"]
    assert names(run_dir) == ["embed"]


def test_an_interrupt_repeats_nothing(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C just after the configuration is written: the embedding is not listed twice.

    Would catch an embedding that is taken for one that was logged again.
    """
    projector = Projector(run_dir)
    add(projector)
    extend = Projector._extend_config

    def interrupted(self: Projector, infos: Any) -> None:
        extend(self, infos)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Projector, "_extend_config", interrupted)
        with pytest.raises(KeyboardInterrupt):
            projector.drain()
    projector.drain()
    assert names(run_dir) == ["embed"]
    assert projector.pending_bytes == 0


def test_a_disk_that_refuses_leaves_no_part_of_a_file(run_dir: Path) -> None:
    """A child may not write files of more than 4 KiB: nothing of the larger one stays.

    Would catch a file that is written under the name that TensorBoard reads, or left behind.
    """
    child = """if True:
        import resource, sys, numpy as np
        from pathlib import Path
        from eventwriter.errors import WriteError
        from eventwriter.projector.files import Projector
        projector = Projector(Path(sys.argv[1]))
        def add(rows, tag):
            mat = np.random.default_rng(0).normal(size=(rows, 4))
            projector.add(mat, None, None, None, tag, None)
        add(6, "small")
        projector.drain()
        add(1000, "large")
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, unlimited[1]))
        try:
            projector.drain()
        except WriteError as error:
            print(error.errno, sorted(path.suffix for path in Path(sys.argv[1]).rglob("*")))
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        projector.drain()
    """
    command = [sys.executable, "-c", child, str(run_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert f"{errno.EFBIG} " == done.stdout[: len(str(errno.EFBIG)) + 1]
    assert done.stdout.count(".bytes") == 1
    assert done.stdout.count(".tmp") == 0
    assert Plugin(run_dir.parent).matrix("train", "large").shape == (1000, 4)


WRITE_FOREVER = """if True:
    import sys, numpy as np
    from pathlib import Path
    from eventwriter.projector.files import Projector
    projector = Projector(Path(sys.argv[1]))
    for step in range(int(sys.argv[3])):
        mat = np.full((500, 40), step + 0.1, np.float32)
        projector.add(mat, [f"{step}"] * 500, None, step, sys.argv[2], None)
        projector.drain()
        if step == 2:
            print("under way", flush=True)
"""


def test_death_at_any_moment_leaves_what_tensorboard_can_read(run_dir: Path) -> None:
    """A killed process leaves a configuration whose files are all there and whole.

    Would catch a configuration that is written before its files, or in place.
    """
    for kill in range(4):
        tag = f"killed {kill}"
        command = [sys.executable, "-c", WRITE_FOREVER, str(run_dir), tag, "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"under way\n"
            threading.Event().wait(0.013 * kill)  # another moment each time
            process.send_signal(signal.SIGKILL)
        plugin = Plugin(run_dir.parent)
        shown = [name for name in plugin.names("train") if name.startswith(tag)]
        assert shown[:3] == [f"{tag}:{step:05d}" for step in range(3)]
        for step, name in enumerate(shown):
            expected = np.full((500, 40), step + 0.1, np.float32)
            np.testing.assert_array_equal(expected, plugin.matrix("train", name))
            assert plugin.get("/metadata", run="train", name=name) == b"%d\n" % step * 500
    write(run_dir, tag="after")
    assert "after" in Plugin(run_dir.parent).names("train")


def test_two_processes_lose_nothing_of_each_other(run_dir: Path) -> None:
    """Writers of one run at the same time take turns with its configuration.

    Would catch a configuration that is read, extended and written without a lock.
    """
    children = [
        subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(run_dir), tag, "40"])
        for tag in ("one", "two")
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    expected = {f"{tag}:{step:05d}" for tag in ("one", "two") for step in range(40)}
    assert expected == set(names(run_dir))
    assert len(runs(run_dir.parent)) == 2


def test_a_locked_configuration_hangs_nothing(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped while it held the lock costs an error; the next drain works."""
    monkeypatch.setattr(projector_module, "_LOCK_SECS", 0.05)
    projector = Projector(run_dir)
    add(projector)
    with projector_module._locked(run_dir), pytest.raises(WriteError, match="locked by another"):
        projector.drain()
    projector.drain()
    assert names(run_dir) == ["embed"]


def test_threads_may_add_while_others_drain(run_dir: Path) -> None:
    """Nothing of what any thread adds is lost, and nothing is listed twice."""
    projector = Projector(run_dir)

    def work(tag: str) -> None:
        for step in range(10):
            add(projector, FLOATS, step, tag=tag)
            projector.drain()

    threads = [threading.Thread(target=work, args=(f"t{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(f"t{index}:{step:05d}" for index in range(4) for step in range(10)) == sorted(
        names(run_dir)
    )
