"""The metrics of every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter.training.recorder import Recorder

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


class History(Recorder):
    """Keeps the metrics of every epoch. `Loop` and the adapters add one if there is none.

    It stands in this room and not in `callbacks`, because every `Training` has one.

    Attributes:
        epoch: The numbers of the epochs of the latest training.
        history: The values of each metric. A second training with the same object appends to them.
            A metric that an epoch does not have gets no value for this epoch.
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Start a new list of epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Append the metrics of the epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
