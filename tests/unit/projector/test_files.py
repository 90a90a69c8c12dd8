"""The files of embeddings: what is refused, what is listed, and what an update leaves."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from eventwriter import SummaryWriter
from eventwriter._proto.projector_pb2 import EmbeddingInfo, ProjectorConfig
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning, WriteError
from eventwriter.projector import config as config_module
from eventwriter.projector import queue as queue_module
from eventwriter.projector import updates
from eventwriter.projector.config import Listing
from eventwriter.projector.files import EmbeddingFiles
from eventwriter.projector.locks import ConfigLock, lock_file
from tests.helpers.patience import LONG_SECS
from tests.helpers.projector import FLOATS, add, config, names, queue_of, runs, write

XY = ["x", "y"]
HEADER = "metadata_header"


def test_typical_floats_are_raw(run_dir: Path) -> None:
    """A matrix of weights takes no more bytes on disk than in memory."""
    write(run_dir)
    (info,) = config(run_dir).embeddings
    assert FLOATS.tobytes() == (run_dir / info.tensor_path).read_bytes()


def test_warnings_point_at_the_caller(tmp_path: Path) -> None:
    """Python shows the line that called the writer, and repeats a warning for another line."""
    with SummaryWriter(tmp_path) as writer, pytest.warns(EventWriterWarning) as seen:
        writer.add_embedding([[np.nan, 1.0]] * 2, label_img=[[[[2.0]]]] * 2, tag="embed")
    assert [warning.filename for warning in seen] == [__file__] * 2


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (ArgumentTypeError, {"mat": np.zeros(3)}, r"mat: expected shape .* got \(3,\)"),
        (ArgumentTypeError, {"mat": np.zeros((0, 3))}, r"got \(0, 3\)"),
        (ArgumentTypeError, {"mat": np.zeros((3, 0))}, r"got \(3, 0\)"),
        (ArgumentTypeError, {"mat": np.zeros((1, 2, 3))}, r"got \(1, 2, 3\)"),
        (ArgumentTypeError, {"mat": np.zeros((6, 2), complex)}, "mat"),
        (ArgumentTypeError, {"mat": [["a", "b"]]}, "mat"),
        (ArgumentValueError, {"metadata": ["a"] * 5}, "expected 6 labels.* got 5"),
        (ArgumentValueError, {"metadata": ["h", *"abcdef"]}, "expected 6 labels.* got 7"),
        (ArgumentValueError, {"metadata": ["a"] * 5 + ["\ud800"]}, "surrogate"),
        (ArgumentTypeError, {"metadata": "abcdef"}, "expected a list, got str"),
        (ArgumentTypeError, {"metadata": dict.fromkeys("abcdef")}, "expected a list, got dict"),
        (ArgumentTypeError, {"metadata": set("abcdef")}, "expected a list, got set"),
        (ArgumentTypeError, {"metadata": 6}, "expected a list, got int"),
        (ArgumentValueError, {HEADER: ["a", "b"]}, "expected metadata"),
        (ArgumentTypeError, {"metadata": ["a"] * 6, HEADER: "ab"}, "metadata_header.* got str"),
        (ArgumentTypeError, {"metadata": ["ab"] * 6, HEADER: XY}, r"metadata\[0\].* got str"),
        (ArgumentValueError, {"metadata": [XY] * 6, HEADER: ["x", "x"]}, "distinct names"),
        (ArgumentValueError, {"metadata": [XY] * 5 + [["a"]], HEADER: XY}, r"\[5\].* got 1"),
        (ArgumentValueError, {"label_img": np.zeros((5, 1, 2, 2))}, "expected 6 pictures.* got 5"),
        (ArgumentTypeError, {"label_img": np.zeros((6, 2, 2))}, "label_img"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_at_the_call(
    run_dir: Path, error: type[Exception], arguments: dict[str, Any], message: str
) -> None:
    """The error names the call, what was expected and what came. Earlier embeddings stay."""
    queue = queue_of(run_dir)
    add(queue, tag="before")
    with pytest.raises(error, match=rf"(?s)^add_embedding\('embed'\).*{message}"):
        add(queue, **arguments)
    queue.flush()
    assert names(run_dir) == ["before"]


# ---- the configuration


def test_a_configuration_is_extended(run_dir: Path) -> None:
    """Entries of another tool, or of the training before a restart, stay in their order."""
    before = (
        'model_checkpoint_path: "model.ckpt"\n'
        'embeddings { tensor_name: "theirs" metadata_path: "m.tsv" tensor_path: "t.tsv" }\n'
    )
    (run_dir / "projector_config.pbtxt").write_text(before)
    write(run_dir, tag="ours")
    write(run_dir, tag="restarted")
    now = config(run_dir)
    assert names(run_dir) == ["theirs", "ours", "restarted"]
    del now.embeddings[1:]
    assert text_format.Parse(before, ProjectorConfig()) == now


@pytest.mark.parametrize("content", [b"embeddings {", b"who: knows", b"\xff\xfe"])
def test_an_unreadable_configuration_is_left_alone(run_dir: Path, content: bytes) -> None:
    """The error names the file, which stays. Once it is gone, everything that waited is written."""
    path = run_dir / "projector_config.pbtxt"
    path.write_bytes(content)
    queue = queue_of(run_dir)
    add(queue)
    for _ in range(2):
        with pytest.raises(WriteError, match=r"projector_config\.pbtxt: .*expected") as caught:
            queue.flush()
        assert str(path) == caught.value.filename
    assert content == path.read_bytes()
    path.unlink()
    queue.flush()
    assert names(run_dir) == ["embed"]


def test_purge_step_takes_the_abandoned_branch_from_the_list(run_dir: Path) -> None:
    """A restart with purge_step lists what is older, and nothing of another tool is touched.

    When a step is logged again it gets a new name, also by a later writer: TensorBoard caches
    matrices by name. All files stay, because a running TensorBoard may ask for them.
    """
    path = run_dir / "projector_config.pbtxt"
    path.write_text('embeddings { tensor_name: "theirs:00009" tensor_path: "t.tsv" }\n')
    for step in (1, 2, 3, 3):
        write(run_dir, step=step)
    write(run_dir, step=3, tag="other")
    files = set(run_dir.rglob("*.bytes"))
    with SummaryWriter(run_dir, purge_step=2):
        pass
    assert names(run_dir) == ["theirs:00009", "embed:00001"]
    assert files <= set(run_dir.rglob("*.bytes"))
    for expected in ("embed:00002 (2)", "embed:00002 (3)"):
        write(run_dir, step=2)
        assert names(run_dir) == ["theirs:00009", "embed:00001", expected]
    write(run_dir, step=3)
    with SummaryWriter(run_dir, purge_step=3) as writer:
        writer.add_embedding(FLOATS, tag="embed", global_step=3)
    assert names(run_dir)[1:] == ["embed:00001", "embed:00002 (3)", "embed:00003 (4)"]
    assert len(runs(run_dir.parent)) == 2


def test_purge_step_without_embeddings_writes_none(run_dir: Path) -> None:
    """A run without embeddings gets no file of the Projector."""
    with SummaryWriter(run_dir, purge_step=2) as writer:
        writer.add_scalar("a", 1.0, 2)
    assert list(run_dir.glob("projector*")) == []


def test_draining_nothing_writes_nothing(tmp_path: Path) -> None:
    """A queue without embeddings makes no file and no directory."""
    queue = queue_of(tmp_path / "run")
    queue.flush()
    queue.flush(sync=True)
    assert list(tmp_path.iterdir()) == []


def test_adding_writes_nothing(tmp_path: Path) -> None:
    """`put` does not touch the disk. Its memory is counted until the embedding is written."""
    queue = queue_of(tmp_path / "run")
    add(queue, metadata=["ab"] * 6, label_img=np.zeros((6, 1, 2, 2)))
    assert list(tmp_path.iterdir()) == []
    assert queue.pending_bytes() == FLOATS.nbytes + 6 * 3 + 6 * 6
    queue.flush()
    assert queue.pending_bytes() == 0


def test_sync_reaches_all_that_was_drained(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync covers the configuration and every file that it names, also those of earlier flushes."""
    queue = queue_of(run_dir)
    add(queue, metadata=["a"] * 6, label_img=np.zeros((6, 1, 2, 2)))
    queue.flush()
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    queue.flush(sync=True)
    (info,) = config(run_dir).embeddings
    files = (info.tensor_path, info.metadata_path, info.sprite.image_path, "projector_config.pbtxt")
    assert {(run_dir / file).stat().st_ino for file in (*files, ".", "projector")} <= synced
    synced.clear()
    queue.flush(sync=True)
    assert set() == synced


