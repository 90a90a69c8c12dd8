"""Keras on JAX, with callbacks that record and callbacks that steer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import keras
from keras import layers

from eventwriter.callbacks import EarlyStopping, LearningRateScheduler, ModelCheckpoint
from eventwriter.integrations.keras import Callbacks, TensorBoard
from tests.trainings.data import moons


def main(log_dir: Path) -> None:
    """Train for five epochs. The learning rate is halved after each."""
    keras.utils.set_random_seed(0)
    x_train, y_train, x_val, y_val = moons()
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(32, activation="relu", name="hidden"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(1, activation="sigmoid", name="share"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.04), "binary_crossentropy", metrics=["accuracy"])

    steer = Callbacks(
        [
            LearningRateScheduler(lambda epoch: 0.04 / 2**epoch),
            EarlyStopping("val_loss", patience=3, restore_best_weights=True),
            ModelCheckpoint(log_dir / "best", save_best_only=True),
        ]
    )
    model.fit(
        x_train,
        y_train,
        validation_data=(x_val, y_val),
        epochs=5,
        verbose=0,
        callbacks=[TensorBoard(log_dir, histogram_freq=2, update_freq="batch"), steer],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
