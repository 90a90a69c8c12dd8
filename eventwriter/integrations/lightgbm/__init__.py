"""LightGBM: callbacks in `train` and in estimators, and views of boosters."""

from eventwriter.integrations.lightgbm.callbacks import Callbacks, TensorBoard
from eventwriter.integrations.lightgbm.view import LightGBMView

__all__ = ["Callbacks", "LightGBMView", "TensorBoard"]
