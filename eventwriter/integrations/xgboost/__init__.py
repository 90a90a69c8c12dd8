"""XGBoost: callbacks in `train` and in estimators, and views of boosters."""

from eventwriter.integrations.xgboost.callbacks import Callbacks, TensorBoard
from eventwriter.integrations.xgboost.view import XGBoostView

__all__ = ["Callbacks", "TensorBoard", "XGBoostView"]
