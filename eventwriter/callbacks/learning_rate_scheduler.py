"""Sets the learning rate by a function of the epoch."""

from __future__ import annotations

import inspect
import math
import numbers
from typing import TYPE_CHECKING, Any

from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.messages import say
from eventwriter.training.model_view import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter.training.metrics import Logs


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    Args:
        schedule: A function that returns the learning rate of an epoch. It takes the epoch (from 0)
            and, if it has a second argument, the learning rate so far.
        verbose: 1 prints each learning rate.

    Raises:
        ArgumentTypeError: `schedule` cannot be called with one or two arguments.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        self._schedule = schedule
        self._takes_rate = _takes_two(schedule)
        self._verbose = verbose

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Check that there is a learning rate.

        Raises:
            ArgumentTypeError: The view of the model knows no learning rate.
        """
        require(self.view, "get_learning_rate", "LearningRateScheduler")

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Set the learning rate of the epoch.

        Raises:
            ArgumentTypeError: The schedule returned no number.
            ArgumentValueError: The schedule returned NaN or an infinity.
        """
        arguments = (epoch, self.view.get_learning_rate()) if self._takes_rate else (epoch,)
        rate = self._schedule(*arguments)
        if getattr(rate, "ndim", None) == 0 and hasattr(rate, "item"):
            rate = rate.item()
        if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
            raise ArgumentTypeError(
                f"LearningRateScheduler: schedule({epoch}): expected a number, got {rate!r}. "
                "Return the learning rate."
            )
        if not math.isfinite(rate):
            raise ArgumentValueError(
                f"LearningRateScheduler: schedule({epoch}): expected a finite number, got {rate}. "
                "Such a learning rate would destroy the model."
            )
        self.view.set_learning_rate(float(rate))
        if self._verbose:
            say(f"\nEpoch {epoch + 1}: setting the learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Put the "learning_rate" of the epoch in `logs`."""
        logs["learning_rate"] = float(
            require(self.view, "get_learning_rate", "LearningRateScheduler")
        )


def _takes_two(schedule: Any) -> bool:
    """Return whether a function takes the learning rate too.

    This reads the signature. A trial call would mistake a TypeError within the function for a wrong
    number of arguments.
    """
    if not callable(schedule):
        raise ArgumentTypeError(
            f"LearningRateScheduler: schedule: expected a function of the epoch, got {schedule!r}. "
            "Pass a function, such as lambda epoch: 0.1 * 0.9**epoch."
        )
    try:
        signature = inspect.signature(schedule)
    except (TypeError, ValueError):  # a built-in function without a signature
        return False
    for count in (2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count == 2
    raise ArgumentTypeError(
        "LearningRateScheduler: schedule: expected a function of (epoch) or of (epoch, "
        f"learning_rate), got one of {signature}. Give it these arguments."
    )
