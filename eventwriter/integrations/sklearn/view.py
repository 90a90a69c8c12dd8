"""What callbacks ask of an estimator of scikit-learn."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.sources import build_graph
from eventwriter.integrations.sklearn.replay import CURVES
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEARNING_RATES = ("learning_rate_init", "eta0")
"""The parameters that hold the learning rate: of multi-layer perceptrons, of SGD estimators."""


class SklearnView(ModelView):
    """The view of an estimator.

    Args:
        model: The estimator.
        optimizer: Not used: an estimator has no optimizer. Every view has this argument.

    Attributes:
        model: The estimator.

    Raises:
        ArgumentTypeError: `model` is no estimator.
    """

    has_layers = False

    def __init__(self, model: Any, optimizer: Any = None) -> None:  # noqa: ARG002
        if not isinstance(model, BaseEstimator):
            raise ArgumentTypeError(
                f"SklearnView: expected an estimator of scikit-learn, got {type_name(model)}."
            )
        self.model = model

    def weights(self) -> Mapping[str, Any]:
        """Return the arrays that `fit` made: public attributes that end with an underscore.

        Names are without the underscore. The arrays of a list are numbered: "coefs/0".
        """
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

    def graph(self, inputs: Any) -> Any:  # noqa: ARG002
        """See `ModelView.graph`. Inputs are not needed."""
        return build_graph(self.model)

    def get_learning_rate(self) -> float | None:
        """Return the parameter that is the learning rate; None if the estimator has none."""
        name = self._learning_rate_name()
        return None if name is None else float(getattr(self.model, name))

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the parameter that is the learning rate."""
        name = self._learning_rate_name()
        if name is None:
            self._refuse("set_learning_rate")
        setattr(self.model, name, learning_rate)

    def get_state(self) -> Any:
        """Return a copy of all attributes: the parameters, and all that `fit` made."""
        return copy.deepcopy(vars(self.model))

    def set_state(self, state: Any) -> None:
        """See `ModelView.set_state`."""
        vars(self.model).clear()
        vars(self.model).update(copy.deepcopy(state))

    def _learning_rate_name(self) -> str | None:
        names = (
            name for name in _LEARNING_RATES if isinstance(getattr(self.model, name, 0), float)
        )
        return next(names, None)


def _is_weight(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


View = SklearnView
