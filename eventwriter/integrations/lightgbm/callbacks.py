"""Callbacks in the training of LightGBM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightgbm

from eventwriter.callbacks import TensorBoard as _TensorBoard
from eventwriter.integrations._boosting import Rounds, metric_names
from eventwriter.integrations.lightgbm.view import LightGBMView

if TYPE_CHECKING:
    from collections.abc import Iterable


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
