"""The metric that a callback decides by, and whether it should be low or high."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs

# Words in names of metrics. "val_top5_acc" has the words val, top5 and acc.
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
        who: The name of the callback, for messages.
        metric: The name of the metric in `logs`.
        mode: "min" if low values are better, "max" if high values are, or "auto". With "auto" the
            words in the name of the metric decide, at the first comparison. Any other mode gives a
            warning and behaves like "auto".
        min_delta: A value must be better than another by more than this. The sign is ignored.

    Raises:
        ArgumentTypeError: `metric` is no str.
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
        self.metric = metric
        self._who = who
        self._mode = mode
        self._min_delta = abs(min_delta)

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

        Raises:
            ArgumentValueError: The mode is "auto", and the name of the metric has no known word.
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
        """Whether a low value is better than a high one.

        Raises:
            ArgumentValueError: The mode is "auto", and the name of the metric has no known word.
        """
        if self._mode == "auto":
            self._mode = self._mode_by_name()
        return self._mode == "min"

    def _mode_by_name(self) -> str:
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", self.metric).lower()
        words = [word for word in re.split(r"[^a-z0-9]+", name) if word]
        # The last known word decides: "accuracy_loss" is a loss.
        for word in reversed(words):
            if word in _LESS_IS_BETTER.split():
                return "min"
            if word in _GREATER_IS_BETTER.split():
                return "max"
        raise ArgumentValueError(
            f"{self._who}: mode: expected a metric with a known word in its name, such as loss or "
            f"accuracy, got {self.metric!r}. Pass mode='max' or mode='min'."
        )

    def _warn(self, what: str, logs: Logs, consequence: str) -> None:
        warn_caller(
            f"{self._who}: {what}, so {consequence}. Available: {', '.join(logs) or 'none'}."
        )
