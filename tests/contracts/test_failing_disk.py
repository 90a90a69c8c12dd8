"""A disk that refuses, and one that hangs: training goes on, and what was logged arrives."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eventwriter import SummaryWriter
from eventwriter._file import failing_disk, flusher
from eventwriter.errors import WriteError
from eventwriter.projector.files import EmbeddingFiles
from tests.helpers import children
from tests.helpers.patience import LONG_SECS, wait_until
from tests.helpers.scanner import event_file, events, points, scan


@pytest.fixture(autouse=True)
def _warnings_are_shown() -> None:
    """Ignore the warnings of a failing disk. One test is about them."""
    warnings.simplefilter("ignore")


def log_into_a_limit(log_dir: str, room: int) -> None:
    """Log into a file that may not grow beyond a limit, and after the limit was lifted."""
    writer = SummaryWriter(log_dir, flush_secs=1000)
    path = event_file(log_dir)
    writer.flush()
    with children.file_size_limit(path.stat().st_size + room):
        for step in range(200):
            writer.add_scalar("scalar", 0.5, step)
            writer.add_histogram("histogram", [1.0, step], step)
        for _ in range(3):
            with pytest.raises(WriteError) as caught:
                writer.flush()
            whole = len(scan(path.read_bytes())[0])
            error = caught.value
            print(error.errno, 401 - whole <= error.pending <= 400, error.filename, error)
    writer.add_scalar("scalar", 0.5, 200)
    writer.close()


@pytest.mark.parametrize("room", [0, 1, 11, 12, 40, 60, 199, 3001])
def test_records_arrive_once_when_a_limit_is_lifted(tmp_path: Path, room: int) -> None:
    """A file that may not grow ends within a record. Later that record and all others are whole.

    Each `flush` raises the path, the system's reason and the number of records that wait.

    Catches: a batch that is thrown away, or written again from its start, after a short write;
    bytes appended at the file's end instead of at their place.
    """
    out, _ = children.run(log_into_a_limit, str(tmp_path), room)
    path = event_file(tmp_path)
    expected = [(tag, step) for step in range(200) for tag in ("scalar", "histogram")]

    assert [*expected, ("scalar", 200)] == points(path)
    assert 3 == len(out.splitlines())
    for line in out.splitlines():
        assert line.startswith(f"{errno.EFBIG} True {path} {path}: ")
        assert os.strerror(errno.EFBIG) in line


def test_full_disk_raises_in_flush_and_close_alone(tmp_path: Path) -> None:
    """On a full disk every `add_*` is accepted, and `flush` and `close` raise the reason.

    Catches: an error that `add_*` raises, or that `flush` and `close` keep to themselves; a close
    that gives the records up; a curve that is counted twice.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    path = event_file(tmp_path)
    with children.full_disk(path):
        for step in range(10):
            writer.add_scalar("scalar", 0.5, step)
            writer.log({"log": 0.5}, step)
            writer.add_histogram("histogram", [1.0], step)
            writer.add_scalar_series("series", [0.5, 0.5], [step, step])
        for call in (writer.flush, writer.flush, writer.close, writer.close):
            with pytest.raises(WriteError, match="No space left") as caught:
                call()
            assert errno.ENOSPC == caught.value.errno
            assert str(path) == caught.value.filename
            assert (50, 0) == (caught.value.pending, caught.value.lost)
            assert "tried again: 50" in str(caught.value)
    writer.close()
    names = ("scalar", "log", "histogram", "series", "series")

    assert [(name, step) for step in range(10) for name in names] == points(path)


def retry_often(log_dir: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=0.01, max_queue=1)
    failures = 0

    def counting_write(fd: int, data: bytes, place: int) -> int:
        nonlocal failures
        try:
            return write(fd, data, place)
        except OSError:
            failures += 1
            raise

    with children.full_disk(event_file(log_dir)):
        write, os.pwrite = os.pwrite, counting_write
        step = 0
        while failures < 20:
            writer.add_scalar("scalar", 0.5, step)
            step += 1
            time.sleep(0.001)
    writer.close()
    print(step)


