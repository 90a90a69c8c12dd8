"""Stops training when the loss is NaN or infinite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from eventwriter.training.callback import Callback
from eventwriter.training.messages import say

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


class TerminateOnNaN(Callback):
    """Stops training when "loss" is NaN or infinite after a batch.

    This callback reads the loss of every batch, so training waits for the device after every batch.

    Args:
        raise_error: Whether to raise an error instead.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self._raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Check the loss.

        Raises:
            RuntimeError: The loss is not finite, and `raise_error` is True.
        """
        loss = logs.get("loss")
        if isinstance(loss, float) and not math.isfinite(loss):
            message = f"Batch {batch}: the loss is {loss}, training ends"
            if self._raise_error:
                raise RuntimeError(message)
            say(message)
            self.training.stop_training = True
