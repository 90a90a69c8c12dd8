"""Callbacks in the training of XGBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xgboost

from eventwriter.integrations._boosting import FoldsView, Rounds
from eventwriter.integrations._boosting_names import Result, likely_training, metric_names
from eventwriter.integrations._callbacks import BaseTensorBoard
from eventwriter.integrations.xgboost.view import XGBoostView

if TYPE_CHECKING:
    from eventwriter.training.model_view import ModelView


class Callbacks(Rounds, xgboost.callback.TrainingCallback):  # type: ignore[misc, unused-ignore] # untyped without xgboost
    """Lets callbacks of `eventwriter.callbacks` take part in `train`, `cv` and estimators.

        xgboost.train(params, data, evals=[(data, "train"), (held_out, "valid")],
                      callbacks=[Callbacks([TensorBoard("runs/trees")])])

    A round is an epoch. XGBoost does not say which data set is the training set, so the names of
    the sets decide. "train", "dtrain" and the like name the training set, whose metrics have their
    own names, such as "logloss". Without such a name it is the first of several sets, unless its
    name says that it is held out, such as "valid" or "test". A set that is alone is held out. The
    metrics of the next set begin with "val_".

    After a training with `EarlyStopping` the booster has `best_iteration`, the best round, as after
    XGBoost's own early stopping. The predictions of an estimator use the rounds up to it.

    In `xgboost.cv` a metric is the mean of the folds, and there is a metric "..._std" with their
    standard deviation. `TensorBoard` also shows both as one chart on its page Custom Scalars.

    XGBoost does not tell its callbacks about an exception: see `BaseCallbacks`.

    Args:
        callbacks: Callbacks, and lists of callbacks.
        validation_data: As in `Loop`.

    Raises:
        ArgumentTypeError: `BackupAndRestore` is among the callbacks.
    """

    _no_backup = (
        "XGBoost counts its rounds itself, so a training cannot begin at a later round. Save with "
        "ModelCheckpoint, and continue with xgb_model=PATH and the rounds that are left"
    )

    def before_training(self, model: Any) -> Any:
        """End a training that an exception left open."""
        self._end("failed")
        # A booster that is trained on has rounds already, but its rounds are counted from 0 again.
        self._rounds_before = model.num_boosted_rounds()
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        """Begin a round."""
        self._begin_round(epoch, _view(model))
        return False

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """End a round. Return True to stop training."""
        results = [
            Result(data, metric, *_latest(values))
            for data, metrics in evals_log.items()
            for metric, values in metrics.items()
        ]
        training_set = likely_training(list(evals_log))
        stop = self._end_round(epoch, metric_names(results, training_set))
        if stop and not isinstance(model, xgboost.Booster):
            # `cv` cuts its results behind the best round, so it needs one.
            best = self._best()
            model.set_attr(best_iteration=str(epoch if best is None else best.best_epoch))
        return stop

    def after_training(self, model: Any) -> Any:
        """End the training, and tell the booster its best round."""
        best = self._best()
        self._end()
        if best is not None:
            number = self._rounds_before + best.best_epoch
            model.set_attr(best_iteration=str(number), best_score=str(best.best))
        return model


class TensorBoard(BaseTensorBoard, Callbacks):
    """`eventwriter.callbacks.TensorBoard` for XGBoost, with the same arguments."""


def _view(model: Any) -> ModelView:
    """Return the view of a booster, or of the boosters of `cv`."""
    if isinstance(model, xgboost.Booster):
        return XGBoostView(model)
    return FoldsView(model, [XGBoostView(fold.bst) for fold in model.cvfolds])


def _latest(values: Any) -> tuple[float, ...]:
    """Return the value of the latest round: (value,), or (mean, deviation) in `cv`."""
    latest = values[-1]
    return tuple(map(float, latest)) if isinstance(latest, tuple) else (float(latest),)
