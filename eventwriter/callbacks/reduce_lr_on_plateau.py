"""Reduces the learning rate when a metric does not improve any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._values.arguments import count
from eventwriter.errors import ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.messages import say
from eventwriter.training.model_view import require
from eventwriter.training.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventwriter.training.metrics import Logs


class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by `factor` after `patience` epochs without improvement.

    The rules are those of Keras 3, with two differences. NaN is never an improvement. `cooldown=N`
    shields N epochs, where Keras shields N - 1.

    Args:
        monitor: The name of the metric in `logs`.
        factor: A number between 0 and 1.
        patience: The number of epochs without improvement. 0 behaves like 1.
        verbose: 1 prints each decision.
        mode: "min", "max", or "auto", which chooses by the name of the metric.
        min_delta: A change must be larger than this to be an improvement.
        cooldown: The number of epochs after a reduction that do not count.
        min_lr: The learning rate is never set below this.

    Raises:
        ArgumentTypeError: `monitor` is no str, or a number of epochs is no int.
        ArgumentValueError: `factor` is not between 0 and 1; a number of epochs is negative; or
            `mode` is "auto", and the name of the metric does not tell whether it should be low or
            high.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0,
    ) -> None:
        if not 0 < factor < 1:
            raise ArgumentValueError(
                f"ReduceLROnPlateau: factor: expected a number between 0 and 1, got {factor!r}. "
                "The learning rate is multiplied by it."
            )
        self._monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self._factor = factor
        self._patience = count(patience, "ReduceLROnPlateau: patience")
        self._verbose = verbose
        self._cooldown = count(cooldown, "ReduceLROnPlateau: cooldown")
        self._min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self._best: float | None = None
        self._wait = self._cooling = 0

    def get_state(self) -> dict[str, Any]:
        """Return the counters."""
        return {
            "monitor": self._monitor.followed,
            "best": self._best,
            "wait": self._wait,
            "cooling": self._cooling,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier training, if it followed the same metric."""
        if self._monitor.follows(state["monitor"]):
            self._best, self._wait, self._cooling = state["best"], state["wait"], state["cooling"]

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Forget an earlier training.

        Raises:
            ArgumentTypeError: The view of the model knows no learning rate.
        """
        require(self.view, "get_learning_rate", "ReduceLROnPlateau")
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Decide whether to reduce the learning rate, and put "learning_rate" in `logs`."""
        learning_rate = float(require(self.view, "get_learning_rate", "ReduceLROnPlateau"))
        logs["learning_rate"] = learning_rate
        value = self._monitor.value(logs, "the learning rate stays")
        if value is None:
            return
        improved = self._monitor.improved(value, self._best)
        if improved:
            self._best = value
        if self._cooling or improved:
            self._cooling = max(self._cooling - 1, 0)
            self._wait = 0
            return
        self._wait += 1
        if self._wait >= self._patience and learning_rate > self._min_lr:
            reduced = max(learning_rate * self._factor, self._min_lr)
            self.view.set_learning_rate(reduced)
            self._cooling, self._wait = self._cooldown, 0
            if self._verbose:
                say(f"\nEpoch {epoch + 1}: reducing the learning rate to {reduced}.")
