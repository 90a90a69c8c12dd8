"""Flax Linen, with a `TrainState`: each step makes a new one, so a `JaxView` says which is new."""

from __future__ import annotations

import sys
from typing import Any

import jax
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

from eventwriter.callbacks import EarlyStopping, Loop, TensorBoard
from eventwriter.integrations.jax import JaxView
from tests.trainings.data import moons


class Network(nn.Module):
    """Points `[n, 2]` -> the scores of two classes `[n, 2]`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the scores."""
        return nn.Dense(2, name="scores")(nn.relu(nn.Dense(32, name="hidden")(x)))


def loss_of(params: Any, state: TrainState, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean cross entropy."""
    scores = state.apply_fn(params, x)
    return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()


@jax.jit
def step(state: TrainState, x: jax.Array, y: jax.Array) -> tuple[TrainState, jax.Array, Any]:
    """Take one step. Return the new state, the loss and the gradients."""
    loss, gradients = jax.value_and_grad(loss_of)(state.params, state, x, y)
    return state.apply_gradients(grads=gradients), loss, gradients


def main(log_dir: str) -> None:
    """Train for five epochs."""
    x_train, y_train, x_val, y_val = moons()
    rng = np.random.default_rng(0)
    model = Network()
    params = model.init(jax.random.key(0), x_val)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.02))

    def set_state(new: TrainState) -> None:
        nonlocal state
        state = new

    view = JaxView(get=lambda: state, set=set_state, apply=lambda s, x: s.apply_fn(s.params, x))
    callbacks = [
        TensorBoard(log_dir, histogram_freq=1),
        EarlyStopping("val_loss", patience=2, restore_best_weights=True),
    ]
    with Loop(None, callbacks, 5, view=view, validation_data=(x_val, y_val)) as loop:
        for _ in loop:
            for rows in loop.batches(rng.permutation(len(x_train)).reshape(-1, 32)):
                state, loss, gradients = step(state, x_train[rows], y_train[rows])
                loop.record_gradients(gradients)
                loop.log(loss=loss)
            loop.log(val_loss=loss_of(state.params, state, x_val, y_val))


if __name__ == "__main__":
    main(sys.argv[1])
