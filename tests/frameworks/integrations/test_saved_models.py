"""The model that was trained is the model that is saved, in every framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from tests.frameworks.integrations.savers import SAVERS, load_and_go_on
from tests.helpers import children

if TYPE_CHECKING:
    from pathlib import Path


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
def test_a_state_is_the_whole_model(name: str) -> None:
    """What `set_state` puts back predicts the same: EarlyStopping's best model."""
    saver = SAVERS[name](0)
    for _ in range(3):
        saver.train()
    state, before = saver.view.get_state(), np.array(saver.predict())
    for _ in range(3):
        saver.train()
    after = np.array(saver.predict())
    saver.view.set_state(state)

    assert not np.allclose(before, after, atol=1e-3)
    assert np.allclose(before, saver.predict(), atol=1e-5)
