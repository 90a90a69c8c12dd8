"""What callbacks ask of a booster of LightGBM."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import lightgbm

from eventwriter._file.whole_file import whole_path
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.integrations._importances import importance_numbers
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEARNING_RATE = re.compile(r"^\[learning_rate: (.*)\]$", re.MULTILINE)
"""The line of the parameters in LightGBM's text of a model."""


class LightGBMView(ModelView):
    """The view of a lightgbm.Booster, or of the booster in a scikit-learn model of LightGBM.

    The weights of a booster are its feature importances. Its numbers are the same importances with
    the names of the features.

    Args:
        model: The booster, or a model that has been fitted.
        optimizer: Not used: a booster has no optimizer. Every view has this argument.

    Attributes:
        model: The booster.

    Raises:
        ArgumentTypeError: `model` is neither.
    """

    has_layers = False

    def __init__(self, model: Any, optimizer: Any = None) -> None:  # noqa: ARG002
        booster = model.booster_ if isinstance(model, lightgbm.LGBMModel) else model
        if not isinstance(booster, lightgbm.Booster):
            raise ArgumentTypeError(
                f"LightGBMView: expected a lightgbm.Booster, got {type_name(model)}."
            )
        self.model = booster

    def weights(self) -> Mapping[str, Any]:
        """Return the gain and the number of splits of each feature: arrays `[features]`."""
        return {
            f"feature_importance/{kind}": self.model.feature_importance(kind)
            for kind in ("gain", "split")
        }

    def numbers(self) -> Mapping[str, float]:
        """Return the importance of each feature, such as "feature_importance/gain/age"."""
        return importance_numbers(self.weights(), self.model.feature_name())

    def get_learning_rate(self) -> float | None:
        """Return the learning rate of the rounds that follow.

        Only LightGBM's text of the model tells it, in a line of the parameters. The text of one
        round is enough, because it has all parameters.
        """
        line = _LEARNING_RATE.search(self.model.model_to_string(num_iteration=1))
        return None if line is None else float(line[1])

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the rounds that follow."""
        self.model.reset_parameter({"learning_rate": learning_rate})

    def get_state(self) -> str:
        """Return all rounds of the booster in LightGBM's text."""
        return str(self.model.model_to_string(num_iteration=-1))

    def set_state(self, state: str) -> None:
        """See `ModelView.set_state`. The booster cannot be trained on: its data are gone."""
        self.model.model_from_string(state)

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002
        """See `ModelView.suffix`: LightGBM's text."""
        return ".txt"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002
        """See `ModelView.save`. LightGBM cannot load the file into a booster that is trained."""
        with whole_path(path) as temporary:
            self.model.save_model(str(temporary))


View = LightGBMView
