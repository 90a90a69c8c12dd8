"""Sets the learning rate by a function of the epoch."""

from __future__ import annotations

import inspect
import math
import numbers
from typing import TYPE_CHECKING, Any

from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.model_view import require
from eventwriter.training.monitor import count_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter.training.metrics import Logs


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    Args:
        schedule: A function of the epoch (from 0) and, where it takes two arguments, the learning
            rate until now, which returns the one from now on.
        verbose: 1 prints it.

    Raises:
        ArgumentTypeError: `schedule` cannot be called with one or two arguments.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        self._schedule = schedule
        self._takes_rate = _takes_two(schedule)
        self._verbose = count_of("LearningRateScheduler", "verbose", int(verbose))

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Sees to it that there is a learning rate.

        Raises:
            ArgumentTypeError: The model's view knows none.
        """
        require(self.view, "get_learning_rate", "LearningRateScheduler")

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Sets it.

        Raises:
            ArgumentTypeError: The schedule returned no number.
            ArgumentValueError: It returned NaN or an infinity.
        """
        arguments = (epoch, self.view.get_learning_rate()) if self._takes_rate else (epoch,)
        rate = self._schedule(*arguments)
        if getattr(rate, "ndim", None) == 0 and hasattr(rate, "item"):
            rate = rate.item()
        if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
            raise ArgumentTypeError(
                f"LearningRateScheduler: schedule({epoch}): expected a number, got {rate!r}."
            )
        if not math.isfinite(rate):
            raise ArgumentValueError(
                f"LearningRateScheduler: schedule({epoch}): expected a finite number, got {rate}."
            )
        self.view.set_learning_rate(float(rate))
        if self._verbose:
            print(f"\nEpoch {epoch + 1}: setting the learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Puts the epoch's "learning_rate" in `logs`."""
        logs["learning_rate"] = float(
            require(self.view, "get_learning_rate", "LearningRateScheduler")
        )


def _takes_two(schedule: Any) -> bool:
    """Whether the function takes the learning rate too.

    It is asked, not tried: an error within it would look the same.
    """
    if not callable(schedule):
        raise ArgumentTypeError(
            f"LearningRateScheduler: schedule: expected a function of the epoch, got {schedule!r}."
        )
    try:
        signature = inspect.signature(schedule)
    except (TypeError, ValueError):  # built in, without a signature
        return False
    for count in (2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count == 2
    raise ArgumentTypeError(
        "LearningRateScheduler: schedule: expected a function of (epoch) or of (epoch, "
        f"learning_rate), got one of {signature}."
    )
