"""What XGBoost and LightGBM share: a round of boosting is an epoch of one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter.callbacks import EarlyStopping, TensorBoard
from eventwriter.integrations._callbacks import BaseCallbacks
from eventwriter.records.custom_scalars import MarginChart, write_margin_charts
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventwriter.integrations._boosting_names import Result
    from eventwriter.training.training import Training

_PREFIX = "val_"


class Rounds(BaseCallbacks):
    """Base class of `Callbacks` for boosting: tells callbacks about rounds."""

    def _begin_round(self, number: int, view: ModelView, rounds: int | None = None) -> None:
        """Begin a round, and a training before its first round.

        Args:
            number: The number of the round, from 0.
            view: The view of the booster.
            rounds: The number of rounds in the whole training, if known.
        """
        training = self._training
        if training is None:
            training = self._begin(view, {"epochs": rounds, "steps": 1}, initial_epoch=number)
            self._has_chart = False
        training.epoch_begin(number)
        training.batch_begin(0)

    def _end_round(self, number: int, results: Mapping[str, Result]) -> bool:
        """End a round.

        Args:
            number: The number of the round, from 0.
            results: The metrics, as `metric_names` names them. A metric of a cross-validation also
                brings the metric "..._std".

        Returns:
            Whether a callback stops training.
        """
        training = self._training
        if training is None:
            return False
        logs: dict[str, float] = {}
        for name, result in results.items():
            logs[name] = result.value
            if result.deviation is not None:
                logs[f"{name}_std"] = result.deviation
        # Callbacks may add to the logs of a hook, so each hook gets a dict of its own.
        training.batch_end(0, dict(logs))
        validation = {
            name.removeprefix(_PREFIX): value
            for name, value in logs.items()
            if name.startswith(_PREFIX)
        }
        if validation:
            training.test_begin()
            training.test_end(validation)
        training.epoch_end(number, dict(logs))
        self._write_margins(training, results)
        return training.stop_training

    def _best(self) -> EarlyStopping | None:
        """Return the callback that knows the best round: the one that stopped, or the first.

        None means that no callback `EarlyStopping` has seen its metric.
        """
        if self._training is None:
            return None
        found = [
            callback
            for callback in self._training.callbacks
            if isinstance(callback, EarlyStopping) and callback.best is not None
        ]
        stopped = [callback for callback in found if callback.stopped_epoch]
        return next(iter(stopped + found), None)

    def _write_margins(self, training: Training, results: Mapping[str, Result]) -> None:
        """Write the metrics of a cross-validation as charts: the mean within its deviation."""
        if all(result.deviation is None for result in results.values()):
            return
        for log in training.callbacks:
            if isinstance(log, TensorBoard):
                charts = _log_margins(log, results)
                if not self._has_chart:
                    write_margin_charts(log.writer("train"), "cross-validation", charts)
        self._has_chart = True


def _log_margins(log: TensorBoard, results: Mapping[str, Result]) -> list[MarginChart]:
    """Log the means and the edges of their margins. Return the charts that show them."""
    charts = {}
    train = log.writer("train")
    for name, result in results.items():
        if result.deviation is None:
            continue
        writer = log.writer("validation") if name.startswith(_PREFIX) else train
        # Both runs are in one chart, unless the style of the tags has one run for both.
        metric = name if writer is train else name.removeprefix(_PREFIX)
        tag = f"margin_{metric}"
        chart = MarginChart(metric, f"{tag}/mean", f"{tag}/lower", f"{tag}/upper")
        points = {
            chart.value: result.value,
            chart.lower: result.value - result.deviation,
            chart.upper: result.value + result.deviation,
        }
        writer.log(points, log.epoch_step)
        charts[metric] = chart
    return list(charts.values())


class FoldsView(ModelView):
    """The view of the boosters of a cross-validation, one for each fold.

    Args:
        model: The object that holds the boosters.
        folds: The views of the boosters.

    Attributes:
        model: The object that holds the boosters.
    """

    has_layers = False

    def __init__(self, model: Any, folds: Sequence[ModelView]) -> None:
        self.model = model
        self._folds = folds

    def weights(self) -> Mapping[str, Any]:
        """Return the importances of the features: their means over the folds."""
        found = [view.weights() or {} for view in self._folds]
        return {name: np.mean([each[name] for each in found], axis=0) for name in found[0]}

    def numbers(self) -> Mapping[str, float]:
        """Return the importance of each feature: its mean over the folds."""
        found = [view.numbers() or {} for view in self._folds]
        return {name: float(np.mean([each.get(name, 0.0) for each in found])) for name in found[0]}

    def get_learning_rate(self) -> float | None:
        """Return the learning rate, which all folds share."""
        return self._folds[0].get_learning_rate()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the rounds that follow, in all folds."""
        for view in self._folds:
            view.set_learning_rate(learning_rate)
