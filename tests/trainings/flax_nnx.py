"""Flax NNX, whose modules training changes in place: they are given to `Loop` as they are."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import numpy as np
import optax
from flax import nnx

from eventwriter.callbacks import Loop, ModelCheckpoint, TensorBoard
from tests.trainings.data import moons


class Network(nnx.Module):
    """Points `[n, 2]` -> the scores of two classes `[n, 2]`."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(2, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.scores = nnx.Linear(32, 2, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the scores."""
        return self.scores(jax.nn.relu(self.norm(self.hidden(x))))


def loss_of(model: Network, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean cross entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()


@nnx.jit
def step(
    model: Network, optimizer: nnx.Optimizer, x: jax.Array, y: jax.Array
) -> tuple[jax.Array, nnx.State]:
    """Take one step. Return the loss and the gradients."""
    loss, gradients = nnx.value_and_grad(loss_of)(model, x, y)
    optimizer.update(model, gradients)
    return loss, gradients


def main(log_dir: Path) -> None:
    """Train for five epochs."""
    x_train, y_train, x_val, y_val = moons()
    rng = np.random.default_rng(0)
    model = Network(nnx.Rngs(0))
    adam = optax.inject_hyperparams(optax.adam)(learning_rate=0.02)
    optimizer = nnx.Optimizer(model, adam, wrt=nnx.Param)
    callbacks = [TensorBoard(log_dir, histogram_freq=1), ModelCheckpoint(log_dir / "{epoch}")]
    validation = (x_val, y_val)
    with Loop(model, callbacks, 5, optimizer=optimizer, validation_data=validation) as loop:
        for _ in loop:
            model.train()
            for rows in loop.batches(rng.permutation(len(x_train)).reshape(-1, 32)):
                loss, gradients = step(model, optimizer, x_train[rows], y_train[rows])
                loop.record_gradients(gradients)
                loop.log(loss=loss)
            model.eval()
            loop.log(val_loss=loss_of(model, x_val, y_val))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
