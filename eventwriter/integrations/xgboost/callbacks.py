"""Callbacks in the training of XGBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xgboost

from eventwriter.callbacks import TensorBoard as _TensorBoard
from eventwriter.integrations._boosting import Rounds, metric_names
from eventwriter.integrations.xgboost.view import XGBoostView

if TYPE_CHECKING:
    from collections.abc import Iterable


class Callbacks(xgboost.callback.TrainingCallback):  # type: ignore[misc, unused-ignore] # untyped without it
    """Lets callbacks of `eventwriter.callbacks` take part in `xgboost.train` and its estimators.

        xgboost.train(params, data, evals=[(data, "train"), (held_out, "valid")],
                      callbacks=[Callbacks([TensorBoard("runs/trees")])])

    A round is an epoch. The metrics of the data that are called "train", or of the first, have
    their own names, such as "logloss"; those of the next begin with "val_".

    XGBoost says nothing of an exception: use this as a context manager around the training to have
    the callbacks closed at once. What was logged is written in any case.

    Args:
        callbacks: Callbacks, and lists of them.
        validation_data: As in `Loop`.
    """

    def __init__(self, callbacks: Iterable[Any], *, validation_data: Any = None) -> None:
        super().__init__()
        self._rounds = Rounds(callbacks, XGBoostView, validation_data)

    def __enter__(self) -> Callbacks:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        self._rounds.left(exc_type)

    def before_training(self, model: Any) -> Any:
        """Forgets a training that an exception ended."""
        self._rounds.end("failed")
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        """Begins a round."""
        self._rounds.before_round(model, epoch, None)
        return False

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        """Ends a round; True stops training."""
        results = (
            (data, metric, _latest(values))
            for data, metrics in evals_log.items()
            for metric, values in metrics.items()
        )
        return self._rounds.after_round(epoch, metric_names(results))

    def after_training(self, model: Any) -> Any:
        """Ends the training."""
        self._rounds.end()
        return model


class TensorBoard(Callbacks):
    """`eventwriter.callbacks.TensorBoard` for XGBoost, with its arguments.

    Args:
        log_dir: The runs' directory.
        options: Further arguments of `eventwriter.callbacks.TensorBoard`.
    """

    def __init__(self, log_dir: Any = "logs", **options: Any) -> None:
        options = {"write_gradients": False, "write_activations": False, **options}
        super().__init__([_TensorBoard(log_dir, **options)])


def _latest(values: Any) -> float:
    """The round's value; of cross validation, whose values are (mean, deviation), the mean."""
    latest = values[-1]
    return float(latest[0] if isinstance(latest, tuple) else latest)
