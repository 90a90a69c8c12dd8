"""A progress bar for every epoch."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from eventwriter._imports import importing, missing_extra
from eventwriter.training.recorder import Recorder

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


_LINE = "{desc}: {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"
"""tqdm's format of the line of an epoch that has ended, without the bar."""


class ProgressBar(Recorder):
    """Shows each epoch as a progress bar of tqdm, with its metrics.

    If an epoch is known to be one batch, as a round of boosting is, there is one bar for the whole
    training, which counts epochs.

    Metrics are fetched from their device only when tqdm draws the bar again. Where there is no
    terminal, such as in the log of a batch job, each epoch is one line, written at its end.

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
        self._is_whole = False

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Decide whether there is one bar for the whole training."""
        self._close_bar()
        self._is_whole = self.params.get("steps") == 1

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Start the bar of the epoch, or of the training at its first epoch."""
        epochs = self.params.get("epochs")
        if not self._is_whole:
            self._close_bar()
            name = f"Epoch {epoch + 1}/{epochs}" if epochs else f"Epoch {epoch + 1}"
            self._open_bar(desc=name, total=self.params.get("steps"), unit="batch")
        elif self._bar is None:
            self._open_bar(desc="Training", total=epochs, unit="epoch", initial=epoch)

    def _open_bar(self, **options: Any) -> None:
        options |= self._options
        in_notebook = any(kind.__module__ == "tqdm.notebook" for kind in self._tqdm.__mro__)
        shows_bars = in_notebook or _is_terminal(options.get("file"))
        self._bar = self._tqdm(**options) if shows_bars else _Line(self._tqdm, options)

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Move the bar on."""
        if self._bar is not None and not self._is_whole:
            if self._bar.total is None:
                self._bar.total = self.params.get("steps")
            if self._bar.update(batch + 1 - self._bar.n):
                self._bar.set_postfix_str(_shown(logs))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """End the bar with the metrics of the epoch, those of validation among them."""
        if self._bar is None:
            return
        if not self._is_whole:
            self._bar.set_postfix_str(_shown(logs))
            self._close_bar()
        elif self._bar.update():
            self._bar.set_postfix_str(_shown(logs))

    def on_train_end(self, logs: Logs) -> None:
        """End the bar of the training with the metrics of the last epoch."""
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


class _Line:
    """One line in place of a bar, written when it is closed. A bar of tqdm is drawn when it begins.

    It has those parts of tqdm's class that are used here.

    Args:
        tqdm: The class.
        options: The arguments for it. `disable=None` means: only on a terminal.
    """

    def __init__(self, tqdm: Any, options: dict[str, Any]) -> None:
        self._hidden = options.get("disable", False) is not False
        self._tqdm = tqdm
        self._options = options
        self._began = time.monotonic()
        self._postfix = ""
        self.n = options.get("initial", 0)
        self.total = options.get("total")

    def update(self, number: int = 1) -> bool:
        self.n += number
        return False  # nothing was drawn

    def set_postfix_str(self, text: str) -> None:
        self._postfix = text

    def close(self) -> None:
        if self._hidden:
            return
        names = ("unit", "unit_scale", "unit_divisor", "bar_format", "initial")
        line = self._tqdm.format_meter(
            self.n,
            self.total,
            time.monotonic() - self._began,
            prefix=self._options["desc"],
            postfix=self._postfix,
            **{
                "bar_format": _LINE,
                **{name: self._options[name] for name in names if name in self._options},
            },
        )
        print(line, file=self._options.get("file") or sys.stderr, flush=True)


def _is_terminal(file: Any) -> bool:
    isatty = getattr(file or sys.stderr, "isatty", None)
    return isatty is not None and bool(isatty())


def _shown(logs: Logs) -> str:
    numbers = ((name, value) for name, value in logs.items() if isinstance(value, (int, float)))
    return ", ".join(f"{name}={value:.4g}" for name, value in numbers)
