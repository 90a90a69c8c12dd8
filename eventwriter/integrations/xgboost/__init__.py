"""Callbacks in XGBoost's training, and what they ask of its boosters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from eventwriter.callbacks import TensorBoard as _TensorBoard
from eventwriter.errors import ArgumentTypeError
from eventwriter.integrations._boosting import Rounds, metric_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class XGBoostView:
    """The view of an xgboost.Booster, or of a scikit-learn model around one.

    Its weights are the importance of each feature, as the booster has it.

    Args:
        model: The booster.
        optimizer: Has no meaning here.

    Attributes:
        model: The booster.
    """

    def __init__(self, model: Any, optimizer: Any = None) -> None:  # noqa: ARG002 - as all views
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        if not isinstance(booster, xgboost.Booster):
            raise ArgumentTypeError(
                f"XGBoostView: expected an xgboost.Booster, got {type(model).__name__}."
            )
        self.model = booster

    def weights(self) -> Mapping[str, Any]:
        """The gain, and the number of splits, of each feature: arrays `[features used]`."""
        return {
            f"feature_importance/{kind}": np.array(
                list(self.model.get_score(importance_type=kind).values()), np.float64
            )
            for kind in ("gain", "weight")
        }

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`; for the trees to come."""
        self.model.set_param({"learning_rate": learning_rate})

    def get_state(self) -> bytes:
        """See `ModelView.get_state`."""
        return bytes(self.model.save_raw("ubj"))

    def set_state(self, state: bytes) -> None:
        """See `ModelView.set_state`."""
        self.model.load_model(bytearray(state))

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002 - ModelView's
        """See `ModelView.suffix`."""
        return ".ubj"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002 - ModelView's
        """See `ModelView.save`."""
        self.model.save_model(path)

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        self.model.load_model(path)


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