@pytest.mark.parametrize("flags", ["-W always", "-W error"])
def test_full_disk_is_warned_of_once(tmp_path: Path, flags: str) -> None:
    """Twenty failures in the background are one warning, with the file and the reason.

    This also holds where warnings are errors, and the background thread survives.

    Catches: a warning at each attempt, none at all, or one that ends the thread.
    """
    out, err = children.run(retry_often, str(tmp_path), flags=flags)
    path = event_file(tmp_path)

    assert 1 == err.count(f"EventWriterWarning: {path}: writing failed: No space left on device")
    assert 1 == err.count("EventWriterWarning: ")
    assert [("scalar", step) for step in range(int(out))] == points(path)


@pytest.mark.parametrize("kind", ["scalar", "scalars", "log", "histogram", "series"])
def test_memory_is_bounded_and_losses_are_counted(tmp_path: Path, kind: str) -> None:
    """On a full disk memory stays bounded. Dropped records are counted, and the rest arrives.

    The queue may exceed its limit by the rows of one wake-up of the background thread.

    Catches: a queue without end; a record that is dropped without being counted, or counted and
    written; a path that forgets to ask for room.
    """
    limit = 200_000
    writer = SummaryWriter(tmp_path, flush_secs=1000, max_pending_bytes=limit)
    path = event_file(tmp_path)
    writer.add_scalar("0", 0.5, 0)
    is_row = kind != "histogram"
    logged = 30_000 if is_row else 10_000
    waiting = []
    lost = 0
    with children.full_disk(path):
        for step in range(logged):
            match kind:
                case "scalar":
                    writer.add_scalar("0", 0.5, step)
                case "scalars":
                    writer.add_scalar(str(step % 7), 0.5, step)
                case "log":
                    writer.log({"0": 0.5}, step)
                case "histogram":
                    writer.add_histogram("0", [1.0], step, bins=1)
                case "series":
                    writer.add_scalar_series("0", [0.5], [step])
            if step % (logged // 6) == 0:
                with pytest.raises(WriteError) as caught:
                    writer.flush()
                waiting.append(caught.value.pending)
                lost += caught.value.lost
        with pytest.raises(WriteError) as caught:
            writer.flush()
        waiting.append(caught.value.pending)
        lost += caught.value.lost
    writer.flush()
    writer.add_scalar("after", 0.5, 0)
    writer.flush()
    written = points(path)
    steps = [step for _, step in written[1:-1]]
    writer.close()

    assert lost > 1000
    assert logged + 2 == len(written) + lost
    assert sorted(set(steps)) == steps
    assert ("after", 0) == written[-1]
    bytes_each = 32  # a row; other kinds hold more, so that fewer wait
    assert max(waiting) <= limit // bytes_each + (2 * 4096 if is_row else 0) + 2


def log_to_a_hanging_disk(log_dir: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=0.01, max_queue=8, max_pending_bytes=200_000)
    children.hang_disk(event_file(log_dir))
    wait, waits = flusher.wait, []

    def counting_wait(secs: float, *sink: Any) -> bool:
        waits.append(secs)
        return wait(secs, *sink)

    flusher.wait = counting_wait
    for step in range(50_000):
        writer.add_scalar("scalar", 0.5, step)
        if step % 10 == 0:
            writer.log({"log": 0.5}, step)
            writer.add_histogram("histogram", [1.0], step)
    print(waits, flush=True)
    os._exit(0)


def test_hanging_disk_does_not_hang_training(tmp_path: Path) -> None:
    """While a write blocks for ever, calls go on. One call waits for room, for a second, or two do.

    Catches: a caller that waits for the lock which the blocked thread holds. It would never come.
    One that waits for room at each call.
    """
    out, _ = children.run(log_to_a_hanging_disk, str(tmp_path))
    waits = json.loads(out)

    # Memory may run full before the background thread begins. The thread then takes one batch,
    # which makes room once, and hangs.
    full = waits.count(failing_disk.MAX_WAIT_SECS)
    assert 1 <= full <= 2
    # The other waits are back-pressure: some milliseconds, once in thousands of rows.
    assert sum(waits) < full * failing_disk.MAX_WAIT_SECS + 0.5


def log_beside_a_hanging_disk(log_dir: str) -> None:
    flusher.EXIT_SECS = 3.0
    hung = SummaryWriter(f"{log_dir}/hung", flush_secs=0.01)
    healthy = SummaryWriter(f"{log_dir}/healthy", flush_secs=0.01)
    children.hang_disk(event_file(f"{log_dir}/hung"))
    hung.add_scalar("a", 0.5, 0)
    path = event_file(f"{log_dir}/healthy")
    for step in range(20_000):
        healthy.add_scalar("a", 0.5, step)
    wait_until(lambda: not healthy._file.pending_records(), "the healthy disk")
    print(len(points(path)), flush=True)
    for step in range(20_000, 20_010):
        healthy.add_scalar("a", 0.5, step)


def test_a_hanging_disk_stops_no_other_writer(tmp_path: Path) -> None:
    """While a write to one disk blocks for ever, a writer on another disk loses nothing.

    Its records are written in the background, and what is left is written at exit.

    Catches: one thread for all writers, which hangs with the first of them.
    """
    out, err = children.run(log_beside_a_hanging_disk, str(tmp_path))

    assert "20000" == out.strip()
    assert [("a", step) for step in range(20_010)] == points(event_file(tmp_path / "healthy"))
    assert "The exit gave up" in err


@pytest.mark.parametrize("kind", ["scalars", "histograms"])
def test_caller_encodes_but_never_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A call leaves the writing to the background thread, even if that never runs.

    Catches: a caller that helps out by writing, and hangs with the disk; one that encodes on and
    on, so that memory grows to its limit.
    """
    writers = []
    write = os.pwrite

    def recording_write(fd: int, data: bytes, place: int) -> int:
        writers.append(threading.current_thread())
        return write(fd, data, place)

    writer = SummaryWriter(tmp_path, flush_secs=1000)
    flusher.unwatch(writer._file)  # other writers may wake the thread
    assert flusher.wait(LONG_SECS)
    with monkeypatch.context() as patch:
        patch.setattr(flusher, "wake", lambda: None)
        patch.setattr(flusher, "wait", lambda *_: False)
        patch.setattr(os, "pwrite", recording_write)
        for step in range(30_000 if kind == "scalars" else 2_000):
            if kind == "scalars":
                writer.add_scalar("a", 0.5, step)
            else:
                writer.add_histogram("a", range(200), step, bins=200)
        helped = writer._file.batches_ahead()  # type: ignore[union-attr]
    writer.close()

    assert threading.current_thread() not in writers
    assert 4 == helped
    assert [("a", n) for n in range(step + 1)] == points(event_file(tmp_path))


def test_hanging_disk_does_not_hang_embeddings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the write of one embedding blocks, others are taken until memory is full.

    Then one call waits, and embeddings are dropped.

    Catches: a caller that writes when memory is full, or waits each time.
    """
    held = threading.Event()
    write = EmbeddingFiles._write_file

    def hanging_write(self: EmbeddingFiles, *args: object) -> None:
        assert held.wait(LONG_SECS)
        write(self, *args)

    monkeypatch.setattr(EmbeddingFiles, "_write_file", hanging_write)
    waits = []
    wait = flusher.wait
    monkeypatch.setattr(flusher, "wait", lambda secs, _: waits.append(secs) or wait(0.001))
    writer = SummaryWriter(tmp_path, max_pending_bytes=10_000)
    for step in range(20):
        writer.add_embedding([[0.5] * 250] * 2, global_step=step, tag="e")
    held.set()
    with pytest.raises(WriteError, match="Embeddings lost") as caught:
        writer.flush()
    writer.close()

    assert [failing_disk.MAX_WAIT_SECS] == waits
    assert 15 == caught.value.lost
    assert 5 == (tmp_path / "projector_config.pbtxt").read_text().count("tensor_path")


@pytest.mark.parametrize("method", ["flush", "close"])
def test_counts_of_records_and_embeddings_are_one(tmp_path: Path, method: str) -> None:
    """Where both fail, the error has both messages, and counts records and embeddings.

    Catches: the count of one that hides that of the other.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    path = event_file(tmp_path)
    config = tmp_path / "projector_config.pbtxt"
    config.write_text("who: knows")
    with warnings.catch_warnings(), children.full_disk(path):
        warnings.simplefilter("ignore")
        for step in range(3):
            writer.add_scalar("a", 0.5, step)
            writer.add_embedding([[0.5, 1.0]] * 2, global_step=step, tag="e")
        with pytest.raises(WriteError) as caught:
            getattr(writer, method)()
        assert 6 == caught.value.pending
        assert errno.ENOSPC == caught.value.cause.errno
        for part in (str(config), str(path), "No space left"):
            assert part in str(caught.value)
    config.unlink()
    getattr(writer, method)()
    assert [("a", step) for step in range(3)] == points(path)
    assert 3 == config.read_text().count("tensor_path")
    writer.close()


def lose_and_fork(log_dir: str, lost: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_embedding([[0.5, 1.0]] * 2, global_step=0, tag="e")
    writer.flush()
    files = [writer._file, *writer._side_files.values()]
    files[lost == "embeddings"]._disk.count_lost("the disk was full", 7)
    pid = os.fork()
    if not pid:
        children.limit_life()
        raised = True
        try:
            writer.flush()
            writer.close()
            raised = False
        finally:
            os._exit(raised)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with pytest.raises(WriteError) as caught:
        writer.flush()
    writer.close()
    print(caught.value.lost)


@pytest.mark.parametrize("lost", ["records", "embeddings"])
def test_a_child_does_not_raise_what_its_parent_lost(tmp_path: Path, lost: str) -> None:
    """A forked child that logged nothing has nothing to tell of. The parent tells of its losses."""
    out, _ = children.run(lose_and_fork, str(tmp_path), lost)

    assert "7\n" == out


class Fetch:
    """Stands for a value on a device that breaks before the value is fetched."""

    shape = ()
    size = 1
    dtype = np.dtype("f4")

    def is_deleted(self) -> bool:
        return False

    def is_ready(self) -> bool:
        return False

    def copy(self) -> Fetch:
        return self

    def item(self) -> float:
        message = "device lost"
        raise RuntimeError(message)


def test_value_that_cannot_be_fetched_is_a_counted_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value whose device fails is left out, counted and reported once.

    Catches: an error of the device that stops the queue for ever, or passes in silence.
    """
    jax = type(sys)("jax")
    jax.Array = Fetch
    jax.core = type("core", (), {"Tracer": type("Tracer", (), {})})
    monkeypatch.setitem(sys.modules, "jax", jax)
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    writer.add_scalar("a", 0.5, 0)
    writer.add_scalar("a", Fetch(), 1)
    writer.log({"a": Fetch(), "b": 1.0}, 2)
    writer.add_scalar("a", 0.5, 3)
    with pytest.raises(WriteError, match=r"Records lost: 2 .*device lost") as caught:
        writer.flush()
    writer.close()

    assert (0, 2) == (caught.value.pending, caught.value.lost)
    assert [("a", 0), ("a", 3)] == points(event_file(tmp_path))


def embed_into_a_limit(log_dir: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=0.01)
    with children.file_size_limit(4096):
        writer.add_embedding([[float(n)] * 64 for n in range(64)], global_step=1, tag="e")
        try:
            writer.flush()
        except WriteError as error:
            print(error.errno, error.pending)
        print(sorted(path.name for path in Path(log_dir).rglob("[!.]*") if path.is_file()))
    writer.close()


def test_embedding_on_a_failing_disk(tmp_path: Path) -> None:
    """An embedding that does not fit leaves nothing half-written, and arrives later.

    Catches: a configuration that names a matrix which is not there; a torn matrix; an embedding
    that is forgotten after its error.
    """
    out, _ = children.run(embed_into_a_limit, str(tmp_path))
    refused, before = out.splitlines()
    (matrix,) = tmp_path.rglob("e_00001*.bytes")

    assert f"{errno.EFBIG} 1" == refused
    assert [event_file(tmp_path).name] == eval(before)
    assert [] == list(tmp_path.rglob(".*"))
    assert matrix.name in (tmp_path / "projector_config.pbtxt").read_text()
    assert 64 * 64 * 4 == matrix.stat().st_size


def open_on_a_full_disk(log_dir: str) -> None:
    with children.file_size_limit(0):
        try:
            SummaryWriter(log_dir)
        except OSError as error:
            print(error.errno, error.filename)


def test_writer_cannot_open_on_a_full_disk(tmp_path: Path) -> None:
    """A file whose first record cannot be written is an error at construction, and is removed.

    Catches: an empty event file that is left behind.
    """
    out, _ = children.run(open_on_a_full_disk, str(tmp_path))

    assert f"{errno.EFBIG} {tmp_path}" == out[: len(f"{errno.EFBIG} {tmp_path}")]
    assert [] == list(tmp_path.iterdir())


def test_sync_reaches_the_file_and_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`flush(sync=True)` syncs the file after its last byte was written, and then the directory.

    Catches: a sync that comes before the write, or leaves the directory out.
    """
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    path = event_file(tmp_path)
    synced = []

    def fsync(fd: int) -> None:
        target = Path(f"/proc/self/fd/{fd}").readlink()
        synced.append((target, len(events(path))))

    monkeypatch.setattr(os, "fsync", fsync)
    writer.add_scalar("a", 0.5, 0)
    writer.flush()
    assert [] == synced
    writer.add_scalar("a", 0.5, 1)
    writer.flush(sync=True)
    writer.close()

    assert [(path, 2), (tmp_path, 2)] == synced


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, RuntimeError])
def test_value_that_ends_the_world_is_a_counted_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Whatever a deferred value raises is a loss, and the background thread goes on.

    Catches: a thread that a SystemExit ended, after which nothing is written any more.
    """
    jax = type(sys)("jax")
    jax.Array = Fetch
    jax.core = type("core", (), {"Tracer": type("Tracer", (), {})})
    monkeypatch.setitem(sys.modules, "jax", jax)
    monkeypatch.setattr(Fetch, "item", lambda _: (_ for _ in ()).throw(error("no value")))
    writer = SummaryWriter(tmp_path, flush_secs=0.001)
    writer.add_scalar("a", Fetch(), 0)
    assert flusher.wait(LONG_SECS)
    writer.add_scalar("a", 0.5, 1)
    assert flusher.wait(LONG_SECS)
    assert [("a", 1)] == points(event_file(tmp_path))
    with pytest.raises(WriteError, match=r"Records lost: 1 .*no value"):
        writer.close()


def test_system_that_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes no byte and gives no reason is an error of the disk, not a busy loop."""
    writer = SummaryWriter(tmp_path, flush_secs=1000)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda *_: 0)
        writer.add_scalar("a", 0.5, 0)
        with pytest.raises(WriteError, match="wrote nothing") as caught:
            writer.flush()
    writer.close()

    assert (1, 0) == (caught.value.pending, caught.value.lost)
    assert [("a", 0)] == points(event_file(tmp_path))
