"""The files of embeddings go away while a writer is open: later ones are written, and it is told.

The user clears `runs/`, moves a copy over a run, or removes some of the files.
"""

from __future__ import annotations

import re
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter import SummaryWriter
from eventwriter.errors import EventWriterWarning, WriteError
from eventwriter.projector.files import EmbeddingFiles
from tests.helpers.projector import FLOATS, add, config, names, queue_of, runs
from tests.helpers.scanner import points

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = "projector_config.pbtxt"


# Directories are moved away in one step. The background thread then sees them whole or not at all.


def remove(path: Path) -> None:
    """Remove a directory, as `rm -r` does."""
    away = path.with_name(f"{path.name} away")
    path.rename(away)
    shutil.rmtree(away)


def make_the_run_anew(run: Path) -> None:
    remove(run)
    run.mkdir()


def remove_all_runs(run: Path) -> None:
    remove(run.parent)


def move_an_older_copy_over_it(run: Path) -> None:
    remove(run)
    run.with_name("older").rename(run)


def move_a_copy_over_it(run: Path) -> None:
    shutil.copytree(run, run.with_name("copy"))
    remove(run)
    run.with_name("copy").rename(run)


def remove_the_list(run: Path) -> None:
    (run / CONFIG).unlink()


def remove_the_files(run: Path) -> None:
    remove(run / "projector")


def remove_one_matrix(run: Path) -> None:
    (matrix,) = run.glob("projector/embed_00001-*")
    matrix.unlink()


def remove_the_labels(run: Path) -> None:
    (labels,) = run.glob("projector/metadata-*")
    labels.unlink()


def remove_the_update(run: Path) -> None:
    (update,) = (path.parent for path in run.glob("projector/update-*/*"))
    remove(update)


LOSSES: dict[Callable[[Path], None], tuple[str | None, set[int]]] = {
    remove: (r"but it was removed\..*: 3\.", set()),
    make_the_run_anew: (r"but it was removed\..*: 3\.", set()),
    remove_all_runs: (r"but it was removed\..*: 3\.", set()),
    move_an_older_copy_over_it: (r"but another file is in its place\..*: 2\.", {0}),
    move_a_copy_over_it: (None, {0, 1, 2}),
    remove_the_list: (r"but it was removed\..*: 3\.", set()),
    remove_the_files: (r"but some were removed\.", set()),
    remove_one_matrix: (r"but some were removed\.", {0, 2}),
    remove_the_labels: (r"but some were removed\.", {0, 1, 2}),
    remove_the_update: (None, {0, 1, 2}),
}
"""What happens, what the warning about embeddings then says, and the steps that stay listed."""


def log(writer: SummaryWriter, step: int) -> None:
    labels = ["early" if step < 3 else "late"] * 3
    writer.add_embedding(np.full((3, 2), step + 0.5), labels, tag="embed", global_step=step)


def told_of_embeddings(told: list[warnings.WarningMessage]) -> list[str]:
    """Return the warnings, without those about the event file."""
    texts = [str(each.message) for each in told]
    return [text for text in texts if "expected the event file" not in text]


def assert_complete(run: Path) -> None:
    """Every file that is listed is there, and TensorBoard can find the run and its update."""
    for info in config(run).embeddings:
        for path in filter(None, (info.tensor_path, info.metadata_path)):
            assert (run / path).is_file()
    found = runs(run.parent)
    assert run.name in found
    assert 1 == len([each for each in found if each.startswith(f"{run.name}/projector/update-")])


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("scalars", [False, True], ids=["alone", "with scalars"])
def test_later_embeddings_are_listed(
    tmp_path: Path, lose: Callable[[Path], None], scalars: bool
) -> None:
    """What is logged after files went away is listed, with what is still there; one warning tells.

    Catches: a list that names files which are gone, with which the projector shows nothing; and
    everything that is logged from then on, which is lost without a word.
    """
    run = tmp_path / "runs" / "a"
    message, kept = LOSSES[lose]
    with SummaryWriter(run, flush_secs=1000) as writer:
        for step in range(3):
            log(writer, step)
            writer.flush()
            if not step:
                shutil.copytree(run, run.with_name("older"))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            lose(run)
            for step in range(3, 6):
                log(writer, step)
                if scalars:
                    writer.add_scalar("a", 0.5, step)
                writer.flush()
            writer.flush(sync=scalars)
        texts = told_of_embeddings(told)

        assert [f"embed:{step:05d}" for step in sorted({*kept, 3, 4, 5})] == names(run)
        assert_complete(run)
    assert (0 if message is None else 1) == len(texts), texts
    for text in texts:
        assert message is not None
        assert re.search(message, text), text
        assert str(run) in text


