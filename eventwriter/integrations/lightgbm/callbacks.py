"""Callbacks in the training of LightGBM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightgbm

from eventwriter.integrations._boosting import FoldsView, Rounds
from eventwriter.integrations._boosting_names import Result, metric_names, named_training
from eventwriter.integrations._callbacks import BaseTensorBoard
from eventwriter.integrations.lightgbm.view import LightGBMView

if TYPE_CHECKING:
    from eventwriter.training.model_view import ModelView


class Callbacks(Rounds):
    """Lets callbacks of `eventwriter.callbacks` take part in `train`, `cv` and estimators.

        with Callbacks([TensorBoard("runs/trees")]) as callbacks:
            lightgbm.train(params, data, valid_sets=[data, held_out],
                           valid_names=["train", "valid"], callbacks=[callbacks])

    A round is an epoch. The metrics of the training set have their own names, such as
    "binary_logloss". It is the set that is trained on, if that is among the `valid_sets`, otherwise
    a set whose name says so, such as "train". The metrics of the next set begin with "val_".

    After a training with `EarlyStopping` the booster has `best_iteration`, the best round, as after
    LightGBM's own early stopping. Its predictions use the rounds up to it.

    In `lightgbm.cv` a metric is the mean of the folds, and there is a metric "..._std" with their
    standard deviation. `TensorBoard` also shows both as one chart on its page Custom Scalars.

    LightGBM calls this object only after each round. So the first epoch begins when its round is
    over, and a learning rate that a callback sets at that moment comes too late for this round. All
    other epochs begin before their rounds.

    LightGBM does not tell its callbacks about an exception, nor that another callback ended
    training, such as its own early stopping. Use the object as a context manager: see
    `BaseCallbacks`.

    Args:
        callbacks: Callbacks, and lists of callbacks.
        validation_data: As in `Loop`.

    Raises:
        ArgumentTypeError: `BackupAndRestore` is among the callbacks.
    """

    _left_open = ""  # another callback stopped training
    _no_backup = (
        "LightGBM counts its rounds itself, so a training cannot begin at a later round. Save with "
        "ModelCheckpoint, and continue with init_model=PATH and the rounds that are left"
    )

    # LightGBM sorts callbacks by this number. Its own have 10 and 20, and early stopping has 30.
    # Early stopping raises an exception, so a callback behind it would miss the last round.
    order = 25
    before_iteration = False

    def __call__(self, env: Any) -> None:
        """Take part after a round. LightGBM calls this.

        Raises:
            lightgbm.callback.EarlyStopException: A callback stops training, or training ends and
                `EarlyStopping` knows the best round. LightGBM handles it.
        """
        number = env.iteration
        view = _view(env.model)
        if number == env.begin_iteration:
            self._end("failed")  # an exception left it open
            self._begin_round(number, view, env.end_iteration)
            self._rows: dict[int, Any] = {}
        rows = env.evaluation_result_list or []
        stop = self._end_round(number, _named(rows, env.model))
        best = self._best()
        self._rows[number] = rows
        if not stop and number < env.end_iteration - 1:
            self._begin_round(number + 1, view)
            return
        self._end()
        if stop or best is not None:
            best_round = number if best is None else best.best_epoch
            raise lightgbm.callback.EarlyStopException(best_round, self._rows[best_round])


class TensorBoard(BaseTensorBoard, Callbacks):
    """`eventwriter.callbacks.TensorBoard` for LightGBM, with the same arguments."""


def _view(model: Any) -> ModelView:
    """Return the view of a booster, or of the boosters of `cv`."""
    if isinstance(model, lightgbm.CVBooster):
        return FoldsView(model, [LightGBMView(booster) for booster in model.boosters])
    return LightGBMView(model)


def _named(rows: Any, model: Any) -> dict[str, Result]:
    """Return the metrics of a round by the names that callbacks expect."""
    results = [_result(*row) for row in rows]
    sets = dict.fromkeys(result.data for result in results)
    # A booster knows the name of the set that it is trained on.
    known = None if isinstance(model, lightgbm.CVBooster) else model._train_data_name
    return metric_names(results, known if known in sets else named_training(sets))


def _result(
    data: str, metric: str, value: float, _maximize: bool, deviation: float | None = None
) -> Result:
    """Return a row of LightGBM's results. Before LightGBM 4.7 it is a plain tuple."""
    if data == "cv_agg":  # what `cv` of these versions calls all sets: the metric names the set
        data, _, metric = metric.partition(" ")
    return Result(data, metric, float(value), deviation)
