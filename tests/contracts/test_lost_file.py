"""The event file goes away while a writer is open: nothing after that is lost, and it is told."""

from __future__ import annotations

import os
import shutil
import warnings
from typing import TYPE_CHECKING

import pytest

from eventwriter import SummaryWriter
from eventwriter.errors import EventWriterWarning
from tests.helpers import children
from tests.helpers.scanner import event_file, events, points

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def remove(path: Path) -> None:
    path.unlink()


def remove_the_run(path: Path) -> None:
    shutil.rmtree(path.parent)


def make_the_run_again(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.mkdir()


def remove_all_runs(path: Path) -> None:
    shutil.rmtree(path.parent.parent)


def move_the_run(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(20)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"of somebody else")


LOSSES = {
    remove: "it was removed",
    remove_the_run: "it was removed",
    make_the_run_again: "it was removed",
    remove_all_runs: "it was removed",
    move_the_run: "it was removed",
    replace: "another file is in its place",
    cut: "it was cut to 20 bytes",
    empty: "it was cut to 0 bytes",
    append: "somebody else has written to it",
}


@pytest.mark.parametrize("lose", LOSSES)
def test_a_new_file_goes_on(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """What is logged after the file went away is in a new file of the run; one warning tells it.

    Catches: everything that is logged from then on, which is lost without a word.
    """
    run = tmp_path / "runs" / "a"
    writer = SummaryWriter(run, flush_secs=1000)
    for step in range(5):
        writer.add_scalar("before", 0.5, step)
    writer.flush()
    old = event_file(run)

    def lose_and_log() -> None:
        lose(old)
        for step in range(5):
            writer.add_scalar("after", 0.5, step)
            writer.add_histogram("after/histograms", [0.5], step)
        writer.flush()

    # Whichever thread meets the loss warns. It may be the background thread.
    with pytest.warns(EventWriterWarning, match=rf"{LOSSES[lose]}.* held 5 records") as told:
        lose_and_log()
    writer.add_scalar("after", 0.5, 5)
    writer.close()
    (new,) = [path for path in run.glob("events.out.tfevents.*") if path.name != old.name]

    assert 1 == len(told)
    assert new.name in str(told[0].message)
    expected = [("after", step) for step in range(5) for _ in range(2)] + [("after", 5)]
    assert expected == points(new)
    assert new.name > old.name


def test_a_second_loss(tmp_path: Path) -> None:
    """Each time that the file goes away there is a new file, and a warning."""
    writer = SummaryWriter(tmp_path / "a", flush_secs=1000)
    writer.add_scalar("a", 0.5, 0)
    writer.flush()

    def lose_and_log(step: int) -> None:
        event_file(tmp_path / "a").unlink()
        writer.add_scalar("a", 0.5, step)
        writer.flush()

    for step in (1, 2):
        with pytest.warns(EventWriterWarning, match="it was removed"):
            lose_and_log(step)

        assert [("a", step)] == points(event_file(tmp_path / "a"))
    event_file(tmp_path / "a").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer.close()  # nothing was logged since


def give_to(path: Path, fd: int) -> int:
    """Make a descriptor that of a new file: the system gives the number away after a close.

    In one call, since another thread could get the number in between.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(opened, fd)
    os.close(opened)
    return fd


@pytest.mark.parametrize("how", ["closed", "given to another file"])
def test_a_descriptor_that_somebody_closed(tmp_path: Path, how: str) -> None:
    """Where a program closes our descriptor, we open the file again, and write to no other file.

    Catches: event records in a user's own file, which the system gave our descriptor's number.
    """
    writer = SummaryWriter(tmp_path / "run", flush_secs=1000)
    writer.add_scalar("a", 0.5, 0)
    writer.flush()
    path = event_file(tmp_path / "run")
    fd = children.descriptor(path)
    other = tmp_path / "model.bin"
    theirs = None
    if how == "given to another file":
        theirs = give_to(other, fd)
        os.write(theirs, b"weights")
    else:
        os.close(fd)
    for step in range(1, 5):
        writer.add_scalar("a", 0.5, step)
    writer.flush()
    writer.close()

    assert [("a", step) for step in range(5)] == points(path)
    if theirs is not None:
        os.write(theirs, b" and biases")  # it is still open
        os.close(theirs)

        assert b"weights and biases" == other.read_bytes()


def test_a_descriptor_that_is_another_files_at_the_close(tmp_path: Path) -> None:
    """`close` closes no descriptor that belongs to somebody else by now."""
    writer = SummaryWriter(tmp_path / "run", flush_secs=1000)
    writer.add_scalar("a", 0.5, 0)
    writer.flush()
    fd = children.descriptor(event_file(tmp_path / "run"))
    theirs = give_to(tmp_path / "model.bin", fd)
    writer.close()
    os.write(theirs, b"weights")
    os.close(theirs)

    assert 1 == len(events(event_file(tmp_path / "run")))


def test_a_directory_that_cannot_be_made_again(tmp_path: Path) -> None:
    """Where no new file can be made, records wait, as with a full disk, until one can be."""
    run = tmp_path / "runs" / "a"
    writer = SummaryWriter(run, flush_secs=1000)
    writer.flush()
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "runs").write_text("a file")
    writer.add_scalar("a", 0.5, 0)
    with pytest.raises(OSError, match="tried again: 1"):
        writer.flush()

    def make_room() -> None:
        (tmp_path / "runs").unlink()
        writer.flush()

    with pytest.warns(EventWriterWarning, match="it was removed"):
        make_room()
    writer.close()

    assert [("a", 0)] == points(event_file(run))


def test_a_sync_after_the_run_was_removed(tmp_path: Path) -> None:
    """A sync with nothing to write passes over a directory that is gone. The next record is kept.

    Catches: an error about a directory that the user removed, with no record lost since.
    """
    writer = SummaryWriter(tmp_path / "run", flush_secs=1000)
    writer.add_scalar("a", 0.5, 0)
    writer.flush()
    shutil.rmtree(tmp_path / "run")
    writer.flush(sync=True)

    def log_and_sync() -> None:
        writer.add_scalar("a", 0.5, 1)
        writer.flush(sync=True)

    with pytest.warns(EventWriterWarning, match="it was removed"):
        log_and_sync()
    writer.close()

    assert [("a", 1)] == points(event_file(tmp_path / "run"))
