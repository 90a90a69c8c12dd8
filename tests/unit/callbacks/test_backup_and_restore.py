"""Training that goes on where it was interrupted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter.callbacks import BackupAndRestore, Loop
from eventwriter.errors import ArgumentValueError, EventWriterWarning

if TYPE_CHECKING:
    from pathlib import Path


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
    """A backup within an epoch begins that epoch anew, with the weights of the backup."""
    run(BackupAndRestore(tmp_path, save_freq=3), fail_at=5)

    assert [(1, 3), (2, 5), (3, 7)] == run(BackupAndRestore(tmp_path, save_freq=3))


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


@pytest.mark.parametrize("save_freq", [False, True, 0, "batch"])
def test_save_freq(save_freq: Any) -> None:
    """Anything but "epoch" or a count is refused at once."""
    with pytest.raises(ArgumentValueError, match="save_freq"):
        BackupAndRestore("a", save_freq=save_freq)
