"""Embeddings on disk, read back by the plugin of the installed TensorBoard, without its server."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from eventwriter import SummaryWriter
from eventwriter.errors import EventWriterWarning, WriteError
from eventwriter.projector import updates
from tests.helpers.patience import LONG_SECS
from tests.helpers.projector import FLOATS, WRITE_FOREVER, add, config, names, queue_of, runs, write
from tests.helpers.projector_plugin import Plugin

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "matrix",
    [FLOATS, np.zeros((3, 2), np.float32), np.frombuffer(b"1234\n56\xff" * 2, "<f4").reshape(2, 2)],
    ids=["raw", "zeros", "a line of text first"],
)
def test_the_plugin_serves_what_was_logged(run_dir: Path, matrix: np.ndarray) -> None:
    """TensorBoard's plugin itself reads each kind of file bit for bit, and its shape."""
    write(run_dir, matrix)
    served = Plugin(run_dir.parent).matrix("train", "embed")
    assert matrix.tobytes() == served.tobytes()
    assert matrix.shape == served.shape


def test_nonfinite_cells_become_0_with_one_warning(run_dir: Path) -> None:
    """The page cannot show NaN: such cells become 0; one warning names the tag, counts them."""
    mat = np.array([[1.0, np.nan], [np.inf, 1e300], [-np.inf, 4.0]])
    queue = queue_of(run_dir)
    with pytest.warns(EventWriterWarning, match=r"'embed'.*4 of 6 cells") as seen:
        add(queue, mat)
    assert len(seen) == 1
    queue.flush()
    served = Plugin(run_dir.parent).matrix("train", "embed")
    assert served.tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 4.0]]


def test_a_call_takes_a_snapshot(run_dir: Path) -> None:
    """What the caller changes after the call, as training does, is not written."""
    mat, labels = FLOATS.copy(), ["a"] * 6
    queue = queue_of(run_dir)
    add(queue, mat, metadata=labels)
    mat[:], labels[0] = 0, "changed"
    queue.flush()
    plugin = Plugin(run_dir.parent)
    np.testing.assert_array_equal(FLOATS, plugin.matrix("train", "embed"))
    assert plugin.get("/metadata", run="train", name="embed") == b"a\n" * 6


def test_metadata_is_served(run_dir: Path) -> None:
    """TensorBoard's plugin returns the file that the configuration names."""
    table = [[f"w{row}", row] for row in range(6)]
    write(run_dir, metadata=table, metadata_header=["word", "count"])
    tsv = Plugin(run_dir.parent).get("/metadata", run="train", name="embed", num_rows=100)
    assert tsv == b"word\tcount\n" + b"".join(b"w%d\t%d\n" % (row, row) for row in range(6))


def test_the_plugin_serves_difficult_names(run_dir: Path) -> None:
    """Each of these tags is an embedding of its own in TensorBoard."""
    difficult = ["a&b", "a#b", "a_b", "a+b", "a%b", "a", "a:0", "a/b", "../a", "~/a", "損失", "A"]
    queue = queue_of(run_dir)
    for index, tag in enumerate(difficult):
        add(queue, FLOATS + index, tag=tag)
    queue.flush()
    plugin = Plugin(run_dir.parent)
    shown = plugin.names("train")
    assert len(difficult) == len(set(shown))
    for index, name in enumerate(shown):
        np.testing.assert_array_equal(FLOATS + index, plugin.matrix("train", name))


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
    queue = queue_of(run_dir)
    add(queue, FLOATS, 1)
    add(queue, FLOATS * 2, 1)
    assert queue.pending_bytes() == FLOATS.nbytes
    queue.flush()
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


def test_an_embedding_reaches_a_running_plugin(run_dir: Path) -> None:
    """The plugin, which reads again only for another set of runs, knows each embedding at once."""
    plugin = Plugin(run_dir.parent)
    assert plugin.get("/runs") == b"[]"
    for step in range(4):
        write(run_dir, FLOATS, step)
        assert [f"embed:{each:05d}" for each in range(step + 1)] == plugin.names("train")


