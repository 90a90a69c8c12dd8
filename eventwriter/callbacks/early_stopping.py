"""Stops training when a metric does not improve any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._values.arguments import count
from eventwriter.training.callback import Callback
from eventwriter.training.messages import say
from eventwriter.training.model_view import require
from eventwriter.training.monitor import Monitor
from eventwriter.training.saved_state import ModelState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventwriter.training.metrics import Logs


class EarlyStopping(Callback):
    """Stops training when the monitored metric has not improved for `patience` epochs.

    The rules are those of Keras 3, but NaN is never an improvement. An epoch without the metric
    gives a warning, and does not count.

    Args:
        monitor: The name of the metric in `logs`.
        min_delta: A change must be larger than this to be an improvement.
        patience: The number of epochs without improvement after which training stops. 0 behaves
            like 1.
        verbose: 1 prints each decision.
        mode: "min", "max", or "auto", which chooses by the name of the metric.
        baseline: A value that the metric must become better than. Until then, no improvement resets
            the count of epochs without improvement.
        restore_best_weights: Whether the model gets the weights of the best epoch when training
            ends, also if it was not stopped early.
        start_from_epoch: The first epoch that counts.

    Attributes:
        stopped_epoch: The epoch after which training was stopped, 0 if it was not.
        best: The best value so far, or None.
        best_epoch: The epoch of the best value.

    Raises:
        ArgumentTypeError: `monitor` is no str, or a number of epochs is no int.
        ArgumentValueError: A number of epochs is negative, or `mode` is "auto" and the name of the
            metric does not tell whether it should be low or high.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        self._monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self._patience = count(patience, "EarlyStopping: patience")
        self._start = count(start_from_epoch, "EarlyStopping: start_from_epoch")
        self._verbose = verbose
        self._baseline = baseline
        self._restore = restore_best_weights
        self._reset()

    def _reset(self) -> None:
        self._wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self._best_state: Any = None

    def get_state(self) -> dict[str, Any]:
        """Return the counters, and the best weights if they shall be restored."""
        best = self._best_state
        return {
            "monitor": self._monitor.followed,
            "wait": self._wait,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": None if best is None else ModelState(best),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier training, if it followed the same metric and kept its weights."""
        weights = state["best_weights"]
        if self._monitor.follows(state["monitor"]) and not (self._restore and weights is None):
            self._wait = state["wait"]
            self.best = state["best"]
            self.best_epoch = state["best_epoch"]
            self._best_state = weights.state if self._restore else None

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Forget an earlier training.

        Raises:
            ArgumentTypeError: Weights shall be restored, and the view of the model cannot do it.
        """
        self._reset()
        if self._restore:
            require(self.view, "get_state", "EarlyStopping(restore_best_weights)")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Decide whether training stops."""
        value = self._monitor.value(logs, "it cannot stop training")
        if value is None or epoch < self._start:
            return
        if self._restore and self._best_state is None:
            self._best_state, self.best_epoch = self.view.get_state(), epoch
        self._wait += 1
        if self._monitor.improved(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self._restore:
                self._best_state = self.view.get_state()
            if self._baseline is None or self._monitor.improved(value, self._baseline):
                self._wait = 0
        elif self._wait >= self._patience and epoch > 0:
            self.stopped_epoch = epoch
            self.training.stop_training = True

    def on_train_end(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Restore the weights of the best epoch, if asked to."""
        if self.stopped_epoch and self._verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self._best_state is not None:
            if self._verbose:
                say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.view.set_state(self._best_state)
            self._best_state = None
