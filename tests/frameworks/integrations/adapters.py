"""Small real trainings, one an adapter: what the contract of all of them is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import lightgbm
import numpy as np
import torch
import xgboost
from sklearn.linear_model import SGDClassifier

from eventwriter.callbacks import Loop
from eventwriter.integrations import keras as for_keras
from eventwriter.integrations import lightgbm as for_lightgbm
from eventwriter.integrations import xgboost as for_xgboost
from eventwriter.integrations.jax import JaxView

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype(np.float32)
Y = (X.sum(1) > 0).astype(np.float32)
DATA = (X[:16], Y[:16])
"""Whether an estimator of scikit-learn can be saved. Without skops its view names the extra."""


class Adapter(NamedTuple):
    """One framework's training.

    Attributes:
        train: Trains so many epochs with callbacks.
        metric: What its loss is called.
    """

    train: Callable[[list[Any], int], None]
    metric: str


def train_numpy(callbacks: list[Any], epochs: int) -> None:
    weights = {"w": np.zeros(4)}
    with Loop(weights, callbacks, epochs, optimizer={"learning_rate": 0.1}) as loop:
        for _ in loop:
            for _ in loop.batches([0]):
                error = X @ weights["w"] - Y
                weights["w"] -= 0.1 * X.T @ error / len(X)
                loop.log(loss=(error**2).mean())
            loop.log(val_loss=((DATA[0] @ weights["w"] - DATA[1]) ** 2).mean())


def train_torch(callbacks: list[Any], epochs: int) -> None:
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    with Loop(model, callbacks, epochs, optimizer=optimizer, validation_data=DATA) as loop:
        for _ in loop:
            for _ in loop.batches([0]):
                loss = ((model(x)[:, 0] - y) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss)
            with torch.no_grad():
                loop.log(val_loss=((model(x)[:, 0] - y) ** 2).mean())


def train_jax(callbacks: list[Any], epochs: int) -> None:
    params = {"dense": {"kernel": jnp.zeros(4)}}

    def loss_of(params: Any) -> Any:
        return jnp.mean((X @ params["dense"]["kernel"] - Y) ** 2)

    view = JaxView(get=lambda: params, optimizer={"learning_rate": 0.1})
    with Loop(None, callbacks, epochs, view=view) as loop:
        for _ in loop:
            for _ in loop.batches([0]):
                loss, gradients = jax.value_and_grad(loss_of)(params)
                params = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients)
                loop.record_gradients(gradients)
                loop.log(loss=loss)
            loop.log(val_loss=loss_of(params))


def train_keras(callbacks: list[Any], epochs: int) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with for_keras.Callbacks(callbacks, validation_data=DATA) as ours:
        model.fit(
            X, Y, batch_size=64, epochs=epochs, validation_data=DATA, callbacks=[ours], verbose=0
        )


def train_xgboost(callbacks: list[Any], epochs: int) -> None:
    train, valid = xgboost.DMatrix(X, Y), xgboost.DMatrix(*DATA)
    params = {"objective": "binary:logistic", "eval_metric": "logloss", "nthread": 1}
    with for_xgboost.Callbacks(callbacks) as ours:
        xgboost.train(
            params,
            train,
            epochs,
            evals=[(train, "train"), (valid, "valid")],
            callbacks=[ours],
            verbose_eval=False,
        )


def train_lightgbm(callbacks: list[Any], epochs: int) -> None:
    train = lightgbm.Dataset(X, Y)
    params = {"objective": "binary", "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 2}
    with for_lightgbm.Callbacks(callbacks) as ours:
        lightgbm.train(
            params,
            train,
            epochs,
            valid_sets=[train, lightgbm.Dataset(*DATA, reference=train)],
            valid_names=["train", "valid"],
            callbacks=[ours],
        )


def train_sklearn(callbacks: list[Any], epochs: int) -> None:
    model = SGDClassifier(loss="log_loss", random_state=0)
    with Loop(model, callbacks, epochs) as loop:
        for _ in loop:
            for _ in loop.batches([0]):
                model.partial_fit(X, Y, classes=[0, 1])
                loop.log(loss=1 - model.score(X, Y))
            loop.log(val_loss=1 - model.score(*DATA))


ADAPTERS = {
    "numpy": Adapter(train_numpy, "loss"),
    "torch": Adapter(train_torch, "loss"),
    "jax": Adapter(train_jax, "loss"),
    "keras": Adapter(train_keras, "loss"),
    "xgboost": Adapter(train_xgboost, "logloss"),
    "lightgbm": Adapter(train_lightgbm, "binary_logloss"),
    "sklearn": Adapter(train_sklearn, "loss"),
}
