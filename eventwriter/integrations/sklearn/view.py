"""What callbacks ask of an estimator of scikit-learn."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.sources import build_graph
from eventwriter.integrations.sklearn.replay import CURVES
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping


class SklearnView(ModelView):
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

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`: "coef", "coefs/0" and so on, without the underscore."""
        found: dict[str, Any] = {}
        for name, value in vars(self.model).items():
            if not name.endswith("_") or name.startswith("_") or name in CURVES:
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

    def get_learning_rate(self) -> float | None:
        """See `ModelView.get_learning_rate`: `eta0` or `learning_rate_init`."""
        name = self._rate_name()
        return None if name is None else float(getattr(self.model, name))

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`."""
        name = self._rate_name()
        if name is None:
            self._refuse("set_learning_rate")
        setattr(self.model, name, learning_rate)

    def _rate_name(self) -> str | None:
        """The name of the parameter that is the estimator's learning rate, if it has one."""
        names = ("learning_rate_init", "eta0")
        return next((n for n in names if isinstance(getattr(self.model, n, None), float)), None)


def _is_weight(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


View = SklearnView
