"""What callbacks ask of a booster of XGBoost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from eventwriter._file.whole_file import whole_path
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.integrations._importances import importance_numbers
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping


class XGBoostView(ModelView):
    """The view of an xgboost.Booster, or of the booster in a scikit-learn model of XGBoost.

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
        booster = model.get_booster() if isinstance(model, xgboost.XGBModel) else model
        if not isinstance(booster, xgboost.Booster):
            raise ArgumentTypeError(
                f"XGBoostView: expected an xgboost.Booster, got {type_name(model)}."
            )
        self.model = booster

    def weights(self) -> Mapping[str, Any]:
        """Return the importances of all features: arrays `[features]`.

        Trees have a gain and a number of splits ("weight") for each feature, 0 for a feature that
        they do not use. A linear booster has a coefficient ("weight"), or `[features, classes]`
        coefficients. Before the first round there is nothing.
        """
        if not self.model.num_boosted_rounds():
            return {}
        kinds = ("weight",) if self._config()["name"] == "gblinear" else ("gain", "weight")
        features = self._features()
        found = {}
        for kind in kinds:
            scores = self.model.get_score(importance_type=kind)
            found[f"feature_importance/{kind}"] = np.array(
                [scores.get(feature, 0.0) for feature in features], np.float64
            )
        return found

    def numbers(self) -> Mapping[str, float]:
        """Return the importance of each feature, such as "feature_importance/gain/age"."""
        return importance_numbers(self.weights(), self._features())

    def _features(self) -> list[str]:
        """Return the names of the features: those of a data frame, otherwise "f0", "f1", ..."""
        names = self.model.feature_names
        return list(names or [f"f{index}" for index in range(self.model.num_features())])

    def get_learning_rate(self) -> float | None:
        """Return the learning rate in the configuration of the booster, a float32."""
        return _find_learning_rate(self._config())

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the rounds that follow."""
        self.model.set_param({"learning_rate": learning_rate})

    def get_state(self) -> bytes:
        """Return the booster as bytes in XGBoost's binary JSON."""
        return bytes(self.model.save_raw("ubj"))

    def set_state(self, state: bytes) -> None:
        """See `ModelView.set_state`."""
        self.model.load_model(bytearray(state))

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002
        """See `ModelView.suffix`: XGBoost's binary JSON."""
        return ".ubj"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002
        """See `ModelView.save`."""
        with whole_path(path) as temporary:
            self.model.save_model(str(temporary))

    def can_load(self) -> bool:
        """See `ModelView.can_load`."""
        return True

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        self.model.load_model(path)

    def _config(self) -> dict[str, Any]:
        """Return the configuration of what is boosted: trees, or a linear model."""
        config: dict[str, Any] = json.loads(self.model.save_config())["learner"]["gradient_booster"]
        return config


def _find_learning_rate(config: dict[str, Any] | list[Any]) -> float | None:
    """Find "learning_rate" at any depth: trees, "dart" and "gblinear" have it in other places."""
    if isinstance(config, dict) and "learning_rate" in config:
        return float(config["learning_rate"])
    parts = config.values() if isinstance(config, dict) else config
    inner = (_find_learning_rate(part) for part in parts if isinstance(part, (dict, list)))
    return next((rate for rate in inner if rate is not None), None)


View = XGBoostView
