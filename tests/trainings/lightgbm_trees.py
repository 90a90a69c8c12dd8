"""LightGBM: a round is an epoch. `with` ends the record, however training ends."""

from __future__ import annotations

import sys

import lightgbm

from eventwriter.integrations.lightgbm import TensorBoard
from tests.trainings.data import moons


def main(log_dir: str) -> None:
    """Train for 20 rounds."""
    x_train, y_train, x_val, y_val = moons()
    names = ["left_to_right", "down_to_up"]
    train = lightgbm.Dataset(x_train, y_train, feature_name=names)
    held_out = lightgbm.Dataset(x_val, y_val, reference=train)
    with TensorBoard(log_dir, histogram_freq=5) as log:
        lightgbm.train(
            {
                "objective": "binary",
                "metric": ["binary_logloss", "binary_error"],
                "num_leaves": 8,
                "verbose": -1,
            },
            train,
            num_boost_round=20,
            valid_sets=[train, held_out],
            valid_names=["train", "valid"],
            callbacks=[log],
        )


if __name__ == "__main__":
    main(sys.argv[1])
