"""Embeddings on disk, read back by the plugin of the installed TensorBoard, without its server."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from eventwriter import SummaryWriter
from eventwriter._proto.projector_pb2 import ProjectorConfig
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning, WriteError
from eventwriter.projector import files as projector_module
from eventwriter.projector.files import Projector
from tests.helpers.projector_plugin import FLOATS, Plugin, add, config, names, runs, write

if TYPE_CHECKING:
    from pathlib import Path

XY = ["x", "y"]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run that has an event file, as the writer's own has from its start."""
    path = tmp_path / "train"
    path.mkdir()
    (path / "events.out.tfevents.0000000001.host.0000001.000000").touch()
    return path


@pytest.mark.parametrize(
    "matrix",
    [FLOATS, np.zeros((3, 2), np.float32), np.frombuffer(b"1234\n56\xff", "<f4").reshape(2, 1)],
    ids=["raw", "zeros", "a line of text first"],
)
def test_the_plugin_serves_what_was_logged(run_dir: Path, matrix: np.ndarray) -> None:
    """TensorBoard's plugin itself reads each kind of file bit for bit, and its shape."""
    write(run_dir, matrix)
    served = Plugin(run_dir.parent).matrix("train", "embed")
    assert matrix.tobytes() == served.tobytes()
    assert matrix.shape == served.shape


def test_typical_floats_are_raw(run_dir: Path) -> None:
    """A matrix of weights costs its own bytes on disk, no more."""
    write(run_dir)
    (info,) = config(run_dir).embeddings
    assert FLOATS.tobytes() == (run_dir / info.tensor_path).read_bytes()


def test_nonfinite_cells_become_0_with_one_warning(run_dir: Path) -> None:
    """The page cannot show NaN: such cells become 0; one warning names the tag, counts them."""
    mat = np.array([[1.0, np.nan], [np.inf, 1e300], [-np.inf, 4.0]])
    projector = Projector(run_dir)
    with pytest.warns(EventWriterWarning, match=r"'embed'.*4 of 6 cells") as seen:
        add(projector, mat)
    assert len(seen) == 1
    projector.drain()
    served = Plugin(run_dir.parent).matrix("train", "embed")
    assert served.tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 4.0]]


def test_warnings_point_at_the_caller(tmp_path: Path) -> None:
    """Python shows the line that called the writer, and repeats a warning for another line."""
    with SummaryWriter(tmp_path) as writer, pytest.warns(EventWriterWarning) as seen:
        writer.add_embedding([[np.nan]], label_img=[[[[2.0]]]], tag="embed")
    assert [warning.filename for warning in seen] == [__file__] * 2


def test_a_call_takes_a_snapshot(run_dir: Path) -> None:
    """What the caller changes after the call, as training does, is not written."""
    mat, labels = FLOATS.copy(), ["a"] * 6
    projector = Projector(run_dir)
    add(projector, mat, metadata=labels)
    mat[:], labels[0] = 0, "changed"
    projector.drain()
    plugin = Plugin(run_dir.parent)
    np.testing.assert_array_equal(FLOATS, plugin.matrix("train", "embed"))
    assert plugin.get("/metadata", run="train", name="embed") == b"a\n" * 6


def test_metadata_is_served(run_dir: Path) -> None:
    """TensorBoard's plugin returns the file that the configuration names."""
    table = [[f"w{row}", row] for row in range(6)]
    write(run_dir, metadata=table, header=["word", "count"])
    tsv = Plugin(run_dir.parent).get("/metadata", run="train", name="embed", num_rows=100)
    assert tsv == b"word\tcount\n" + b"".join(b"w%d\t%d\n" % (row, row) for row in range(6))


