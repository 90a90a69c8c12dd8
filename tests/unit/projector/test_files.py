"""The files of embeddings: what is refused, what is listed, and what an update leaves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.protobuf import text_format

from eventwriter import SummaryWriter
from eventwriter._proto.projector_pb2 import ProjectorConfig
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning, WriteError
from eventwriter.projector import files as files_module
from eventwriter.projector.files import EmbeddingFiles
from tests.helpers.projector import FLOATS, add, config, names, queue_of, runs, write

if TYPE_CHECKING:
    from pathlib import Path

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
        writer.add_embedding([[np.nan]], label_img=[[[[2.0]]]], tag="embed")
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


# ---- the update


def test_twenty_epochs_leave_one_run(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every moment there is one other run. Its name never returns, even after a restart."""
    monkeypatch.setattr(files_module, "_SETTLE_SECS", -1.0)  # from the past: at once
    seen = [runs(run_dir.parent)]
    for step in range(20):
        write(run_dir, FLOATS, step)
        seen.append(runs(run_dir.parent))
        train, update = seen[-1]
        assert (train, update.rstrip("0123456789")) == ("train", "train/projector/update-")
    assert len(seen) == len({tuple(each) for each in seen})
    assert len(list((run_dir / "projector").glob("update-*"))) == 1


def test_a_directory_outlives_its_update(run_dir: Path) -> None:
    """An emptied directory stays for a while, and a later update removes it.

    One of TensorBoard's readers dies when a directory vanishes while the reader discovers it.
    """
    for step in range(3):
        write(run_dir, FLOATS, step)
    updates = run_dir / "projector"
    assert {"update-1", "update-2", "update-3"} == {p.name for p in updates.glob("update-*")}
    for number in (1, 2):
        assert list((updates / f"update-{number}").iterdir()) == []
    os.utime(updates / "update-1", (1, 1))
    write(run_dir, FLOATS, 3)
    assert {"update-2", "update-3", "update-4"} == {p.name for p in updates.glob("update-*")}


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
