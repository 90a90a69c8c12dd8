"""A convnet for film reviews, in Keras 3 without TensorFlow, with callbacks."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # or torch

import keras
from keras import layers
from reviews import LENGTH, WORDS, arguments, load_reviews

from eventwriter.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from eventwriter.integrations.keras import Callbacks, TensorBoard


def main() -> None:
    """Train, validate, and log."""
    options = arguments(__doc__)
    keras.utils.set_random_seed(0)
    reviews = load_reviews(options.reviews)
    validation = (reviews.x_val, reviews.y_val)
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(WORDS, 128, name="embed"),
            layers.Conv1D(32, 7, activation="relu"),
            layers.MaxPooling1D(5),
            layers.Conv1D(32, 7, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("rmsprop", "binary_crossentropy", metrics=["acc"])

    log = TensorBoard(
        options.logdir,
        histogram_freq=1,
        embeddings_freq=1,
        embeddings_metadata=reviews.vocabulary,
    )
    steer = Callbacks(
        [
            EarlyStopping("val_loss", patience=2, restore_best_weights=True),
            ModelCheckpoint(
                f"{options.logdir}/checkpoints/{{epoch:02d}}-{{val_loss:.3f}}",
                save_best_only=True,
            ),
            ReduceLROnPlateau("val_loss", factor=0.1, patience=1),
        ]
    )
    history = model.fit(
        reviews.x_train,
        reviews.y_train,
        batch_size=128,
        epochs=options.epochs,
        validation_data=validation,
        callbacks=[log, steer],
    )
    print(f"best validation accuracy: {max(history.history['val_acc']):.3f}")
    print(f"now run: tensorboard --logdir {options.logdir}")


if __name__ == "__main__":
    main()