def test_sync_follows_an_update_that_moved(run_dir: Path) -> None:
    """Every embedding moves the event file of the update, and each sync works all the same.

    Catches: a sync that looks for a file under the name which it had before.
    """
    queue = queue_of(run_dir)
    for step in range(3):
        add(queue, step=step)
        queue.flush()
    queue.flush(sync=True)
    add(queue, step=3)
    queue.flush(sync=True)
    assert len(names(run_dir)) == 4


@pytest.mark.parametrize("then", ["nothing", "a file"])
def test_sync_skips_what_the_user_removed(run_dir: Path, then: str) -> None:
    """A sync after the run was removed does not fail: nothing of it waits to be written."""
    queue = queue_of(run_dir)
    add(queue)
    queue.flush()
    run_dir.rename(run_dir.with_name("away"))
    if then == "a file":
        run_dir.write_text("in the way")
    queue.flush(sync=True)


def test_sync_reaches_new_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of each new directory is on the disk too: its parent is synced, once."""
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino) or fsync(fd))
    with SummaryWriter(tmp_path / "new" / "deep" / "run") as writer:
        writer.add_scalar("a", 1.0, 0)
        writer.flush(sync=True)
        parents = [tmp_path, tmp_path / "new", tmp_path / "new" / "deep"]
        assert {path.stat().st_ino for path in parents} <= set(synced)
        writer.flush(sync=True)
    assert synced.count(tmp_path.stat().st_ino) == 1


# ---- the update


def test_twenty_epochs_leave_one_run(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every moment there is one other run. Its name never returns, even after a restart."""
    monkeypatch.setattr(updates, "SETTLE_SECS", -1.0)  # from the past: at once
    seen = [runs(run_dir.parent)]
    for step in range(20):
        write(run_dir, FLOATS, step)
        seen.append(runs(run_dir.parent))
        train, update = seen[-1]
        assert (train, update.rstrip("0123456789")) == ("train", "train/projector/update-")
    assert len(seen) == len({tuple(each) for each in seen})
    assert len(list((run_dir / "projector").glob("update-*"))) == 1


