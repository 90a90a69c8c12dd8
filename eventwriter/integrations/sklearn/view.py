"""What callbacks ask of an estimator of scikit-learn."""

from __future__ import annotations

import copy
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

from eventwriter._file.whole_file import whole_path
from eventwriter._imports import importing, missing_extra
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.sources import build_graph
from eventwriter.integrations.sklearn.replay import CURVES
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEARNING_RATES = ("learning_rate_init", "eta0")
"""The parameters that hold the learning rate: of multi-layer perceptrons, of SGD estimators."""

_OF_CALLBACKS = frozenset(
    {
        "_skl_callbacks",
        "_skl_callbacks_to_teardown",
        "_callback_fit_ctx",
        "_parent_callback_ctx",
    }
)
"""Attributes with which scikit-learn drives the callbacks of a `fit` that runs."""


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
        return copy.deepcopy(_own(self.model))

    def set_state(self, state: Any) -> None:
        """See `ModelView.set_state`."""
        attributes = vars(self.model)
        for name in _own(self.model):
            del attributes[name]
        attributes.update(copy.deepcopy(state))

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002
        """See `ModelView.suffix`: the format of skops, which holds no pickle.

        Raises:
            MissingDependencyError: skops is not installed.
        """
        _skops("SklearnView")
        return ".skops"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002
        """See `ModelView.save`. Functions of the user's own, such as a lambda, cannot be saved.

        Raises:
            MissingDependencyError: skops is not installed.
        """
        skops = _skops("SklearnView.save")
        with whole_path(path) as temporary:
            skops.dump(self._bare(), temporary)

    def can_load(self) -> bool:
        """See `ModelView.can_load`."""
        return True

    def load(self, path: str) -> None:
        """See `ModelView.load`.

        Classes of scikit-learn are trusted, and whatever the model already consists of.

        Raises:
            ArgumentValueError: The file holds an estimator of another class.
            MissingDependencyError: skops is not installed.
            skops.io.exceptions.UntrustedTypesFoundException: The file holds something else.
        """
        skops = _skops("SklearnView.load")
        trusted = skops.get_untrusted_types(data=skops.dumps(self._bare()))
        trusted += filter(_is_class_of_sklearn, skops.get_untrusted_types(file=path))
        loaded = skops.load(path, trusted=trusted)
        if type(loaded) is not type(self.model):
            raise ArgumentValueError(
                f"{path}: expected an estimator of the class {type_name(self.model)}, got "
                f"{type_name(loaded)}. Load a file of the same model."
            )
        self.set_state(vars(loaded))

    def _bare(self) -> Any:
        """Return the estimator without the callbacks of its `fit`, as a copy that shares arrays."""
        bare = copy.copy(self.model)
        for name in vars(self.model).keys() - _own(self.model).keys():
            delattr(bare, name)
        return bare

    def _learning_rate_name(self) -> str | None:
        names = (
            name for name in _LEARNING_RATES if isinstance(getattr(self.model, name, 0), float)
        )
        return next(names, None)


def _own(model: Any) -> dict[str, Any]:
    """Return the attributes that belong to the model, and not to the callbacks of its `fit`."""
    return {name: value for name, value in vars(model).items() if name not in _OF_CALLBACKS}


def _skops(place: str) -> Any:
    """Return the module `skops.io`."""
    try:
        with importing():
            import skops.io  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise missing_extra(place, "skops", "sklearn") from error
    return skops.io


def _is_class_of_sklearn(name: str) -> bool:
    """Return whether a dotted name is a class of scikit-learn, and no function of it."""
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] != "sklearn":
        return False
    with importing():
        found = getattr(importlib.import_module(module), attribute, None)
    return isinstance(found, type)


def _is_weight(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


View = SklearnView