def test_the_update_is_an_event_file(run_dir: Path) -> None:
    """TensorBoard's own loader reads the version from it, and nothing else."""
    write(run_dir)
    (path,) = (run_dir / "projector").glob("update-1/*tfevents*")
    (event,) = EventFileLoader(str(path)).Load()
    assert event.file_version == "brain.Event:2"


def test_a_failed_update_is_tried_again(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If TensorBoard does not know of an embedding on disk yet, the next drain announces it."""
    queue = queue_of(run_dir)
    add(queue)
    with monkeypatch.context() as patch:
        patch.setattr(
            updates,
            "version_record",
            lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")),
        )
        with pytest.raises(WriteError):
            queue.flush()
    assert runs(run_dir.parent) == ["train"]
    queue.flush()
    assert len(runs(run_dir.parent)) == 2
    assert Plugin(run_dir.parent).names("train") == ["embed"]
    assert names(run_dir) == ["embed"]


def test_a_disk_that_refuses_leaves_no_part_of_a_file(run_dir: Path) -> None:
    """A child may not write files of more than 4 KiB: nothing of the larger one stays.

    Catches: a file that is written under the name that TensorBoard reads, or left behind.
    """
    child = """if True:
        import resource, sys, numpy as np
        from pathlib import Path
        from eventwriter.errors import WriteError
        from tests.helpers.projector import add, queue_of
        queue = queue_of(Path(sys.argv[1]))
        normal = np.random.default_rng(0).normal
        add(queue, normal(size=(6, 4)), tag="small")
        queue.flush()
        add(queue, normal(size=(1000, 4)), tag="large")
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, unlimited[1]))
        try:
            queue.flush()
        except WriteError as error:
            print(error.errno, sorted(path.name for path in Path(sys.argv[1]).rglob("*")))
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        queue.flush()
    """
    command = [sys.executable, "-c", child, str(run_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_SECS, check=False)
    assert done.stderr == ""
    assert f"{errno.EFBIG} " == done.stdout[: len(str(errno.EFBIG)) + 1]
    assert done.stdout.count(".bytes") == 1
    assert "'." not in done.stdout  # no hidden file
    assert Plugin(run_dir.parent).matrix("train", "large").shape == (1000, 4)


def test_death_at_any_moment_leaves_what_tensorboard_can_read(run_dir: Path) -> None:
    """A killed process leaves a configuration whose files are all there and whole.

    Catches: a configuration that is written before its files, or in place.
    """
    for kill in range(4):
        tag = f"killed {kill}"
        command = [sys.executable, "-c", WRITE_FOREVER, str(run_dir), tag, "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"under way\n"
                threading.Event().wait(0.013 * kill)  # another moment each time
            finally:
                process.kill()
        plugin = Plugin(run_dir.parent)
        shown = [name for name in plugin.names("train") if name.startswith(tag)]
        assert shown[:3] == [f"{tag}:{step:05d}" for step in range(3)]
        for step, name in enumerate(shown):
            expected = np.full((500, 40), step + 0.1, np.float32)
            np.testing.assert_array_equal(expected, plugin.matrix("train", name))
            assert plugin.get("/metadata", run="train", name=name) == b"%d\n" % step * 500
    write(run_dir, tag="after")
    assert "after" in Plugin(run_dir.parent).names("train")


def test_the_plugin_lists_nothing_that_was_purged(run_dir: Path) -> None:
    """A restart with purge_step leaves a configuration that TensorBoard reads."""
    for step in range(3):
        write(run_dir, FLOATS + step, step)
    with SummaryWriter(run_dir, purge_step=1) as writer:
        writer.add_embedding(FLOATS * 2, tag="embed", global_step=1)
    plugin = Plugin(run_dir.parent)
    assert plugin.names("train") == ["embed:00000", "embed:00001 (2)"]
    np.testing.assert_array_equal(FLOATS * 2, plugin.matrix("train", "embed:00001 (2)"))
