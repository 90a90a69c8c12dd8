"""scikit-learn: callbacks in `fit`, views and graphs of estimators, curves that a fit kept.

An estimator with `partial_fit` is trained in a `Loop`. An estimator that takes callbacks
(scikit-learn 1.9 and later) takes `Callbacks`. For an estimator that trains in a single `fit` and
keeps its loss, `replay` logs the curves afterwards.
"""

from eventwriter.integrations.sklearn.callbacks import Callbacks, TensorBoard
from eventwriter.integrations.sklearn.replay import replay
from eventwriter.integrations.sklearn.view import SklearnView

__all__ = ["Callbacks", "SklearnView", "TensorBoard", "replay"]
