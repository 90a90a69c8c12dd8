"""Five folds: each is a training of its own, in runs of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier

from eventwriter.callbacks import Loop, TensorBoard
from tests.trainings.data import moons

FOLDS = 5


def train(
    log_dir: Path, x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray
) -> None:
    """Train on the data of one fold for six epochs."""
    model = MLPClassifier((32,), learning_rate_init=0.01, batch_size=32, random_state=0)
    log = TensorBoard(log_dir, histogram_freq=1)
    with Loop(model, [log], epochs=6, validation_data=(x_val, y_val)) as loop:
        for _ in loop:
            model.partial_fit(x, y, classes=[0, 1])
            loop.log(loss=model.loss_, val_loss=log_loss(y_val, model.predict_proba(x_val)))


def main(log_dir: Path) -> None:
    """Train on each fold."""
    data = moons()
    x = np.concatenate([data.x_train, data.x_val])
    y = np.concatenate([data.y_train, data.y_val])
    for fold, (rows, held_out) in enumerate(KFold(FOLDS).split(x)):
        train(log_dir / f"fold-{fold}", x[rows], y[rows], x[held_out], y[held_out])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
