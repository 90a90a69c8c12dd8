"""Equinox, whose modules cannot be changed: `JaxView` has the one of now, and its optimizer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax

from eventwriter.callbacks import Loop, ModelCheckpoint, TensorBoard
from eventwriter.integrations.jax import JaxView
from tests.trainings.data import moons

ADAM = optax.adam(0.02)


def loss_of(model: eqx.nn.MLP, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean cross entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()


@eqx.filter_jit
def step(model: eqx.nn.MLP, adam: Any, x: jax.Array, y: jax.Array) -> tuple[Any, ...]:
    """Take one step. Return the new model, the new state of Adam, the loss and the gradients."""
    loss, gradients = eqx.filter_value_and_grad(loss_of)(model, x, y)
    updates, adam = ADAM.update(gradients, adam)
    return eqx.apply_updates(model, updates), adam, loss, gradients


def main(log_dir: Path) -> None:
    """Train for five epochs."""
    x_train, y_train, x_val, y_val = moons()
    rng = np.random.default_rng(0)
    model = eqx.nn.MLP(2, 2, width_size=32, depth=1, key=jax.random.key(0))
    adam = ADAM.init(eqx.filter(model, eqx.is_array))

    view = JaxView(get=lambda: (model, adam), apply=lambda both, x: jax.vmap(both[0])(x))
    callbacks = [TensorBoard(log_dir, histogram_freq=1), ModelCheckpoint(log_dir / "{epoch}")]
    with Loop(None, callbacks, epochs=5, view=view, validation_data=(x_val, y_val)) as loop:
        for _ in loop:
            for rows in loop.batches(rng.permutation(len(x_train)).reshape(-1, 32)):
                model, adam, loss, gradients = step(model, adam, x_train[rows], y_train[rows])
                loop.record_gradients(gradients)
                loop.log(loss=loss)
            loop.log(val_loss=loss_of(model, x_val, y_val))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
