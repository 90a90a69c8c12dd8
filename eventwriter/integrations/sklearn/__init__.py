"""Training of scikit-learn's estimators: what callbacks ask of them, and curves that they kept.

An estimator with `partial_fit` is trained in a `Loop`. One that takes callbacks (scikit-learn 1.9
and later) takes `Callbacks`. For one that trains in a single `fit` and keeps its loss, `replay`
shows it afterwards.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from eventwriter import SummaryWriter
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.sources import build_graph
from eventwriter.training.training import Training

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

# What estimators keep of every round, and the run and tag that it is shown as.
_CURVES = {
    "loss_curve_": ("train", "epoch_loss"),
    "train_score_": ("train", "epoch_loss"),
    "validation_scores_": ("validation", "epoch_score"),
    "validation_score_": ("validation", "epoch_score"),
}


class SklearnView:
    """The view of an estimator; see `eventwriter.callbacks.ModelView`.

    Its weights are the arrays that fitting made: public attributes that end in an underscore.

    Args:
        model: The estimator.
        optimizer: Has no meaning here.

    Attributes:
        model: The estimator.
    """

    def __init__(self, model: Any, optimizer: Any = None) -> None:  # noqa: ARG002 - as all views
        if not isinstance(model, BaseEstimator):
            raise ArgumentTypeError(
                f"SklearnView: expected an estimator of scikit-learn, got {type(model).__name__}."
            )
        self.model = model
        for name in ("eta0", "learning_rate_init"):
            if isinstance(getattr(model, name, None), float):
                # A part that is missing is told of by who needs it: see `ModelView`.
                self.get_learning_rate = lambda name=name: float(getattr(model, name))
                self.set_learning_rate = lambda value, name=name: setattr(model, name, value)

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`: "coef", "coefs/0" and so on, without the underscore."""
        found: dict[str, Any] = {}
        for name, value in vars(self.model).items():
            if not name.endswith("_") or name.startswith("_") or name in _CURVES:
                continue
            if _is_weight(value):
                found[name[:-1]] = value
            elif isinstance(value, list):
                arrays = [array for array in value if _is_weight(array)]
                found |= {f"{name[:-1]}/{index}": array for index, array in enumerate(arrays)}
        return found

    def graph(self, inputs: Any) -> Any:  # noqa: ARG002 - ModelView's
        """See `ModelView.graph`."""
        return build_graph(self.model)

    def get_state(self) -> Any:
        """See `ModelView.get_state`: all that fitting made."""
        return copy.deepcopy(vars(self.model))

    def set_state(self, state: Any) -> None:
        """See `ModelView.set_state`."""
        vars(self.model).clear()
        vars(self.model).update(copy.deepcopy(state))


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


def replay(estimator: Any, log_dir: str | os.PathLike[str]) -> None:
    """Logs the curves that a fitted estimator kept, a round a step.

    The loss as "epoch_loss" in the run `train`, scores of held-out data as "epoch_score" in
    `validation`.

    Args:
        estimator: Such as an MLPClassifier or a gradient boosting model.
        log_dir: The runs' directory.

    Raises:
        ArgumentTypeError: It kept none, or is not fitted.
    """
    curves = {
        place: values
        for name, place in _CURVES.items()
        if (values := getattr(estimator, name, None)) is not None and len(values)
    }
    if not curves:
        raise ArgumentTypeError(
            f"replay: {type(estimator).__name__} has none of {', '.join(_CURVES)}: fit it first, "
            "or train it by partial_fit in a Loop."
        )
    for (run, tag), values in curves.items():
        with SummaryWriter(f"{log_dir}/{run}") as writer:
            writer.add_scalar_series(tag, np.asarray(values), np.arange(len(values)))


def _is_weight(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"