def test_a_directory_outlives_its_update(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emptied directory stays for a while, and a later update removes it.

    One of TensorBoard's readers dies when a directory vanishes while the reader discovers it.
    """
    monkeypatch.setattr(updates, "SETTLE_SECS", LONG_SECS)
    for step in range(3):
        write(run_dir, FLOATS, step)
    assets = run_dir / "projector"
    assert {"update-1", "update-2", "update-3"} == {p.name for p in assets.glob("update-*")}
    for number in (1, 2):
        assert list((assets / f"update-{number}").iterdir()) == []
    os.utime(assets / "update-1", (1, 1))
    write(run_dir, FLOATS, 3)
    assert {"update-2", "update-3", "update-4"} == {p.name for p in assets.glob("update-*")}


def test_an_update_within_an_update(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler may write while an update removes the directories of those before it.

    Catches: a set that changes while somebody iterates over it.
    """
    queue = queue_of(run_dir)
    for step in range(3):
        add(queue, step=step)
        queue.flush()
    monkeypatch.setattr(updates, "SETTLE_SECS", -1.0)  # from the past: at once
    rmdir = Path.rmdir
    handled = []

    def handle_a_signal(path: Path) -> None:
        if not handled:
            handled.append(path)
            add(queue, step=4)
            queue.flush()
        rmdir(path)

    monkeypatch.setattr(Path, "rmdir", handle_a_signal)
    add(queue, step=3)
    queue.flush()
    assert handled
    assert {f"embed:{step:05d}" for step in range(5)} == set(names(run_dir))
    assert len(runs(run_dir.parent)) == 2


def test_no_other_name_makes_a_run(run_dir: Path) -> None:
    """Even a tag with the name of an event file makes no run, at no moment of the write."""
    queue = queue_of(run_dir)
    original = EmbeddingFiles._write_file
    add(queue, tag="events.out.tfevents")
    moments = []

    def watched(self: EmbeddingFiles, path: Path, pieces: Any) -> None:
        def watch() -> Any:
            moments.append(runs(run_dir.parent))
            yield from pieces

        original(self, path, watch())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddingFiles, "_write_file", watched)
        queue.flush()
    assert moments == [["train"]] * 3


