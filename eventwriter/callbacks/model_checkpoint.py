"""Saves the model while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventwriter._values.arguments import path
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.frequency import batch_frequency
from eventwriter.training.messages import say
from eventwriter.training.model_view import require
from eventwriter.training.monitor import Monitor
from eventwriter.training.path_template import MissingNameError, PathTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventwriter.training.metrics import Logs
    from eventwriter.typing import PathLike


class ModelCheckpoint(Callback):
    """Saves the model in its framework's own format, after every epoch or every few batches.

    The rules are those of Keras 3, with two differences. NaN is never an improvement. An epoch
    without a metric that the path or `save_best_only` needs, such as an epoch without validation,
    gives a warning and saves nothing.

    Args:
        filepath: The path of the file, with placeholders for the epoch (from 1), for the batch
            (from 1, if `save_freq` is a number) and for metrics:
            "models/{epoch:02d}-{val_loss:.3f}". The name of a metric may hold dots and slashes:
            "{val/loss:.3f}". The suffix of the format is added if the path does not end with it.
            Directories are made.
        monitor: The name of the metric in `logs`.
        verbose: 1 prints each decision.
        save_best_only: Whether a model is saved only if it is better than all before.
        save_weights_only: Whether the optimizer's state is left out.
        mode: "min", "max", or "auto", which chooses by the name of the metric.
        save_freq: "epoch", or a number of batches, counted across epochs.
        initial_value_threshold: The value that the first saved model must be better than.

    Attributes:
        best: The best value so far, or None. A second training with this object continues from it.

    Raises:
        ArgumentTypeError: `monitor` is no str, or `filepath` is no path.
        ArgumentValueError: `filepath` is no template of such placeholders, or `save_freq` is
            something else; or `save_best_only` is True, `mode` is "auto", and the name of the
            metric does not tell whether it should be low or high.
    """

    def __init__(
        self,
        filepath: PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        if not save_best_only and mode == "auto":
            mode = "min"  # no value is compared
        self._monitor = Monitor("ModelCheckpoint", monitor, mode)
        self._verbose = verbose
        self._best_only = save_best_only
        self._weights_only = save_weights_only
        self._batches = batch_frequency(save_freq, "ModelCheckpoint: save_freq", "epoch")
        self._batches_since_save = 0
        self._epoch = 0
        place = {"epoch": 1, "batch": 1} if self._batches else {"epoch": 1}
        where = "ModelCheckpoint: filepath"
        self._template = PathTemplate(path(filepath, where), where, place)
        self.best = initial_value_threshold

    def idle_hooks(self) -> tuple[Any, ...]:
        """See `Callback.idle_hooks`."""
        return () if self._batches else (ModelCheckpoint.on_batch_end,)

    def get_state(self) -> dict[str, Any]:
        """Return the best value, and the number of batches since a model was saved."""
        return {
            "monitor": self._monitor.followed,
            "best": self.best,
            "batches_since_save": self._batches_since_save,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier training, if it followed the same metric."""
        self._batches_since_save = state["batches_since_save"]
        if not self._best_only or not self._monitor.follows(state["monitor"]):
            return
        best = state["best"]
        if best is not None and self._monitor.improved(best, self.best):
            self.best = best

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Check that the model can be saved.

        Raises:
            ArgumentTypeError: The view of the model cannot save.
        """
        self._suffix: str = require(self.view, "suffix", "ModelCheckpoint", self._weights_only)

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Note the epoch."""
        self._epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """Save the model after every `save_freq` batches."""
        if self._batches:
            self._batches_since_save += self.training.batches_in_call
            if self._batches_since_save >= self._batches:
                self._batches_since_save = 0
                self._save({"epoch": self._epoch + 1, "batch": batch + 1}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Save the model, unless `save_freq` is a number.

        Raises:
            ArgumentValueError: The path is a directory.
            OSError: The file cannot be written.
        """
        if not self._batches:
            self._save({"epoch": epoch + 1}, logs)

    def _save(self, place: dict[str, int], logs: Logs) -> None:
        value, better = self.best, ""
        if self._best_only:
            metric, best = self._monitor.metric, self.best
            value = self._monitor.value(logs, "nothing is saved")
            if value is None:
                return
            if not self._monitor.improved(value, best):
                self._tell(place, f"{metric} did not improve from {_shown(best)}")
                return
            better = f"{metric} improved from {_shown(best)} to {_shown(value)}"
        path = self._path(place, logs)
        if path is None:
            return
        if better:
            self._tell(place, better)
        self._tell(place, f"saving model to {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.view.save(str(path), self._weights_only)
        self.best = value  # the best model is one that was saved

    def _path(self, place: dict[str, int], logs: Logs) -> Path | None:
        """Return the path of a file, or None after a warning that a metric in it is missing."""
        try:
            path = self._template.filled(place, logs)
        except MissingNameError as error:
            warn_caller(
                f"ModelCheckpoint: filepath: {error}, so nothing is saved. "
                f"Available: {', '.join([*place, *logs])}."
            )
            return None
        if not path.endswith(self._suffix):
            path += self._suffix
        if Path(path).is_dir():
            raise ArgumentValueError(
                f"ModelCheckpoint: filepath: expected a file, got {path}, which is a directory. "
                "Choose another name."
            )
        return Path(path)

    def _tell(self, place: dict[str, int], message: str) -> None:
        if self._verbose:
            say(f"\nEpoch {place['epoch']}: {message}")


def _shown(value: float | None) -> str:
    return "None" if value is None else f"{value:.5f}"
