"""What the view of every framework holds, with a real model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import lightgbm
import numpy as np
import pytest
import torch
import xgboost
from flax import nnx
from sklearn.linear_model import LinearRegression, SGDClassifier

from eventwriter.errors import ArgumentTypeError
from eventwriter.training.find_view import view_of
from tests.frameworks.integrations.adapters import X, Y

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventwriter.callbacks import ModelView

# Keras's own, where it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def make_keras() -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def make_xgboost() -> Any:
    return xgboost.train({"nthread": 1}, xgboost.DMatrix(X, Y), 1)


def make_lightgbm() -> Any:
    params = {"num_threads": 1, "verbosity": -1, "min_data_in_leaf": 2}
    return lightgbm.train(params, lightgbm.Dataset(X, Y), 1, keep_training_booster=True)


MODELS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: {"w": np.ones(3)},
    "torch": lambda: torch.nn.Linear(4, 1),
    "jax": lambda: nnx.Linear(4, 1, rngs=nnx.Rngs(0)),
    "keras": make_keras,
    "sklearn": lambda: SGDClassifier(eta0=0.1).partial_fit(X, Y, classes=[0, 1]),
    "sklearn without a learning rate": lambda: LinearRegression().fit(X, Y),
    "xgboost": make_xgboost,
    "lightgbm": make_lightgbm,
}
CANNOT_LOAD = {"lightgbm"}
HAS_LAYERS = {"torch", "jax", "keras"}


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def view(name: str) -> ModelView:
    return view_of(MODELS[name]())


def test_every_model_has_weights(view: ModelView) -> None:
    """Arrays by name."""
    weights = view.weights()

    assert weights
    assert all(isinstance(key, str) and value.shape is not None for key, value in weights.items())


def test_activations(name: str, view: ModelView) -> None:
    """A framework whose models have layers answers; another answers None."""
    activations = view.activations(X[:2])

    assert (name in HAS_LAYERS) is (activations is not None)


def test_learning_rate(view: ModelView) -> None:
    """It can be set if, and only if, it can be told."""
    if view.get_learning_rate() is None:
        with pytest.raises(ArgumentTypeError, match="set_learning_rate"):
            view.set_learning_rate(0.25)
    else:
        view.set_learning_rate(0.25)
        assert 0.25 == view.get_learning_rate()


def test_state(name: str, view: ModelView) -> None:
    """It can be put back if, and only if, it can be told."""
    before = {key: np.array(value) for key, value in (view.weights() or {}).items()}
    state = view.get_state()
    if state is None:
        with pytest.raises(ArgumentTypeError, match="set_state"):
            view.set_state(state)
    else:
        view.set_state(state)
        after = view.weights() or {}
        assert before.keys() == after.keys()
        # LightGBM's text rounds the gains of the splits, on which no prediction depends.
        tolerance = 1e-5 if name == "lightgbm" else 0
        for key, value in before.items():
            np.testing.assert_allclose(np.array(after[key]), value, rtol=tolerance)


def test_file(name: str, view: ModelView, tmp_path: Path) -> None:
    """It can be saved if, and only if, there is a suffix; and loaded if the view says so."""
    assert (name not in CANNOT_LOAD) is view.can_load()
    suffix = view.suffix(False)
    path = tmp_path / f"model{suffix}"
    if suffix is None:
        with pytest.raises(ArgumentTypeError, match="save"):
            view.save(str(path), False)
        return
    view.save(str(path), False)
    assert [path] == list(tmp_path.iterdir())
    if view.can_load():
        before = {key: np.array(value) for key, value in (view.weights() or {}).items()}
        view.load(str(path))
        after = view.weights() or {}
        assert all(np.array_equal(before[key], np.array(after[key])) for key in before)
    else:
        with pytest.raises(ArgumentTypeError, match="load"):
            view.load(str(path))


@pytest.mark.filterwarnings("ignore:.*without inputs, the graph has no shapes")
def test_the_others(view: ModelView) -> None:
    """Every other question has an answer or None, without inputs too."""
    view.gradients(None)
    view.embeddings()
    view.graph(None)
    view.names({})
    view.close()
