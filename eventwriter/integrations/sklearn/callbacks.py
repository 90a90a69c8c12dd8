"""Callbacks in the `fit` of an estimator of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.integrations._callbacks import BaseCallbacks, BaseTensorBoard
from eventwriter.integrations.sklearn.view import SklearnView

if TYPE_CHECKING:
    from collections.abc import Iterable


class Callbacks(BaseCallbacks):
    """Lets callbacks of `eventwriter.callbacks` take part in an estimator's `fit`.

        LogisticRegression().set_callbacks(Callbacks([TensorBoard("runs/a")])).fit(x, y)

    This is an implementation of the protocol `sklearn.callback.FitCallback`, which scikit-learn has
    since 1.9. An iteration is an epoch, with the estimator's own "score" on its training data, and
    with "val_score" on `validation_data`. Only some estimators stop when a callback stops training.

    Set the callbacks on the estimator that iterates, also if it is a step of a pipeline or is
    cloned by a search. Each of its fits is a training of its own. The fits of a search follow each
    other, so `TensorBoard` shows them one after another in one run. Iterations of other estimators,
    within this one or around it, are left out.

    Args:
        callbacks: Callbacks, and lists of callbacks.
        validation_data: (inputs, targets), for "val_score". They are given to the estimator as they
            are: earlier steps of a pipeline do not transform them.

    Raises:
        ArgumentTypeError: `BackupAndRestore` is among the callbacks.
    """

    _no_backup = (
        "The fit of an estimator begins anew each time. Train the estimator in a Loop by "
        "partial_fit to continue from a backup"
    )

    def __init__(self, callbacks: Iterable[Any], *, validation_data: Any = None) -> None:
        super().__init__(callbacks, validation_data=validation_data)
        self._fit: Any = None
        self._reached_end = False
        self._iterated = False

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a training. scikit-learn calls this before `fit`."""
        self._fit = context
        self._reached_end = self._iterated = False
        self._view = SklearnView(estimator)
        self._begin(self._view, {"steps": 1})

    def teardown(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        """End the training. scikit-learn calls this after `fit`, also after an exception."""
        self._fit = None
        # Each iteration had a copy of the estimator. What is restored now belongs in this one.
        self._view.model = estimator
        self._end("" if self._reached_end else "failed")
        if self._reached_end and not self._iterated:
            warn_caller(
                "Callbacks: expected an estimator that tells of its iterations, got "
                f"{type_name(estimator)}, so no callback heard of any. Set the callbacks on the "
                "estimator that iterates, such as the last step of a pipeline."
            )

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing before an iteration: see `on_fit_task_end`."""

    def on_fit_task_end(
        self,
        estimator: Any,  # noqa: ARG002
        context: Any,
        *,
        X: Any = None,  # noqa: N803 - scikit-learn passes these by name
        y: Any = None,
        fitted_estimator: Any = None,
    ) -> bool:
        """Tell the callbacks of an iteration. Return True to stop training.

        scikit-learn calls this after every iteration, and once more after the whole of `fit`.
        """
        training = self._training
        if training is None:
            return False
        if context is self._fit:
            self._reached_end = True
        # The last call may be for an iteration that did not take place. It has no estimator.
        elif context.parent is self._fit and fitted_estimator is not None:
            self._iterated = True
            number = context.task_id
            self._view.model = fitted_estimator  # scikit-learn makes a new one each time
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


class TensorBoard(BaseTensorBoard, Callbacks):
    """`eventwriter.callbacks.TensorBoard` in an estimator's `fit`, with the same arguments."""
