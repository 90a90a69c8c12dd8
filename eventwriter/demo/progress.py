"""The progress bar of the demo: one line on stderr, with the latest epoch's metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tqdm import tqdm

from eventwriter.demo.training import BATCH_SIZE

if TYPE_CHECKING:
    from types import TracebackType

    from eventwriter.demo.training import Metrics


class ProgressBar:
    """Counts batches; a context manager, which ends the line.

    Args:
        passages: In an epoch.
        epochs: Of the whole training.
    """

    def __init__(self, passages: int, epochs: int) -> None:
        batches = math.ceil(passages / BATCH_SIZE) * epochs
        self._bar = tqdm(total=batches, desc="Training", unit="batch")

    def batch_end(self, step: int, loss: float) -> None:  # noqa: ARG002 - Listener's
        """See `Listener.batch_end`."""
        self._bar.update()

    def epoch_end(self, epoch: int, train: Metrics, validation: Metrics) -> None:
        """See `Listener.epoch_end`."""
        self._bar.set_postfix_str(
            f"epoch {epoch + 1}: accuracy {train.accuracy:.2f}, "
            f"validation {validation.accuracy:.2f}"
        )

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
