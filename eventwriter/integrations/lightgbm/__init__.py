"""Callbacks in LightGBM's training, and what they ask of its boosters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightgbm

from eventwriter.callbacks import TensorBoard as _TensorBoard
from eventwriter.errors import ArgumentTypeError
from eventwriter.integrations._boosting import Rounds, metric_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class LightGBMView:
    """The view of a lightgbm.Booster, or of a scikit-learn model around one.

    Its weights are the importance of each feature, as the booster has it.

    Args:
        model: The booster.
        optimizer: Has no meaning here.

    Attributes:
        model: The booster.
    """

    def __init__(self, model: Any, optimizer: Any = None) -> None:  # noqa: ARG002 - as all views
        booster = getattr(model, "booster_", model)
        if not isinstance(booster, lightgbm.Booster):
            raise ArgumentTypeError(
                f"LightGBMView: expected a lightgbm.Booster, got {type(model).__name__}."
            )
        self.model = booster

    def weights(self) -> Mapping[str, Any]:
        """The gain, and the number of splits, of each feature: arrays `[features]`."""
        return {
            f"feature_importance/{kind}": self.model.feature_importance(kind)
            for kind in ("gain", "split")
        }

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`; for the trees to come."""
        self.model.reset_parameter({"learning_rate": learning_rate})

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002 - ModelView's
        """See `ModelView.suffix`."""
        return ".txt"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002 - ModelView's
        """Writes LightGBM's text. There is no loading it into a booster that is being trained."""
        self.model.save_model(path)


class Callbacks:
    """Lets callbacks of `eventwriter.callbacks` take part in `lightgbm.train` and its estimators.

        with Callbacks([TensorBoard("runs/trees")]) as callbacks:
            lightgbm.train(params, data, valid_sets=[data, held_out],
                           valid_names=["train", "valid"], callbacks=[callbacks])

    A round is an epoch. The metrics of the data that are called "train" or "training", or of the
    first, have their own names, such as "binary_logloss"; those of the next begin with "val_".

    LightGBM does not say that training has ended when it did so before its last round, by an
    exception or another callback's stop: the context manager does. What was logged is written in
    any case.

    Args:
        callbacks: Callbacks, and lists of them.
        validation_data: As in `Loop`.
    """

    order = 40  # after LightGBM's own, but for early stopping, as which it has no say
    before_iteration = False

    def __init__(self, callbacks: Iterable[Any], *, validation_data: Any = None) -> None:
        self._rounds = Rounds(callbacks, LightGBMView, validation_data)

    def __enter__(self) -> Callbacks:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        self._rounds.left(exc_type)

    def __call__(self, env: Any) -> None:
        """Is called by LightGBM after every round.

        Raises:
            lightgbm.callback.EarlyStopException: A callback stops training; LightGBM handles it.
        """
        number = env.iteration
        if number == env.begin_iteration:
            self._rounds.end("failed")  # one that an exception ended
        self._rounds.before_round(env.model, number, env.end_iteration)
        # Rows were tuples once: by their places.
        results = env.evaluation_result_list or []
        logs = metric_names((row[0], row[1], float(row[2])) for row in results)
        stop = self._rounds.after_round(number, logs)
        if stop or number == env.end_iteration - 1:
            self._rounds.end()
        if stop:
            raise lightgbm.callback.EarlyStopException(number, results)


class TensorBoard(Callbacks):
    """`eventwriter.callbacks.TensorBoard` for LightGBM, with its arguments.

    Args:
        log_dir: The runs' directory.
        options: Further arguments of `eventwriter.callbacks.TensorBoard`.
    """

    def __init__(self, log_dir: Any = "logs", **options: Any) -> None:
        options = {"write_gradients": False, "write_activations": False, **options}
        super().__init__([_TensorBoard(log_dir, **options)])
