"""The curves that an estimator of scikit-learn kept while it was fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter import SummaryWriter
from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    import os

# What estimators keep of every round, and the run and tag that it is shown as.
CURVES = {
    "loss_curve_": ("train", "epoch_loss"),
    "train_score_": ("train", "epoch_loss"),
    "validation_scores_": ("validation", "epoch_score"),
    "validation_score_": ("validation", "epoch_score"),
}


def replay(estimator: Any, log_dir: str | os.PathLike[str]) -> None:
    """Logs the curves that a fitted estimator kept, a round a step.

    The loss as "epoch_loss" in the run `train`, scores of held-out data as "epoch_score" in
    `validation`.

    Args:
        estimator: Such as an MLPClassifier or a gradient boosting model.
        log_dir: The runs' directory.

    Raises:
        ArgumentTypeError: It kept none, or is not fitted.
    """
    curves = {
        place: values
        for name, place in CURVES.items()
        if (values := getattr(estimator, name, None)) is not None and len(values)
    }
    if not curves:
        raise ArgumentTypeError(
            f"replay: {type(estimator).__name__} has none of {', '.join(CURVES)}: fit it first, "
            "or train it by partial_fit in a Loop."
        )
    for (run, tag), values in curves.items():
        with SummaryWriter(f"{log_dir}/{run}") as writer:
            writer.add_scalar_series(tag, np.asarray(values), np.arange(len(values)))
