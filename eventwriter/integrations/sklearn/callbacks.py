"""Callbacks in the `fit` of an estimator of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter.integrations.sklearn.view import SklearnView
from eventwriter.training.training import Training

if TYPE_CHECKING:
    from collections.abc import Iterable


class Callbacks:
    """Lets callbacks of `eventwriter.callbacks` take part in an estimator's `fit`.

        LogisticRegression().set_callbacks(Callbacks([TensorBoard("runs/a")])).fit(x, y)

    In scikit-learn's own protocol, `sklearn.callback.FitCallback`. An iteration is an epoch, with
    the estimator's own "score" on its training data and "val_score" on `validation_data`. Those of
    an estimator within another are not told apart, and so are not looked at. A callback's stop is
    passed on; not every estimator heeds it.

    Args:
        callbacks: Callbacks, and lists of them.
        validation_data: (inputs, targets), for "val_score".
    """

    def __init__(self, callbacks: Iterable[Any], *, validation_data: Any = None) -> None:
        self._callbacks = list(callbacks)
        self._validation_data = validation_data
        self._training: Training | None = None
        self._failed = True

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ARG002 - scikit-learn's
        """Begins a training."""
        self._end("failed")
        self._failed = True
        self._training = Training(
            estimator,
            self._callbacks,
            view=SklearnView(estimator),
            validation_data=self._validation_data,
            params={"steps": 1},
        )
        self._training.begin()

    def teardown(self, estimator: Any, context: Any) -> None:  # noqa: ARG002 - scikit-learn's
        """Ends it."""
        training = self._training
        if training is not None:
            ended_well = "stopped" if training.stop_training else "finished"
            self._end("failed" if self._failed else ended_well)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Is called before every iteration; all is done after it."""

    def on_fit_task_end(
        self,
        estimator: Any,  # noqa: ARG002 - scikit-learn's
        context: Any,
        *,
        X: Any = None,  # noqa: N803 - scikit-learn's
        y: Any = None,
        fitted_estimator: Any = None,
    ) -> bool:
        """Is called after every iteration, and after the whole; True stops."""
        training = self._training
        if training is None:
            return False
        if context.parent is None:
            self._failed = False  # the whole has come to its end
        # An iteration that found the end to be reached has no estimator.
        elif fitted_estimator is not None and context.parent.parent is None:
            number = context.task_id
            training.view.model = fitted_estimator  # a new one each time
            logs = {"score": fitted_estimator.score(X, y)}
            training.epoch_begin(number)
            training.batch_begin(0)
            training.batch_end(0, dict(logs))
            if self._validation_data is not None:
                logs["val_score"] = fitted_estimator.score(*self._validation_data[:2])
                training.test_begin()
                training.test_end({"score": logs["val_score"]})
            training.epoch_end(number, logs)
        return training.stop_training

    def _end(self, status: str) -> None:
        training, self._training = self._training, None
        if training is not None:
            training.end(status)
