"""The metric that a callback decides by, and whether it should be low or high."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.metric_directions import direction_of

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


class Monitor:
    """Follows one metric.

    Args:
        who: The name of the callback, for messages.
        metric: The name of the metric in `logs`.
        mode: "min" if low values are better, "max" if high values are, or "auto". With "auto" the
            words in the name of the metric decide. Any other mode gives a warning and behaves like
            "auto".
        min_delta: A value must be better than another by more than this. The sign is ignored.

    Attributes:
        less_is_better: Whether a low value is better than a high one.

    Raises:
        ArgumentTypeError: `metric` is no str.
        ArgumentValueError: The mode is "auto", and the name of the metric has no known word.
    """

    def __init__(self, who: str, metric: str, mode: str = "auto", min_delta: float = 0) -> None:
        if not isinstance(metric, str):
            raise ArgumentTypeError(
                f"{who}: monitor: expected the name of a metric, got {type_name(metric)}. "
                "Pass a str."
            )
        if mode not in {"auto", "min", "max"}:
            warn_caller(
                f"{who}: mode: expected 'auto', 'min' or 'max', got {mode!r}. It behaves like "
                "'auto'."
            )
            mode = "auto"
        direction = direction_of(metric) if mode == "auto" else mode
        if direction is None:
            raise ArgumentValueError(
                f"{who}: mode: expected a metric with a known word in its name, such as loss or "
                f"accuracy, got {metric!r}. Pass mode='max' or mode='min'."
            )
        self.metric = metric
        self.less_is_better = direction == "min"
        self._who = who
        self._min_delta = abs(min_delta)

    @property
    def followed(self) -> list[str]:
        """The metric and its direction, for the state of a callback."""
        return [self.metric, "min" if self.less_is_better else "max"]

    def follows(self, followed: list[str]) -> bool:
        """Return whether a state is of the same metric and direction. Warn if it is not."""
        if followed != self.followed:
            warn_caller(
                f"{self._who}: expected a backup of a training that followed {self.followed}, got "
                f"one that followed {followed}. The callback begins anew."
            )
        return followed == self.followed

    def value(self, logs: Logs, consequence: str) -> float | None:
        """Return the value of the metric, or None if it is missing or no number.

        Args:
            logs: The logs of the hook.
            consequence: The end of the warning about None: "nothing is saved".
        """
        if self.metric not in logs:
            self._warn(f"the metric {self.metric!r} is not available", logs, consequence)
            return None
        value = logs[self.metric]
        if not isinstance(value, (int, float)):
            self._warn(f"{self.metric!r} is no number: {value!r}", logs, consequence)
            return None
        return float(value)

    def improved(self, value: float, reference: float | None) -> bool:
        """Return whether a value is better than another by more than `min_delta`.

        NaN is never better. Every number is better than None and than NaN.

        Args:
            value: The new value.
            reference: The best value so far.
        """
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        if self.less_is_better:
            return value + self._min_delta < reference
        return value - self._min_delta > reference

    def _warn(self, what: str, logs: Logs, consequence: str) -> None:
        warn_caller(
            f"{self._who}: {what}, so {consequence}. Available: {', '.join(logs) or 'none'}."
        )
