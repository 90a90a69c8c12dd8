"""XGBoost's estimator: a round is an epoch, and the second of two sets is the validation."""

from __future__ import annotations

import sys
from pathlib import Path

import xgboost

from eventwriter.callbacks import EarlyStopping, ModelCheckpoint
from eventwriter.integrations.xgboost import Callbacks, TensorBoard
from tests.trainings.data import moons


def main(log_dir: Path) -> None:
    """Train for 20 rounds at the most."""
    x_train, y_train, x_val, y_val = moons()
    steer = [
        EarlyStopping("val_logloss", patience=5),
        ModelCheckpoint(log_dir / "best", "val_logloss", save_best_only=True),
    ]
    trees = xgboost.XGBClassifier(
        n_estimators=20,
        max_depth=3,
        eval_metric=["logloss", "error"],
        callbacks=[TensorBoard(log_dir, histogram_freq=5), Callbacks(steer)],
    )
    trees.fit(x_train, y_train, eval_set=[(x_train, y_train), (x_val, y_val)], verbose=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
