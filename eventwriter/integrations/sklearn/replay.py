"""The curves that an estimator of scikit-learn kept while it was fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.pipeline import Pipeline

from eventwriter import SummaryWriter
from eventwriter._values.type_name import type_name
from eventwriter.callbacks.tensorboard.tag_styles import DEFAULT_TAG_STYLE, TAG_STYLES
from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    from eventwriter.typing import PathLike

CURVES = {
    "loss_curve_": ("train", "loss"),
    "train_score_": ("train", "score"),
    "validation_scores_": ("validation", "score"),
    "validation_score_": ("validation", "score"),
}
"""Attributes with one value for each round, and the run and the metric that their names promise."""

_SCORES_ARE_LOSSES = (GradientBoostingClassifier, GradientBoostingRegressor)
_SCORES_ARE_LOSSES_IF_ASKED = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
"""With `scoring="loss"`, which is the default, each score is the loss with a minus sign."""

_INNER = ("best_estimator_", "regressor_", "estimator_")
"""Attributes of an estimator that fits one other: of a search, of a transformed target, ..."""


class Curve(NamedTuple):
    """A metric of each round.

    Attributes:
        run: "train" or "validation".
        metric: "loss" or "score".
        values: The values, one for each round.
    """

    run: str
    metric: str
    values: Any


def replay(estimator: Any, log_dir: PathLike) -> None:
    """Log the curves that a fitted estimator kept, with rounds as steps.

    A loss is "epoch/loss", and a score is "epoch/score". Those of held-out data are in the run
    `validation`, the others in the run `train`. The curves of HistGradientBoosting* begin before
    the first round.

    Of a pipeline the last step is shown, of a search the best estimator, and of another estimator
    that fits a single one, that one.

    Args:
        estimator: A fitted estimator, such as an MLPClassifier or a gradient boosting model.
        log_dir: The directory of the runs.

    Raises:
        ArgumentTypeError: The estimator kept no curve, or is not fitted.
    """
    fitted, curves = estimator, _curves(estimator)
    while not curves:
        inner = _inner(fitted)
        if inner is None:
            raise ArgumentTypeError(
                f"replay: expected an estimator with one of {', '.join(CURVES)}, got "
                f"{type_name(fitted)} that has none. Fit it first (HistGradientBoosting* keep "
                "scores with early_stopping=True), or train it in a Loop by partial_fit."
            )
        fitted, curves = inner, _curves(inner)
    for run, metric, values in curves:
        with SummaryWriter(f"{log_dir}/{run}") as writer:
            tag = TAG_STYLES[DEFAULT_TAG_STYLE].epoch.format(metric)
            writer.add_scalar_series(tag, values, np.arange(len(values)))


def _curves(estimator: Any) -> list[Curve]:
    found = []
    for name, (run, promised) in CURVES.items():
        values = getattr(estimator, name, None)
        if values is None or not len(values):
            continue
        metric, sign = promised, 1
        if metric == "score" and isinstance(estimator, _SCORES_ARE_LOSSES):
            metric = "loss"
        elif isinstance(estimator, _SCORES_ARE_LOSSES_IF_ASKED) and estimator.scoring == "loss":
            metric, sign = "loss", -1
        found.append(Curve(run, metric, sign * np.asarray(values, np.float64)))
    return found


def _inner(estimator: Any) -> Any:
    """Return the estimator that another one has fitted, or None."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    return next((inner for name in _INNER if (inner := getattr(estimator, name, None))), None)