def test_a_killed_writer_leaves_no_litter(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next writer removes temporary files and empty directories, but none that is in use."""
    monkeypatch.setattr(updates, "SETTLE_SECS", -1.0)  # from the past: at once
    write(run_dir)
    assets = run_dir / "projector"
    (assets / "update-7").mkdir()
    names_left = (
        "projector/.0123456789abcdef.tmp.bytes",
        "projector/update-7/.0123456789abcdef.tmp.0000001.000000",
        ".0123456789abcdef.tmp.pbtxt",
    )
    used = assets / ".fedcba9876543210.tmp.bytes"
    theirs = run_dir / ".0123456789abcdef.tmp.pt"
    for path in (*(run_dir / name for name in names_left), used, theirs):
        path.touch()
    with used.open("wb") as file:
        lock_file(file.fileno())
        write(run_dir, tag="next")
    for name in names_left:
        assert not (run_dir / name).exists()
    assert used.exists()
    assert theirs.exists()
    assert [path.name for path in assets.glob("update-*")] == ["update-8"]


def test_what_was_too_young_is_removed_later(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart that follows at once removes what the killed process wrote last, a little later.

    Catches: a temporary file that stays for ever, because it was looked at only once, too early.
    """
    queue = queue_of(run_dir)
    (run_dir / "projector").mkdir()
    left = run_dir / "projector" / ".0123456789abcdef.tmp.bytes"
    left.touch()
    now = time.time()
    os.utime(left, (now + 100, now + 100))  # a slow machine does not make it old
    add(queue, step=0)
    queue.flush()
    assert left.exists()
    monkeypatch.setattr(time, "time", lambda: now + 200)
    add(queue, step=1)
    queue.flush()
    assert not left.exists()


@pytest.mark.parametrize("link", [True, False])
def test_an_update_leaves_other_runs_alone(tmp_path: Path, run_dir: Path, link: bool) -> None:
    """A directory that only looks like an update, or a link to a run, keeps its event file."""
    other = tmp_path / "other"
    with SummaryWriter(other) as writer:
        writer.add_scalar("a", 1.0, 0)
    (run_dir / "projector").mkdir()
    found = run_dir / "projector" / "update-1"
    if link:
        found.symlink_to(other)
    else:
        other.rename(found)
    before = sorted(found.iterdir())
    write(run_dir)
    assert before == sorted(found.iterdir())
    assert names(run_dir) == ["embed"]


def test_a_matrix_is_written_once(run_dir: Path) -> None:
    """While the configuration cannot be read, no attempt writes a matrix.

    Catches: gigabytes of the same matrices, one set for each attempt.
    """
    (run_dir / "projector_config.pbtxt").write_text("who: knows")
    queue = queue_of(run_dir)
    add(queue)
    for _ in range(3):
        with pytest.raises(WriteError) as caught:
            queue.flush()
        assert caught.value.pending == 1
    assert list(run_dir.rglob("*.bytes")) == []


def test_what_was_written_is_not_written_again(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the configuration is locked, the matrix waits on the disk, and is then listed."""
    monkeypatch.setattr(queue_module, "LOCK_SECS", 0.01)
    queue = queue_of(run_dir)
    add(queue)
    inodes = set()
    with ConfigLock(run_dir).held(1.0):
        for _ in range(3):
            with pytest.raises(WriteError):
                queue.flush()
            (matrix,) = run_dir.rglob("*.bytes")
            inodes.add(matrix.stat().st_ino)
    queue.flush()
    (info,) = config(run_dir).embeddings
    assert inodes == {(run_dir / info.tensor_path).stat().st_ino}


def test_a_full_disk_shows_what_it_can(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a backlog, each embedding that has room is listed. The others wait.

    Catches: matrices that take all the room and are not listed.
    """
    room = [3]
    original = EmbeddingFiles._write_file

    def limited(self: EmbeddingFiles, path: Path, pieces: Any) -> None:
        if path.suffix == ".bytes":
            if not room[0]:
                raise OSError(errno.ENOSPC, "no space left", str(path))
            room[0] -= 1
        original(self, path, pieces)

    monkeypatch.setattr(EmbeddingFiles, "_write_file", limited)
    queue = queue_of(run_dir)
    for step in range(5):
        add(queue, step=step)
    with pytest.raises(WriteError) as caught:
        queue.flush()
    assert (caught.value.errno, caught.value.pending) == (errno.ENOSPC, 2)
    assert names(run_dir) == ["embed:00000", "embed:00001", "embed:00002"]
    assert len(runs(run_dir.parent)) == 2
    room[0] = 9
    queue.flush()
    assert len(names(run_dir)) == 5


def test_an_embedding_without_room_for_its_entry_gives_its_room_back(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A matrix that a full disk cannot list is removed, so that the event file has the room."""
    original = EmbeddingFiles._write_file

    def limited(self: EmbeddingFiles, path: Path, pieces: Any) -> None:
        if path.suffix == ".pbtxt":
            raise OSError(errno.ENOSPC, "no space left", str(path))
        original(self, path, pieces)

    queue = queue_of(run_dir)
    add(queue)
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddingFiles, "_write_file", limited)
        with pytest.raises(WriteError):
            queue.flush()
    assert list(run_dir.rglob("*.bytes")) == []
    queue.flush()
    assert names(run_dir) == ["embed"]


def test_a_long_list_costs_little(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more embedding is not parsed and printed together with thousands before it.

    Catches: a configuration that is read again for each embedding (0.1 s for 3,000).
    """
    listing = Listing()
    assets = run_dir / "projector"
    assets.mkdir()
    for step in range(300):
        (assets / f"{step}.bytes").touch()
        listing = listing.extended(
            EmbeddingInfo(tensor_name=f"embed:{step:05d}", tensor_path=f"projector/{step}.bytes")
        )
    (run_dir / "projector_config.pbtxt").write_text(listing.text())
    queue = queue_of(run_dir)
    add(queue, step=300)
    queue.flush()
    calls = []
    for function in ("_parse", "_entry"):
        plain = getattr(config_module, function)

        def counted(argument: Any, function: str = function, plain: Any = plain) -> Any:
            calls.append(function)
            return plain(argument)

        monkeypatch.setattr(config_module, function, counted)
    for step in range(301, 304):
        add(queue, step=step)
        queue.flush()
    assert len(names(run_dir)) == 304
    assert ["_entry"] * 3 == calls
