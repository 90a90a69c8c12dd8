"""Saves the model as it trains."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import TYPE_CHECKING

from eventwriter.errors import ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.model_view import require
from eventwriter.training.monitor import Monitor

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


class ModelCheckpoint(Callback):
    """Saves the model, in its framework's own format, at every epoch's end or every few batches.

    The rules are those of Keras 3, but NaN is never an improvement, and where the metric is missing
    with `save_best_only`, a warning says so and nothing is saved.

    Args:
        filepath: Where to, with places for the epoch (from 1), the batch (from 1, with a number
            for `save_freq`) and the metrics: "models/{epoch:02d}-{val_loss:.3f}". The format's
            suffix is added where it does not end so. Directories are made.
        monitor: The metric's name in `logs`.
        verbose: 1 prints what is done.
        save_best_only: Whether only a model that is better than all before is saved.
        save_weights_only: Whether the optimizer's state is left out.
        mode: "min", "max", or "auto": told by the metric's name.
        save_freq: "epoch", or a number of batches, which are counted across epochs.
        initial_value_threshold: What the first model has to be better than.

    Attributes:
        best: The best value so far; it stays where the same object is used again.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not is_count:
            raise ArgumentValueError(
                "ModelCheckpoint: save_freq: expected 'epoch' or a number of batches, got "
                f"{save_freq!r}."
            )
        self._template = os.fspath(filepath)
        try:
            self._fields = [field for _, field, _, _ in string.Formatter().parse(self._template)]
        except ValueError as error:
            raise ArgumentValueError(
                f"ModelCheckpoint: filepath: {self._template!r}: {error}."
            ) from error
        self._monitor = Monitor("ModelCheckpoint", monitor, mode)
        self._verbose = verbose
        self._best_only = save_best_only
        self._weights_only = save_weights_only
        self._batches = save_freq if isinstance(save_freq, int) else 0
        self._batches_since_save = 0
        self._epoch = 0
        self.best = initial_value_threshold

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Sees to it that the model can be saved.

        Raises:
            ArgumentTypeError: The model's view cannot save.
        """
        self._suffix: str = require(self.view, "suffix", "ModelCheckpoint", self._weights_only)

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Notes the epoch."""
        self._epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Saves after so many batches."""
        if self._batches:
            self._batches_since_save += 1
            if self._batches_since_save >= self._batches:
                self._batches_since_save = 0
                self._save({"epoch": self._epoch + 1, "batch": batch + 1}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Saves.

        Raises:
            ArgumentValueError: The path names something that there is not, or is a directory; or
                the metric's direction cannot be told.
        """
        if not self._batches:
            self._save({"epoch": epoch + 1}, logs)

    def _save(self, place: dict[str, int], logs: Logs) -> None:
        path = self._path(place, logs)
        where = f"\nEpoch {place['epoch']}:"
        if self._best_only:
            metric, best = self._monitor.metric, self.best
            value = self._monitor.value(logs, "nothing is saved")
            if value is None:
                return
            if not self._monitor.improved(value, best):
                self._tell(f"{where} {metric} did not improve from {_shown(best)}")
                return
            self._tell(f"{where} {metric} improved from {_shown(best)} to {_shown(value)}")
            self.best = value
        self._tell(f"{where} saving model to {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.view.save(str(path), self._weights_only)

    def _path(self, place: dict[str, int], logs: Logs) -> Path:
        known = {**place, **{name: logs[name] for name in logs if name in self._needed()}}
        try:
            path = self._template.format(**known)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ArgumentValueError(
                f"ModelCheckpoint: filepath: {self._template!r} cannot be filled in: {error!r}. "
                f"Available: {', '.join([*place, *logs])}."
            ) from error
        if not path.endswith(self._suffix):
            path += self._suffix
        if Path(path).is_dir():
            raise ArgumentValueError(f"ModelCheckpoint: filepath: {path} is a directory.")
        return Path(path)

    def _needed(self) -> set[str]:
        """The metrics in the path: only these are fetched from their device."""
        return {field.split(".")[0].split("[")[0] for field in self._fields if field}

    def _tell(self, message: str) -> None:
        if self._verbose:
            print(message)


def _shown(value: float | None) -> str:
    return "None" if value is None else f"{value:.5f}"
