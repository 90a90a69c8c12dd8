"""The metrics of every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter.training.callback import Callback

if TYPE_CHECKING:
    from eventwriter.training.callback import Logs


class History(Callback):
    """Keeps every epoch's metrics. `Loop` and the adapters add one where there is none.

    Attributes:
        epoch: The epochs of the latest training.
        history: Values by metric. It goes on where the same object is used again; a metric that
            an epoch did not have is left out, not filled.
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Begins a new list of epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Appends the epoch's metrics."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
