"""Callbacks in the training of LightGBM."""

from __future__ import annotations

from typing import Any

import lightgbm

from eventwriter.integrations._boosting import Rounds, metric_names
from eventwriter.integrations._callbacks import BaseTensorBoard
from eventwriter.integrations.lightgbm.view import LightGBMView


class Callbacks(Rounds):
    """Lets callbacks of `eventwriter.callbacks` take part in `lightgbm.train` and in estimators.

        with Callbacks([TensorBoard("runs/trees")]) as callbacks:
            lightgbm.train(params, data, valid_sets=[data, held_out],
                           valid_names=["train", "valid"], callbacks=[callbacks])

    A round is an epoch. The metrics of the data set "train" or "training" (or of the first data
    set, if none has such a name) have their own names, such as "binary_logloss". The metrics of the
    next data set begin with "val_".

    LightGBM calls this object only after each round. So the first epoch begins when its round is
    over, and a learning rate that a callback sets at that moment comes too late for this round. All
    other epochs begin before their rounds.

    LightGBM does not tell its callbacks about an exception, nor that another callback ended
    training, such as its own early stopping. Use the object as a context manager: see
    `BaseCallbacks`.

    Args:
        callbacks: Callbacks, and lists of callbacks.
        validation_data: As in `Loop`.
    """

    _left_open = ""  # another callback stopped training

    # LightGBM sorts callbacks by this number. Its own have 10 and 20, and early stopping has 30.
    # Early stopping raises an exception, so a callback behind it would miss the last round.
    order = 25
    before_iteration = False

    def __call__(self, env: Any) -> None:
        """Take part after a round. LightGBM calls this.

        Raises:
            lightgbm.callback.EarlyStopException: A callback stops training. LightGBM handles it.
        """
        number = env.iteration
        view = LightGBMView(env.model)
        if number == env.begin_iteration:
            self._end("failed")  # an exception left it open
            self._begin_round(number, view, env.end_iteration)
        # Rows are plain tuples before LightGBM 4.7, so their fields are read by position.
        results = env.evaluation_result_list or []
        logs = metric_names((row[0], row[1], float(row[2])) for row in results)
        stop = self._end_round(number, logs)
        if stop or number == env.end_iteration - 1:
            self._end()
        else:
            self._begin_round(number + 1, view)
        if stop:
            raise lightgbm.callback.EarlyStopException(number, results)


class TensorBoard(BaseTensorBoard, Callbacks):
    """`eventwriter.callbacks.TensorBoard` for LightGBM, with the same arguments."""

    _has_layers = False
