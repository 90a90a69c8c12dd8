"""What callbacks ask of the boosters of LightGBM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightgbm

from eventwriter._file.whole_file import whole_path
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping


class LightGBMView(ModelView):
    """The view of a lightgbm.Booster, or of a scikit-learn model around one.

    Its weights are the importance of each feature, as the booster has it.

    Args:
        model: The booster.
        optimizer: Has no meaning here.

    Attributes:
        model: The booster.
    """

    def __init__(self, model: Any, optimizer: Any = None) -> None:  # noqa: ARG002 - as all views
        booster = getattr(model, "booster_", model)
        if not isinstance(booster, lightgbm.Booster):
            raise ArgumentTypeError(
                f"LightGBMView: expected a lightgbm.Booster, got {type(model).__name__}."
            )
        self.model = booster

    def weights(self) -> Mapping[str, Any]:
        """The gain, and the number of splits, of each feature: arrays `[features]`."""
        return {
            f"feature_importance/{kind}": self.model.feature_importance(kind)
            for kind in ("gain", "split")
        }

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`; for the trees to come."""
        self.model.reset_parameter({"learning_rate": learning_rate})

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002 - ModelView's
        """See `ModelView.suffix`."""
        return ".txt"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002 - ModelView's
        """Writes LightGBM's text. There is no loading it into a booster that is being trained."""
        with whole_path(path) as temporary:
            self.model.save_model(str(temporary))


View = LightGBMView
