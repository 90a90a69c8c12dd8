"""The model that was trained is the model that is saved, in every framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from eventwriter.callbacks import (
    BackupAndRestore,
    EarlyStopping,
    Loop,
    ModelCheckpoint,
    TensorBoard,
)
from tests.frameworks.integrations.savers import SAVERS, Saver, load_and_go_on
from tests.helpers import children
from tests.helpers.runs import steps

if TYPE_CHECKING:
    from pathlib import Path


# What no view can tell without validation data.
SHOWN = {"write_gradients": False, "write_activations": False, "write_graph": False}


class Predictions(NamedTuple):
    """What a model predicts when it is saved, and three steps later."""

    saved: Any
    later: Any


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Predictions]]:
    """Files of trained models; a new process has loaded all of them, which takes it a while."""
    directory = tmp_path_factory.mktemp("models")
    predictions = {}
    for name, make in SAVERS.items():
        saver = make(0)
        for _ in range(3):
            saver.train()
        saver.view.save(str(directory / f"{name}{saver.view.suffix(False)}"), False)
        saved = np.array(saver.predict())
        for _ in range(3):
            saver.train()
        predictions[name] = Predictions(saved, np.array(saver.predict()))
    children.run(load_and_go_on, str(directory))
    return directory, predictions


@pytest.mark.parametrize("name", SAVERS)
def test_a_new_process_goes_on(name: str, files: tuple[Path, dict[str, Predictions]]) -> None:
    """A new model in a new process that loads the file predicts the same, and so does its training.

    Catches: files without the statistics of BatchNorm, and without the state of the optimizer; and
    torch's files whose names carried `_orig_mod` and `module`.
    """
    directory, predictions = files

    assert not np.allclose(predictions[name].saved, SAVERS[name](1).predict(), atol=0.1)
    with np.load(directory / f"{name} loaded.npz") as found:
        assert np.allclose(predictions[name].saved, found["loaded"], atol=1e-4)
        assert np.allclose(predictions[name].later, found["later"], atol=1e-3)


@pytest.mark.parametrize("name", SAVERS)
def test_training(name: str, tmp_path: Path) -> None:
    """The best model is what is saved, and what is put back at the end; and no warning comes.

    Catches: a best model whose statistics of BatchNorm were those of the last epoch.
    """
    saver, other = SAVERS[name](0), SAVERS[name](1)
    losses = [3.0, 1.0, 2.0]
    best: list[Any] = []
    callbacks = [
        TensorBoard(tmp_path / "log", histogram_freq=1, **SHOWN),
        ModelCheckpoint(tmp_path / "best", "loss", save_best_only=True),
        EarlyStopping("loss", patience=9, restore_best_weights=True),
    ]
    with Loop(None, callbacks, 3, view=saver.view) as loop:
        for epoch in loop:
            for _ in loop.batches(range(2)):
                saver.train()
                loop.log(loss=losses[epoch])
            best.append(np.array(saver.predict()))
    other.view.load(str(tmp_path / f"best{saver.view.suffix(False)}"))

    assert [0, 1, 2] == steps(tmp_path / "log")["train:epoch/loss"]
    assert not np.allclose(best[1], best[2], atol=1e-3)
    assert np.allclose(best[1], saver.predict(), atol=1e-4)
    assert np.allclose(best[1], other.predict(), atol=1e-4)


class Interrupted(Exception):  # noqa: N818 - no error of anybody
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("name", SAVERS)
def test_interrupted_training(name: str, tmp_path: Path) -> None:
    """It goes on in a new model as it would have, and puts back the best one of all its epochs."""
    losses = [3.0, 1.0, 2.0, 2.5]
    seen: list[list[Any]] = []

    def train(saver: Saver, directory: Path, fail_at: int | None = None) -> None:
        seen.append([])
        callbacks = [
            BackupAndRestore(directory),
            EarlyStopping("loss", patience=9, restore_best_weights=True),
        ]
        with Loop(None, callbacks, 4, view=saver.view) as loop:
            for epoch in loop:
                if epoch == fail_at:
                    raise Interrupted
                saver.train()
                seen[-1].append(np.array(saver.predict()))
                loop.log(loss=losses[epoch])

    whole, first, second = SAVERS[name](0), SAVERS[name](0), SAVERS[name](1)
    train(whole, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(first, tmp_path / "parts", 3)
    train(second, tmp_path / "parts")

    assert [4, 3, 1] == [len(each) for each in seen]
    assert np.allclose(seen[0][3], seen[2][0], atol=1e-3)
    assert not np.allclose(seen[0][1], seen[0][3], atol=0.01)
    assert np.allclose(seen[0][1], second.predict(), atol=1e-4)
    assert np.allclose(seen[0][1], whole.predict(), atol=1e-4)
