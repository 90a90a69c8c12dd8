"""scikit-learn: an estimator that learns by `partial_fit`, in a loop with callbacks."""

from __future__ import annotations

import sys

from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from eventwriter.callbacks import EarlyStopping, Loop, TensorBoard
from tests.trainings.data import moons


def main(log_dir: str) -> None:
    """Train for eight epochs."""
    x_train, y_train, x_val, y_val = moons()
    model = MLPClassifier((32,), learning_rate_init=0.01, batch_size=32, random_state=0)
    callbacks = [TensorBoard(log_dir, histogram_freq=1), EarlyStopping("val_loss", patience=3)]
    with Loop(model, callbacks, epochs=8, validation_data=(x_val, y_val)) as loop:
        for _ in loop:
            model.partial_fit(x_train, y_train, classes=[0, 1])
            loop.log(loss=model.loss_, acc=model.score(x_train, y_train))
            loop.log(val_loss=log_loss(y_val, model.predict_proba(x_val)))
            loop.log(val_acc=model.score(x_val, y_val))


if __name__ == "__main__":
    main(sys.argv[1])
