"""Keras on torch: `fit` with validation data, and the callback of Keras's own name."""

from __future__ import annotations

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras
from keras import layers

from eventwriter.integrations.keras import TensorBoard
from tests.trainings.data import moons


def main(log_dir: str) -> None:
    """Train for five epochs."""
    keras.utils.set_random_seed(0)
    x_train, y_train, x_val, y_val = moons()
    inputs = keras.Input((2,))
    hidden = layers.Dense(32, activation="relu", name="hidden")(inputs)
    outputs = layers.Dense(2, name="scores")(hidden)
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])

    model.fit(
        x_train,
        y_train,
        validation_data=(x_val, y_val),
        epochs=5,
        verbose=0,
        callbacks=[TensorBoard(log_dir, histogram_freq=1)],
    )


if __name__ == "__main__":
    main(sys.argv[1])
