"""Callbacks in the training of XGBoost."""

from __future__ import annotations

from typing import Any

import xgboost

from eventwriter.integrations._boosting import Rounds, metric_names
from eventwriter.integrations._callbacks import BaseTensorBoard
from eventwriter.integrations.xgboost.view import XGBoostView


class Callbacks(Rounds, xgboost.callback.TrainingCallback):  # type: ignore[misc, unused-ignore] # untyped without xgboost
    """Lets callbacks of `eventwriter.callbacks` take part in `xgboost.train` and in estimators.

        xgboost.train(params, data, evals=[(data, "train"), (held_out, "valid")],
                      callbacks=[Callbacks([TensorBoard("runs/trees")])])

    A round is an epoch. The metrics of the data set "train" (or of the first data set, if none has
    this name) have their own names, such as "logloss". The metrics of the next data set begin with
    "val_".

    XGBoost does not tell its callbacks about an exception: see `BaseCallbacks`.

    Args:
        callbacks: Callbacks, and lists of callbacks.
        validation_data: As in `Loop`.
    """

    def before_training(self, model: Any) -> Any:
        """End a training that an exception left open."""
        self._end("failed")
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        """Begin a round."""
        self._begin_round(epoch, XGBoostView(model))
        return False

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        """End a round. Return True to stop training."""
        results = (
            (data, metric, _latest(values))
            for data, metrics in evals_log.items()
            for metric, values in metrics.items()
        )
        return self._end_round(epoch, metric_names(results))

    def after_training(self, model: Any) -> Any:
        """End the training."""
        self._end()
        return model


class TensorBoard(BaseTensorBoard, Callbacks):
    """`eventwriter.callbacks.TensorBoard` for XGBoost, with the same arguments."""

    _has_layers = False


def _latest(values: Any) -> float:
    """Return the value of the latest round. Cross validation has (mean, deviation): the mean."""
    latest = values[-1]
    return float(latest[0] if isinstance(latest, tuple) else latest)
