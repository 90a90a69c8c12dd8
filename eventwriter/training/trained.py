"""Warns of a model that stays untrained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._warn import warn_caller

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs
    from eventwriter.training.model_view import ModelView


class TrainedCheck:
    """Warns if the arrays of the model are the same objects after an epoch that logged something.

    Where each training step makes a new model, the training may have a newer one than its view.
    Then every callback would show and save the model with which training began.

    Args:
        view: The view of the model.
    """

    def __init__(self, view: ModelView) -> None:
        self._view = view
        self._before: Any = None

    def begin(self) -> None:
        """Note which arrays there are when training begins."""
        self._before = self._view.version()

    def epoch_end(self, logs: Logs) -> None:
        """Compare them, once, after the first epoch with a metric of training."""
        trained = any(name != "learning_rate" and not name.startswith("val_") for name in logs)
        if self._before is None or not trained:
            return
        unchanged, self._before = self._before == self._view.version(), None
        if unchanged:
            warn_caller(
                f"{self._view.title}: expected other arrays after an epoch of training, got the "
                "same objects: callbacks see, and save, an untrained model. Pass "
                "view=JaxView(get=lambda: params), where `params` is the name to which the "
                "training step assigns; or put the arrays back into the model after each step, "
                "as nnx.update(model, state) does."
            )
