"""An error of a callback that only records does not end the training of any framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import keras
import numpy as np
import pytest
import torch
from flax import nnx

from eventwriter.callbacks import ActivationLogger, Callback, Loop, Recorder, TensorBoard
from eventwriter.errors import EventWriterWarning
from eventwriter.integrations import keras as for_keras
from tests.frameworks.integrations.adapters import ADAPTERS, X, Y
from tests.helpers.runs import steps

if TYPE_CHECKING:
    from pathlib import Path

WRONG = (np.ones((8, 9), np.float32), np.ones(8, np.float32))
"""Validation data with nine columns, where the models take four."""


class Broken(Recorder):
    """Raises in each hook that comes within or after a training."""

    def _fail(self, *_: Any) -> None:
        raise RuntimeError("own words")

    on_epoch_begin = on_train_batch_end = on_test_end = on_epoch_end = on_train_end = _fail
    close = _fail


class Ends(Callback):
    """Notes how training ended."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.seen.append(epoch)

    def close(self, status: str) -> None:
        self.seen.append(status)


@pytest.mark.parametrize("name", ADAPTERS)
def test_recorder_that_fails(name: str) -> None:
    """Each hook that fails is told once, and the training ends well."""
    ends = Ends()
    with pytest.warns(EventWriterWarning, match="Broken: a part of .* own words") as told:
        ADAPTERS[name].train([Broken(), ends], 3)

    assert [0, 1, 2, "finished"] == ends.seen
    messages = [str(each.message) for each in told if "Broken" in str(each.message)]
    assert len(set(messages)) == len(messages) >= 5


def train_torch(callbacks: list[Any]) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Linear(2, 1))
    with Loop(model, callbacks, 2, validation_data=WRONG) as loop:
        for _ in loop:
            for _ in loop.batches([0]):
                loss = ((model(torch.from_numpy(X))[:, 0] - torch.from_numpy(Y)) ** 2).mean()
                loss.backward()
                loop.log(loss=loss)


def train_keras(callbacks: list[Any]) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    ours = for_keras.Callbacks(callbacks, validation_data=WRONG)
    model.fit(X, Y, epochs=2, callbacks=[ours], verbose=0)


def train_nnx(callbacks: list[Any]) -> None:
    model = nnx.Linear(4, 1, rngs=nnx.Rngs(0))
    with Loop(model, callbacks, 2, validation_data=WRONG) as loop:
        for _ in loop:
            loss, gradients = nnx.value_and_grad(lambda net: ((net(X)[:, 0] - Y) ** 2).mean())(
                model
            )
            loop.record_gradients(gradients)
            params = nnx.state(model, nnx.Param)
            nnx.update(model, jax.tree.map(lambda w, g: w - 0.1 * g, params, gradients))
            loop.log(loss=loss)


@pytest.mark.filterwarnings("ignore:.*without inputs, the graph has no shapes")
@pytest.mark.parametrize("train", [train_torch, train_keras, train_nnx])
def test_data_that_the_model_does_not_take(tmp_path: Path, train: Any) -> None:
    """One warning, before the training; weights, metrics and graph are recorded."""
    ends = Ends()
    log = TensorBoard(tmp_path, histogram_freq=1)
    with pytest.warns(EventWriterWarning, match="TensorBoard: activations of .* because of") as (
        told
    ):
        train([log, ends])

    assert [0, 1, "finished"] == ends.seen
    assert 1 == sum("could not be recorded" in str(each.message) for each in told)
    found = steps(tmp_path)
    assert train is train_nnx or [0] == found["train:graph"]  # JAX traces a graph with its inputs
    assert [0, 1] == found["train:epoch/loss"]
    assert [[0, 1]] * 2 <= [each for tag, each in found.items() if "weights/" in tag]


@pytest.mark.parametrize("train", [train_torch, train_keras, train_nnx])
def test_activations_alone(tmp_path: Path, train: Any) -> None:
    """The callback that saves only activations is told of, and training goes on."""
    ends = Ends()
    with pytest.warns(EventWriterWarning, match="ActivationLogger: activations of .* because of"):
        train([ActivationLogger(tmp_path), ends])

    assert [0, 1, "finished"] == ends.seen
