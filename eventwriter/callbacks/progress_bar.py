"""A progress bar for every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._imports import importing, missing_extra
from eventwriter.training.recorder import Recorder

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


class ProgressBar(Recorder):
    """Shows each epoch as a progress bar of tqdm, with its metrics.

    Metrics are fetched from their device only when tqdm draws the bar again.

    Args:
        options: Arguments of `tqdm.tqdm`, such as `leave=False` or `mininterval=1`.

    Raises:
        MissingDependencyError: tqdm is not installed.
    """

    def __init__(self, **options: Any) -> None:
        try:
            with importing():
                from tqdm.auto import tqdm  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise missing_extra("ProgressBar", "tqdm", "progress") from error
        self._tqdm = tqdm
        self._options = options
        self._bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Start the bar of the epoch."""
        self._close_bar()
        epochs = self.params.get("epochs")
        name = f"Epoch {epoch + 1}/{epochs}" if epochs else f"Epoch {epoch + 1}"
        options = {"desc": name, "total": self.params.get("steps"), "unit": "batch"}
        self._bar = self._tqdm(**{**options, **self._options})

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Move the bar on."""
        if self._bar is not None:
            if self._bar.total is None:
                self._bar.total = self.params.get("steps")
            if self._bar.update(batch + 1 - self._bar.n):
                self._bar.set_postfix_str(_shown(logs))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """End the bar with the metrics of the epoch, those of validation among them."""
        if self._bar is not None:
            self._bar.set_postfix_str(_shown(logs))
            self._close_bar()

    def close(self, status: str) -> None:  # noqa: ARG002 - the hook's signature
        """End the bar of an epoch that has not ended."""
        self._close_bar()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _shown(logs: Logs) -> str:
    numbers = ((name, value) for name, value in logs.items() if isinstance(value, (int, float)))
    return ", ".join(f"{name}={value:.4g}" for name, value in numbers)
