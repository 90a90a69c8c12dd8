"""Training that goes on where it was interrupted."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eventwriter.callbacks import BackupAndRestore, Callback, Loop
from eventwriter.errors import ArgumentValueError, EventWriterWarning
from eventwriter.training.training import Training
from tests.helpers.trainings import umask as set_umask

WEIGHTS = {"a": np.zeros(3)}


def run(callback: BackupAndRestore, fail_at: int = 99, batches: int = 2) -> list[tuple[int, int]]:
    """Train four epochs that count their batches; return (epoch, count before it)."""
    weights = {"batches": np.zeros((), np.int64)}
    seen = []
    try:
        with Loop(weights, [callback], 4) as loop:
            for epoch in loop:
                seen.append((epoch, int(weights["batches"])))
                for batch in loop.batches(range(batches)):
                    if epoch * batches + batch == fail_at:
                        raise KeyboardInterrupt
                    weights["batches"] += 1
    except KeyboardInterrupt:
        pass
    return seen


def test_goes_on(tmp_path: Path) -> None:
    """After an interrupt, training begins with the epoch that was interrupted, and its weights."""
    directory = tmp_path / "backup"
    assert [(0, 0), (1, 2), (2, 4)] == run(BackupAndRestore(directory), fail_at=5)
    assert {"epoch": 2, "batch": 0} == json.loads(
        (directory / "training_metadata.json").read_text()
    )

    assert [(2, 4), (3, 6)] == run(BackupAndRestore(directory))
    assert not directory.exists()  # training ended well


def test_every_few_batches(tmp_path: Path) -> None:
    """A backup within an epoch begins that epoch again, with the weights of the backup."""
    run(BackupAndRestore(tmp_path, save_freq=3), fail_at=5)

    assert [(1, 3), (2, 5), (3, 7)] == run(BackupAndRestore(tmp_path, save_freq=3))


@pytest.mark.parametrize("own_steps", [True, False])
def test_every_few_batches_of_several_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_steps: bool
) -> None:
    """Batches are counted, and not the user's own steps; also where one call trains several."""
    saved: list[int] = []
    monkeypatch.setattr(BackupAndRestore, "_back_up", lambda *place: saved.append(place[2]))
    training = Training({"a": np.zeros(2)}, [BackupAndRestore(tmp_path, save_freq=4)])
    training.begin()
    training.epoch_begin(0)
    for call in range(4):
        if own_steps:
            training.step += 7
        training.batch_end(3 * call + 2, {}, batches=3)
    training.end("left")

    assert [5, 11] == saved


def test_kept_if_asked_for(tmp_path: Path) -> None:
    """The directory stays where `delete_checkpoint` is off."""
    run(BackupAndRestore(tmp_path, delete_checkpoint=False))

    assert {"latest.npz", "training_metadata.json"} == {path.name for path in tmp_path.iterdir()}


def test_damaged_backup(tmp_path: Path) -> None:
    """Of two backups the older is taken where the newer cannot be read, with a warning."""
    run(BackupAndRestore(tmp_path, double_checkpoint=True), fail_at=7)
    (tmp_path / "latest.npz").write_bytes(b"torn")

    with pytest.warns(EventWriterWarning, match=r"latest\.npz cannot be read"):
        assert (2, 4) == run(BackupAndRestore(tmp_path, double_checkpoint=True))[0]


def test_damaged_single_backup(tmp_path: Path) -> None:
    """Without another, training begins at the beginning, with a warning."""
    run(BackupAndRestore(tmp_path), fail_at=5)
    (tmp_path / "latest.npz").write_bytes(b"torn")

    with pytest.warns(EventWriterWarning, match="cannot be read"):
        assert (0, 0) == run(BackupAndRestore(tmp_path))[0]


def test_foreign_files_survive(tmp_path: Path) -> None:
    """Only the backup is removed, and not the directory that holds other files."""
    foreign = ["latest_notes.txt", "training_metadata.json.txt", ".0123456789abcdef.tmp", "new.npz"]
    for name in foreign:
        (tmp_path / name).write_text("mine")
    (tmp_path / "sub").mkdir()

    run(BackupAndRestore(tmp_path, double_checkpoint=True), fail_at=5)
    assert [(2, 4), (3, 6)] == run(BackupAndRestore(tmp_path, double_checkpoint=True))
    assert sorted([*foreign, "sub"]) == sorted(path.name for path in tmp_path.iterdir())
    assert all("mine" == (tmp_path / name).read_text() for name in foreign)


def test_directory_that_gets_other_files(tmp_path: Path) -> None:
    """A directory that the callback has made stays if a file of the user has come into it."""
    directory = tmp_path / "backup"
    run(BackupAndRestore(directory), fail_at=5)
    (directory / "notes.txt").write_text("mine")

    run(BackupAndRestore(directory))
    assert ["notes.txt"] == [path.name for path in directory.iterdir()]


def test_temporary_files_of_a_killed_training(tmp_path: Path) -> None:
    """A kill in the middle of saving leaves temporary files: they go with the backup."""
    directory = tmp_path / "backup"
    run(BackupAndRestore(directory), fail_at=5)
    for name in (".0123456789abcdef.tmp.npz", ".0123456789abcdef.tmp.tmp.npz"):
        (directory / name).write_text("torn")
    (directory / ".0123456789abcdef.tmp.json").write_text("torn")

    run(BackupAndRestore(directory))
    assert not directory.exists()


@pytest.mark.parametrize("place", ["model", "metadata"])
def test_save_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """A full disk while a backup is saved leaves the earlier one whole, and nothing beside it."""
    callback = BackupAndRestore(tmp_path, double_checkpoint=True)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    class FullDisk(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            if epoch == 2 and place == "model":
                monkeypatch.setattr(self.view, "save", refuse)
            elif epoch == 2:
                monkeypatch.setattr(Path, "write_text", refuse)

    with (
        pytest.raises(OSError, match="No space left"),
        Loop(WEIGHTS, [FullDisk(), callback], 4) as loop,
    ):
        list(loop)

    monkeypatch.undo()
    names = {"latest.npz", "latest.bkp.npz", "training_metadata.json", "training_metadata.json.bkp"}
    assert names == {path.name for path in tmp_path.iterdir()}
    assert 2 == json.loads((tmp_path / "training_metadata.json").read_text())["epoch"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_mode(tmp_path: Path, umask: int, mode: int) -> None:
    """Files have the mode that the user asks for by the umask."""
    with set_umask(umask):
        run(BackupAndRestore(tmp_path, double_checkpoint=True), fail_at=7)

    assert 4 == len(list(tmp_path.iterdir()))
    assert {mode} == {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}


@pytest.mark.parametrize("save_freq", [False, True, 0, "batch"])
def test_save_freq(save_freq: Any) -> None:
    """Anything but "epoch" or a count is refused at once."""
    with pytest.raises(ArgumentValueError, match="save_freq"):
        BackupAndRestore("a", save_freq=save_freq)