def test_what_is_gone_is_unlisted_without_a_new_embedding(tmp_path: Path) -> None:
    """A flush takes files off the list that are gone, also when nothing is logged any more.

    Catches: a training that ends and leaves a list with which the projector shows no run at all.
    """
    with SummaryWriter(tmp_path / "a", flush_secs=1000) as writer:
        for step in range(3):
            log(writer, step)
        writer.flush()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            remove_one_matrix(tmp_path / "a")
            writer.flush()
            writer.flush()
        (text,) = told_of_embeddings(told)

        assert "but some were removed" in text
        assert ["embed:00000", "embed:00002"] == names(tmp_path / "a")


def test_a_removal_is_not_disturbed(run_dir: Path) -> None:
    """While a user's `rm -r` is at work, the background thread makes no file, and says nothing.

    Catches: an `rm -r` that fails, because a directory which it has emptied is not empty.
    """
    queue = queue_of(run_dir)
    add(queue, step=0)
    queue.flush()
    shutil.rmtree(run_dir / "projector")
    before = sorted(run_dir.iterdir())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        queue.drain_in_background()

    assert before == sorted(run_dir.iterdir())
    assert ["embed:00000"] == names(run_dir)


def test_a_run_that_was_removed_stays_removed(tmp_path: Path) -> None:
    """Where nothing is logged any more, `flush` and `close` make nothing again, and say nothing."""
    writer = SummaryWriter(tmp_path / "a", flush_secs=1000)
    log(writer, 0)
    writer.flush()
    remove(tmp_path / "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer.flush()
        writer.close()

    assert [] == list(tmp_path.iterdir())


def test_a_list_of_others_stays(tmp_path: Path) -> None:
    """Entries of another tool whose files are gone are not ours to take off the list."""
    run = tmp_path / "a"
    run.mkdir()
    (run / CONFIG).write_text('embeddings { tensor_name: "theirs" tensor_path: "gone.tsv" }\n')
    with SummaryWriter(run, flush_secs=1000) as writer:
        log(writer, 0)

    assert ["theirs", "embed:00000"] == names(run)


def test_a_name_is_not_given_again(tmp_path: Path) -> None:
    """A step that is logged again after the loss gets a new name.

    TensorBoard caches matrices by name, so that it would show the lost one.
    """
    with SummaryWriter(tmp_path / "a", flush_secs=1000) as writer:
        log(writer, 0)
        log(writer, 1)
        writer.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            remove(tmp_path / "a")
            log(writer, 0)
            writer.flush()

    assert ["embed:00000 (2)"] == names(tmp_path / "a")


@pytest.mark.parametrize("at", [".bytes", ".tsv", ".pbtxt"])
def test_a_removal_in_the_middle_of_a_write(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A write whose directory is removed meanwhile is tried again, and `flush` does not raise."""
    queue = queue_of(run_dir)
    add(queue, step=0)
    queue.flush()
    original = EmbeddingFiles._write_file
    left = [1]

    def removing(self: EmbeddingFiles, path: Path, pieces: Any) -> None:
        if path.suffix == at and left:
            left.clear()
            remove(run_dir)
        original(self, path, pieces)

    monkeypatch.setattr(EmbeddingFiles, "_write_file", removing)
    add(queue, step=1, metadata=["a"] * len(FLOATS))
    with pytest.warns(EventWriterWarning, match="but it was removed"):
        queue.flush()

    assert not left
    assert ["embed:00001"] == names(run_dir)
    assert_complete(run_dir)


def test_a_directory_that_cannot_be_made_again(tmp_path: Path) -> None:
    """Where the directory cannot be made, embeddings wait, as with a full disk, until it can be."""
    run = tmp_path / "runs" / "a"
    writer = SummaryWriter(run, flush_secs=1000)
    log(writer, 0)
    writer.flush()
    remove(run.parent)
    run.parent.write_text("a file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the background thread may have been first
        log(writer, 1)
        with pytest.raises(WriteError, match="tried again: 1") as caught:
            writer.flush()
        assert 1 == caught.value.pending
        run.parent.unlink()
        writer.close()

    assert ["embed:00001"] == names(run)


def test_the_event_file_goes_on_beside(tmp_path: Path) -> None:
    """Scalars that follow a removal are in one event file, which sorts after all of the run."""
    run = tmp_path / "a"
    with SummaryWriter(run, flush_secs=1000) as writer:
        writer.add_scalar("a", 0.5, 0)
        log(writer, 0)
        writer.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            remove(run)
            log(writer, 1)
            writer.flush()
            writer.add_scalar("a", 0.5, 1)
            writer.flush()
    last = max(run.glob("events.out.tfevents.*"))

    assert [("a", 1)] == points(last)
