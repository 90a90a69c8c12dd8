"""Goes on where an interrupted training left off."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.model_view import require

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs

_METADATA = "training_metadata.json"


class BackupAndRestore(Callback):
    """Saves the model and its epoch; a training that begins where a backup lies goes on from it.

    A backup within an epoch begins that epoch anew. The directory is removed when training ends
    well, and kept after an exception, Ctrl-C or `break`.

    Args:
        backup_dir: A directory for this alone: `latest` with the format's suffix, and
            `training_metadata.json` with the epoch and batch to go on with.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: Whether the backup before the latest is kept too, as `.bkp`, for when the
            latest cannot be read.
        delete_checkpoint: Whether the directory is removed when training ended well.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not is_count:
            raise ArgumentValueError(
                "BackupAndRestore: save_freq: expected 'epoch' or a number of batches, got "
                f"{save_freq!r}."
            )
        if not os.fspath(backup_dir):
            raise ArgumentValueError("BackupAndRestore: backup_dir: expected a path, got ''.")
        self._directory = Path(backup_dir)
        self._batches = save_freq if isinstance(save_freq, int) else 0
        self._double = double_checkpoint
        self._delete = delete_checkpoint
        self._epoch = 0

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Reads a backup, if there is one, and has training begin at its epoch.

        Raises:
            ArgumentTypeError: The model's view cannot save or load.
        """
        require(self.view, "can_load", "BackupAndRestore")
        suffix = require(self.view, "suffix", "BackupAndRestore", False)
        self._model_path = self._directory / f"latest{suffix}"
        self._metadata_path = self._directory / _METADATA
        self._directory.mkdir(parents=True, exist_ok=True)
        for bkp in ("", ".bkp"):
            model_path = self._directory / f"latest{bkp}{suffix}"
            metadata_path = self._directory / f"{_METADATA}{bkp}"
            if not metadata_path.exists():
                continue
            try:
                epoch = int(json.loads(metadata_path.read_text("utf-8"))["epoch"])
                self.view.load(str(model_path))
            except Exception as error:  # noqa: BLE001 - whatever the framework raises
                warn_caller(f"BackupAndRestore: {model_path} cannot be read: {error!r}.")
                continue
            self.training.initial_epoch = epoch
            return

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Notes the epoch."""
        self._epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Saves after so many batches."""
        if self._batches and self.training.step % self._batches == 0:
            self._back_up({"epoch": self._epoch, "batch": batch})

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Saves: training goes on with the next epoch."""
        if not self._batches:
            self._back_up({"epoch": epoch + 1, "batch": 0})

    def close(self, status: str) -> None:
        """Removes the backup, if training ended well."""
        if self._delete and status in {"finished", "stopped"}:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _back_up(self, metadata: dict[str, Any]) -> None:
        """Saves under other names first: a kill at any time leaves whole files behind."""
        self._directory.mkdir(parents=True, exist_ok=True)
        suffix = "".join(self._model_path.name.partition(".")[1:])
        new_model = self._directory / f"new{suffix}"
        self.view.save(str(new_model), False)
        if self._double and self._metadata_path.exists():
            self._model_path.replace(self._directory / f"latest.bkp{suffix}")
            self._metadata_path.replace(self._directory / f"{_METADATA}.bkp")
        new_metadata = self._directory / f"{_METADATA}.new"
        new_metadata.write_text(json.dumps(metadata), "utf-8")
        new_model.replace(self._model_path)
        new_metadata.replace(self._metadata_path)
