"""What callbacks ask of the boosters of XGBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from eventwriter._file.whole_file import whole_path
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping


class XGBoostView(ModelView):
    """The view of an xgboost.Booster, or of a scikit-learn model around one.

    Its weights are the importance of each feature, as the booster has it.

    Args:
        model: The booster.
        optimizer: Has no meaning here.

    Attributes:
        model: The booster.
    """

    def __init__(self, model: Any, optimizer: Any = None) -> None:  # noqa: ARG002 - as all views
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        if not isinstance(booster, xgboost.Booster):
            raise ArgumentTypeError(
                f"XGBoostView: expected an xgboost.Booster, got {type(model).__name__}."
            )
        self.model = booster

    def weights(self) -> Mapping[str, Any]:
        """The gain, and the number of splits, of each feature: arrays `[features used]`."""
        return {
            f"feature_importance/{kind}": np.array(
                list(self.model.get_score(importance_type=kind).values()), np.float64
            )
            for kind in ("gain", "weight")
        }

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`; for the trees to come."""
        self.model.set_param({"learning_rate": learning_rate})

    def get_state(self) -> bytes:
        """See `ModelView.get_state`."""
        return bytes(self.model.save_raw("ubj"))

    def set_state(self, state: bytes) -> None:
        """See `ModelView.set_state`."""
        self.model.load_model(bytearray(state))

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002 - ModelView's
        """See `ModelView.suffix`."""
        return ".ubj"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002 - ModelView's
        """See `ModelView.save`."""
        with whole_path(path) as temporary:
            self.model.save_model(str(temporary))

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        self.model.load_model(path)


View = XGBoostView
