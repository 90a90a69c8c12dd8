"""A network in numpy alone: dicts of arrays, which training changes in place, are the model."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from eventwriter.callbacks import Loop, NumpyView, ReduceLROnPlateau, TensorBoard
from tests.trainings.data import moons


def forward(params: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden layer `[n, 32]`, and the probability of class 1 `[n]`."""
    hidden = np.tanh(x @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    scores = hidden @ params["score"]["kernel"] + params["score"]["bias"]
    return hidden, 1 / (1 + np.exp(-scores[:, 0]))


def loss_of(share: np.ndarray, y: np.ndarray) -> float:
    """Return the mean cross entropy."""
    return float(-np.log(np.where(y == 1, share, 1 - share) + 1e-7).mean())


def main(log_dir: str) -> None:
    """Train for eight epochs."""
    x_train, y_train, x_val, y_val = moons()
    rng = np.random.default_rng(0)
    params = {
        "hidden": {"kernel": rng.normal(size=(2, 32)), "bias": np.zeros(32)},
        "score": {"kernel": rng.normal(size=(32, 1)) / 6, "bias": np.zeros(1)},
    }
    optimizer = {"learning_rate": 0.5}
    # The outputs of the layers are shown, because the view has a function that returns them.
    view = NumpyView(
        params,
        optimizer,
        activations=lambda x: dict(zip(params, forward(params, x), strict=True)),
    )
    callbacks = [TensorBoard(log_dir, histogram_freq=1), ReduceLROnPlateau(patience=1)]
    with Loop(None, callbacks, epochs=8, view=view, validation_data=(x_val, y_val)) as loop:
        for _ in loop:
            for rows in loop.batches(rng.permutation(len(x_train)).reshape(-1, 32)):
                x, y = x_train[rows], y_train[rows]
                hidden, share = forward(params, x)
                error = (share - y)[:, None] / len(x)
                back = error @ params["score"]["kernel"].T * (1 - hidden**2)
                gradients = {
                    "hidden": {"kernel": x.T @ back, "bias": back.sum(0)},
                    "score": {"kernel": hidden.T @ error, "bias": error.sum(0)},
                }
                for layer, parts in gradients.items():
                    for name, gradient in parts.items():
                        params[layer][name] -= optimizer["learning_rate"] * gradient
                loop.record_gradients(gradients)
                loop.log(loss=loss_of(share, y), acc=((share > 0.5) == y).mean())
            _, share = forward(params, x_val)
            loop.log(val_loss=loss_of(share, y_val), val_acc=((share > 0.5) == y_val).mean())


if __name__ == "__main__":
    main(sys.argv[1])