def test_the_plugin_serves_difficult_names(run_dir: Path) -> None:
    """Each of these tags is an embedding of its own in TensorBoard."""
    difficult = ["a&b", "a#b", "a_b", "a+b", "a%b", "a", "a:0", "a/b", "../a", "~/a", "損失", "A"]
    projector = Projector(run_dir)
    for index, tag in enumerate(difficult):
        add(projector, FLOATS + index, tag=tag)
    projector.drain()
    plugin = Plugin(run_dir.parent)
    shown = plugin.names("train")
    assert len(difficult) == len(set(shown))
    for index, name in enumerate(shown):
        np.testing.assert_array_equal(FLOATS + index, plugin.matrix("train", name))


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
        (ArgumentValueError, {"header": ["a", "b"]}, "expected metadata"),
        (ArgumentTypeError, {"metadata": ["a"] * 6, "header": "ab"}, "metadata_header.* got str"),
        (ArgumentTypeError, {"metadata": ["ab"] * 6, "header": XY}, r"metadata\[0\].* got str"),
        (ArgumentValueError, {"metadata": [XY] * 6, "header": ["x", "x"]}, "distinct names"),
        (ArgumentValueError, {"metadata": [XY] * 5 + [["a"]], "header": XY}, r"\[5\].* got 1"),
        (ArgumentValueError, {"label_img": np.zeros((5, 1, 2, 2))}, "expected 6 pictures.* got 5"),
        (ArgumentTypeError, {"label_img": np.zeros((6, 2, 2))}, "label_img"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_at_the_call(
    run_dir: Path, error: type[Exception], arguments: dict[str, Any], message: str
) -> None:
    """The error names the call, what came and what was expected; what came before stays."""
    projector = Projector(run_dir)
    add(projector, tag="before")
    with pytest.raises(error, match=rf"(?s)^add_embedding\('embed'\).*{message}"):
        add(projector, **arguments)
    projector.drain()
    assert names(run_dir) == ["before"]


# ---- the configuration


def test_several_tags_steps_and_runs(tmp_path: Path, run_dir: Path) -> None:
    """Every embedding of every run is listed there, and nowhere else."""
    for step in range(3):
        write(run_dir, FLOATS + step, step)
        write(run_dir, FLOATS - step, step, tag="other")
    write(tmp_path / "validation", FLOATS * 2)
    (tmp_path / "validation" / "events.out.tfevents.0000000001.host.0000001.000000").touch()
    plugin = Plugin(tmp_path)
    for step in range(3):
        name = f"{step:05d}"
        np.testing.assert_array_equal(FLOATS + step, plugin.matrix("train", f"embed:{name}"))
        np.testing.assert_array_equal(FLOATS - step, plugin.matrix("train", f"other:{name}"))
    assert len(plugin.names("train")) == 6
    assert plugin.names("validation") == ["embed"]


def test_a_configuration_is_extended(run_dir: Path) -> None:
    """What another tool, or the training before a restart, has written stays, in order."""
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
    """The error names the file; the file stays; once it is gone, all that waited is written."""
    path = run_dir / "projector_config.pbtxt"
    path.write_bytes(content)
    projector = Projector(run_dir)
    add(projector)
    for _ in range(2):
        with pytest.raises(WriteError, match=r"projector_config\.pbtxt: expected") as caught:
            projector.drain()
        assert str(path) == caught.value.filename
    assert content == path.read_bytes()
    path.unlink()
    projector.drain()
    assert names(run_dir) == ["embed"]


def test_logging_again_replaces_under_a_fresh_name(run_dir: Path) -> None:
    """TensorBoard caches matrices by name: a new name shows the new values, in the old one's place.

    The old matrix stays on disk: a running TensorBoard may still be told to read it.
    """
    write(run_dir, FLOATS, 7, tag="a (b)")
    plugin = Plugin(run_dir.parent)
    np.testing.assert_array_equal(FLOATS, plugin.matrix("train", "a (b):00007"))
    write(run_dir, FLOATS, 8, tag="a (b)")
    for revision in (2, 3):
        old = [run_dir / info.tensor_path for info in config(run_dir).embeddings]
        write(run_dir, FLOATS[:3] * revision, 7, tag="a (b)")
        assert ["a (b):00008", f"a (b):00007 ({revision})"] == plugin.names("train")
        np.testing.assert_array_equal(
            FLOATS[:3] * revision, plugin.matrix("train", f"a (b):00007 ({revision})")
        )
        assert all(path.exists() for path in old)


def test_the_last_of_a_step_is_written(run_dir: Path) -> None:
    """Of two calls with one tag and step before a drain, the last counts, under the plain name."""
    projector = Projector(run_dir)
    add(projector, FLOATS, 1)
    add(projector, FLOATS * 2, 1)
    assert projector.pending_bytes == FLOATS.nbytes
    projector.drain()
    assert names(run_dir) == ["embed:00001"]
    np.testing.assert_array_equal(FLOATS * 2, Plugin(run_dir.parent).matrix("train", "embed:00001"))


def test_the_same_metadata_and_sprite_are_written_once(run_dir: Path) -> None:
    """Steps share the files whose content they share, and only those; all are whole and served."""
    images = np.arange(6 * 3 * 2 * 4, dtype=np.uint8).reshape(6, 3, 2, 4)
    for step in range(3):
        labels = ["a"] * 6 if step < 2 else ["b"] * 6
        pictures = images if step < 2 else images[::-1]
        write(run_dir, FLOATS, step, metadata=labels, label_img=pictures)
    infos = config(run_dir).embeddings
    for paths in (
        [info.metadata_path for info in infos],
        [info.sprite.image_path for info in infos],
    ):
        assert paths[0] == paths[1] != paths[2]
    assert [list(info.sprite.single_image_dim) for info in infos] == [[4, 2]] * 3
    plugin = Plugin(run_dir.parent)
    served = plugin.get("/sprite_image", run="train", name="embed:00001")
    with Image.open(io.BytesIO(served)) as sheet:
        assert sheet.size == (12, 6)  # a square grid, though two rows would do
        last = np.asarray(sheet)[2:4, 8:12]
    np.testing.assert_array_equal(images[5].transpose(1, 2, 0), last)


def test_draining_nothing_writes_nothing(tmp_path: Path) -> None:
    """A writer without embeddings leaves no trace of this."""
    projector = Projector(tmp_path / "run")
    projector.drain()
    projector.drain(sync=True)
    assert list(tmp_path.iterdir()) == []


def test_adding_writes_nothing(tmp_path: Path) -> None:
    """A call touches no disk: what waits is counted, and gone from memory when it is written."""
    projector = Projector(tmp_path / "run")
    add(projector, metadata=["ab"] * 6, label_img=np.zeros((6, 1, 2, 2)))
    assert list(tmp_path.iterdir()) == []
    assert projector.pending_bytes == FLOATS.nbytes + 6 * 3 + 6 * 6
    projector.drain()
    assert projector.pending_bytes == 0


def test_sync_reaches_all_that_was_drained(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync covers every file that a configuration names, and it, even those drained earlier."""
    projector = Projector(run_dir)
    add(projector, metadata=["a"] * 6, label_img=np.zeros((6, 1, 2, 2)))
    projector.drain()
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    projector.drain(sync=True)
    (info,) = config(run_dir).embeddings
    files = (info.tensor_path, info.metadata_path, info.sprite.image_path, "projector_config.pbtxt")
    assert {(run_dir / file).stat().st_ino for file in (*files, ".", "projector")} <= synced
    synced.clear()
    projector.drain(sync=True)
    assert set() == synced


# ---- the update


def test_an_embedding_reaches_a_running_plugin(run_dir: Path) -> None:
    """The plugin, which reads again only for another set of runs, knows each embedding at once."""
    plugin = Plugin(run_dir.parent)
    assert plugin.get("/runs") == b"[]"
    for step in range(4):
        write(run_dir, FLOATS, step)
        assert [f"embed:{each:05d}" for each in range(step + 1)] == plugin.names("train")


def test_twenty_epochs_leave_one_run(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one run besides, at every moment; its name never returns; it survives restarts."""
    monkeypatch.setattr(projector_module, "_SETTLE_SECS", -1.0)  # from the past: at once
    seen = [runs(run_dir.parent)]
    for step in range(20):
        write(run_dir, FLOATS, step)
        seen.append(runs(run_dir.parent))
        train, update = seen[-1]
        assert (train, update.rstrip("0123456789")) == ("train", "train/projector/update-")
    assert len(seen) == len({tuple(each) for each in seen})
    assert len(list((run_dir / "projector").glob("update-*"))) == 1


def test_a_directory_outlives_its_update(run_dir: Path) -> None:
    """One reader dies of a directory that vanishes while it is discovered, so that waits.

    Emptied directories stay for a while, and a later update removes those whose time has come.
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


def test_the_update_is_an_event_file(run_dir: Path) -> None:
    """TensorBoard's own loader reads the version from it, and nothing else."""
    write(run_dir)
    (path,) = (run_dir / "projector").glob("update-1/*tfevents*")
    (event,) = EventFileLoader(str(path)).Load()
    assert event.file_version == "brain.Event:2"


def test_no_other_name_makes_a_run(run_dir: Path) -> None:
    """A tag that is named like an event file, even, makes none, not even for a moment."""
    projector = Projector(run_dir)
    original = projector_module.Projector._write_file
    add(projector, tag="events.out.tfevents")
    moments = []

    def watched(self: Projector, path: Path, pieces: Any) -> None:
        def watch() -> Any:
            moments.append(runs(run_dir.parent))
            yield from pieces

        original(self, path, watch())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Projector, "_write_file", watched)
        projector.drain()
    assert moments == [["train"]] * 3
