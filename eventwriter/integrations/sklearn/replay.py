"""The curves that an estimator of scikit-learn kept while it was fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter import SummaryWriter
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    from eventwriter.typing import PathLike

CURVES = {
    "loss_curve_": ("train", "epoch_loss"),
    "train_score_": ("train", "epoch_loss"),
    "validation_scores_": ("validation", "epoch_score"),
    "validation_score_": ("validation", "epoch_score"),
}
"""Attributes with one value for each round, and the run and the tag that show them."""


def replay(estimator: Any, log_dir: PathLike) -> None:
    """Log the curves that a fitted estimator kept, with rounds as steps.

    The loss is "epoch_loss" in the run `train`. Scores of held-out data are "epoch_score" in the
    run `validation`.

    Args:
        estimator: A fitted estimator, such as an MLPClassifier or a gradient boosting model.
        log_dir: The directory of the runs.

    Raises:
        ArgumentTypeError: The estimator kept no curve, or is not fitted.
    """
    curves = {
        place: values
        for name, place in CURVES.items()
        if (values := getattr(estimator, name, None)) is not None and len(values)
    }
    if not curves:
        raise ArgumentTypeError(
            f"replay: expected an estimator with one of {', '.join(CURVES)}, got "
            f"{type_name(estimator)} that has none. Fit it first, or train it in a Loop by "
            "partial_fit."
        )
    for (run, tag), values in curves.items():
        with SummaryWriter(f"{log_dir}/{run}") as writer:
            writer.add_scalar_series(tag, np.asarray(values), np.arange(len(values)))
