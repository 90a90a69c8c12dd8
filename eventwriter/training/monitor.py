"""A metric that a callback decides by, and which way it is better."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs

# By the words of the metric's name: "val_top5_acc" is top5 and acc.
_GREATER_IS_BETTER = (
    "acc accuracy auc auroc auprc ap map precision recall f1 fbeta fmeasure r2 iou dice jaccard "
    "bleu rouge meteor ndcg mrr reward score psnr ssim kappa mcc specificity sensitivity"
)
_LESS_IS_BETTER = (
    "loss error err mse mae rmse msle mape logloss perplexity ppl nll bce crossentropy entropy "
    "cost distance divergence kl kld wer cer fid regret"
)


class Monitor:
    """Follows one metric.

    Args:
        who: The callback, for messages.
        metric: The metric's name in `logs`.
        mode: "min", "max", or "auto": told by the words of the metric's name when it is first seen.
            Another word warns and means "auto".
        min_delta: By how much a value must be better, its sign without a meaning.
    """

    def __init__(self, who: str, metric: str, mode: str = "auto", min_delta: float = 0) -> None:
        if not isinstance(metric, str):
            raise ArgumentTypeError(
                f"{who}: monitor: expected a metric's name, got {type(metric).__name__}."
            )
        if mode not in {"auto", "min", "max"}:
            warn_caller(
                f"{who}: mode: expected 'auto', 'min' or 'max', got {mode!r}, which is taken "
                "for 'auto'."
            )
            mode = "auto"
        self.metric = metric
        self._who = who
        self._mode = mode
        self._min_delta = abs(min_delta)

    def value(self, logs: Logs, consequence: str) -> float | None:
        """Returns the metric's value; None, with a warning, where it is no number or missing.

        Args:
            logs: Of the hook.
            consequence: What does not happen therefore, for the warning.
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
        """Whether a value is better than another, by more than `min_delta`. NaN never is.

        Args:
            value: The new one.
            reference: The best so far; anything is better than None or NaN.

        Raises:
            ArgumentValueError: The mode is "auto", and the metric's name does not tell it.
        """
        less = self.less_is_better
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        if less:
            return value + self._min_delta < reference
        return value - self._min_delta > reference

    @property
    def less_is_better(self) -> bool:
        """The direction.

        Raises:
            ArgumentValueError: The mode is "auto", and the metric's name does not tell it.
        """
        if self._mode == "auto":
            self._mode = self._told_by_name()
        return self._mode == "min"

    def _told_by_name(self) -> str:
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", self.metric).lower()
        words = [word for word in re.split(r"[^a-z0-9]+", name) if word]
        # The last such word says what it is: "loss_error", "accuracy_loss".
        for word in reversed(words):
            if word in _LESS_IS_BETTER.split():
                return "min"
            if word in _GREATER_IS_BETTER.split():
                return "max"
        raise ArgumentValueError(
            f"{self._who}: cannot tell whether more or less of {self.metric!r} is better. Pass "
            "mode='max' or mode='min'."
        )

    def _warn(self, what: str, logs: Logs, consequence: str) -> None:
        warn_caller(
            f"{self._who}: {what}, so {consequence}. Available: {', '.join(logs) or 'none'}."
        )


def count_of(who: str, name: str, value: Any) -> int:
    """Returns a count of epochs or batches, 0 or more, as it is.

    Raises:
        ArgumentTypeError, ArgumentValueError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentTypeError(f"{who}: {name}: expected an int, got {value!r}.")
    if value < 0:
        raise ArgumentValueError(f"{who}: {name}: expected 0 or more, got {value}.")
    return value
