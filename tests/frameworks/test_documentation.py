"""Every example about a framework, in the documents and in docstrings, is run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import equinox
import flax.linen
import flax.nnx
import jax
import keras
import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression

from eventwriter import callbacks
from tests.helpers import documentation

if TYPE_CHECKING:
    from pathlib import Path

X = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int32)


def _jax() -> dict[str, Any]:
    def predict(params: dict[str, Any], x: Any) -> Any:
        return x @ params["embed/table"]

    def init(key: Any) -> dict[str, Any]:
        return {"embed/table": jax.random.normal(key, (4, 8))}

    key = jax.random.key(0)
    return {
        "jax": jax,
        "nn": flax.linen,
        "nnx": flax.nnx,
        "eqx": equinox,
        "key": key,
        "rngs": flax.nnx.Rngs(0),
        "model": equinox.nn.Linear(4, 8, key=key),
        "x": jax.numpy.asarray(X),
        "init": init,
        "predict": predict,
        "params": init(key),
        "build_graph": importlib.import_module("eventwriter.integrations.jax.graph").build_graph,
    }


def _keras() -> dict[str, Any]:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Embedding(9, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    x = (X > 0).astype(np.int32)
    return {"model": model, "x": x, "y": Y, "x_val": x[:8], "y_val": Y[:8]}


def _lightgbm() -> dict[str, Any]:
    data = lightgbm.Dataset(X, Y)
    return {
        "lightgbm": lightgbm,
        "params": {"objective": "binary", "verbose": -1},
        "data": data,
        "held_out": lightgbm.Dataset(X, Y, reference=data),
    }


def _xgboost() -> dict[str, Any]:
    data = xgboost.DMatrix(X, Y)
    params = {"objective": "binary:logistic"}
    return {"xgboost": xgboost, "params": params, "data": data, "held_out": data}


def _sklearn() -> dict[str, Any]:
    return {"LogisticRegression": LogisticRegression, "x": X, "y": Y}


# What the reader of an example has; each framework's own names come on top.
NAMES = {
    "jax": _jax,
    "keras": _keras,
    "lightgbm": _lightgbm,
    "sklearn": _sklearn,
    "xgboost": _xgboost,
}


@pytest.mark.parametrize(
    "example", documentation.examples("frameworks"), ids=lambda example: example.place
)
def test_example(
    example: documentation.Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs as it stands, without a warning, and without unexplained names."""
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"eventwriter.integrations.{example.framework}")
    example.run({**vars(module), **vars(callbacks), **NAMES[example.framework]()})
