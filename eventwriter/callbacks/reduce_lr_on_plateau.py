"""Lowers the learning rate when a metric does not get better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventwriter.errors import ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.model_view import require
from eventwriter.training.monitor import Monitor, count_of

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by `factor` after `patience` epochs without improvement.

    The rules are those of Keras 3, but NaN is never an improvement, and `cooldown=N` shields N
    epochs (Keras: N - 1).

    Args:
        monitor: The metric's name in `logs`.
        factor: Below 1.
        patience: Epochs without improvement; 0 is as 1.
        verbose: 1 prints what is done.
        mode: "min", "max", or "auto": told by the metric's name.
        min_delta: A change by no more than this is no improvement.
        cooldown: Epochs after a reduction that do not count.
        min_lr: The learning rate is not made lower.

    Raises:
        ArgumentValueError: `factor` is not between 0 and 1.
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
                f"ReduceLROnPlateau: factor: expected a number between 0 and 1, got {factor!r}."
            )
        self._monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self._factor = factor
        self._patience = count_of("ReduceLROnPlateau", "patience", patience)
        self._verbose = verbose
        self._cooldown = count_of("ReduceLROnPlateau", "cooldown", cooldown)
        self._min_lr = min_lr

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Forgets an earlier training.

        Raises:
            ArgumentTypeError: The model's view knows no learning rate.
        """
        require(self.view, "get_learning_rate", "ReduceLROnPlateau")
        self._best: float | None = None
        self._wait = self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Decides; `logs` gets the epoch's "learning_rate".

        Raises:
            ArgumentValueError: The metric's direction cannot be told.
        """
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
                print(f"\nEpoch {epoch + 1}: reducing the learning rate to {reduced}.")
