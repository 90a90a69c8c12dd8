"""Continues an interrupted training."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from eventwriter._file.whole_file import is_temporary, whole_path
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.frequency import batch_frequency
from eventwriter.training.model_view import require

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs
    from eventwriter.typing import PathLike

_METADATA = "training_metadata.json"


class BackupAndRestore(Callback):
    """Saves the model and the epoch. A training that finds such a backup continues from it.

    A backup within an epoch begins that epoch again. The backup is removed when training ends well,
    and kept after an exception, Ctrl-C or `break`. Other files in the directory are never touched.

    Args:
        backup_dir: The directory of the backup. It is made if it does not exist. The backup is two
            files: `latest` with the suffix of the model's format, and `training_metadata.json` with
            the epoch and the batch to continue with.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: Whether the backup before the latest one is kept too, as `.bkp` files. It
            is used if the latest one cannot be read.
        delete_checkpoint: Whether the backup is removed when training has ended well. The directory
            is removed too if it is then empty and held nothing but a backup from the beginning.

    Raises:
        ArgumentValueError: `backup_dir` is empty, or `save_freq` is something else.
    """

    def __init__(
        self,
        backup_dir: PathLike,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not os.fspath(backup_dir):
            raise ArgumentValueError(
                "BackupAndRestore: backup_dir: expected a path, got ''. Pass a directory."
            )
        self._directory = Path(backup_dir)
        self._batches = batch_frequency(save_freq, "BackupAndRestore: save_freq", "epoch")
        self._double = double_checkpoint
        self._delete = delete_checkpoint
        self._epoch = 0

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Read a backup, if there is one, and let training begin at its epoch.

        Raises:
            ArgumentTypeError: The view of the model cannot save or load.
            OSError: The directory cannot be made.
        """
        require(self.view, "can_load", "BackupAndRestore")
        suffix = require(self.view, "backup_suffix", "BackupAndRestore")
        self._model = self._directory / f"latest{suffix}"
        self._older_model = self._directory / f"latest.bkp{suffix}"
        self._metadata = self._directory / _METADATA
        self._older_metadata = self._directory / f"{_METADATA}.bkp"
        self._directory.mkdir(parents=True, exist_ok=True)
        # An interrupted training made the directory and left only a backup in it, or it is new.
        self._owns_directory = all(self._owns(path) for path in self._directory.iterdir())
        for model, metadata in (
            (self._model, self._metadata),
            (self._older_model, self._older_metadata),
        ):
            if not metadata.exists():
                continue
            try:
                epoch = int(json.loads(metadata.read_text("utf-8"))["epoch"])
                self.view.load(str(model))
            except Exception as error:  # noqa: BLE001 - each framework raises its own
                warn_caller(f"BackupAndRestore: {model} cannot be read: {error!r}. It is left out.")
                continue
            self.training.initial_epoch = epoch
            return

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Note the epoch."""
        self._epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Save a backup after every `save_freq` batches."""
        if self._batches and self.training.is_due(self._batches):
            self._back_up(self._epoch, batch)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Save a backup with which training continues at the next epoch."""
        if not self._batches:
            self._back_up(epoch + 1, 0)

    def close(self, status: str) -> None:
        """Remove the backup, if training ended well."""
        if self._delete and status in {"finished", "stopped"}:
            for path in list(self._directory.iterdir()) if self._directory.exists() else []:
                if self._owns(path):
                    with contextlib.suppress(OSError):  # no reason to end a good training badly
                        path.unlink()
            if self._owns_directory:
                with contextlib.suppress(OSError):  # it is not empty
                    self._directory.rmdir()

    def _owns(self, path: Path) -> bool:
        """Return whether a file in the directory is part of a backup."""
        latest = (self._model, self._metadata)
        files = (*latest, self._older_model, self._older_metadata)
        return path in files or any(is_temporary(path, target) for target in latest)

    def _back_up(self, epoch: int, batch: int) -> None:
        """Save under other names first, so that a kill at any moment leaves whole files."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with whole_path(self._metadata) as new_metadata, whole_path(self._model) as new_model:
            self.view.save_backup(str(new_model))
            new_metadata.write_text(json.dumps({"epoch": epoch, "batch": batch}), "utf-8")
            if self._double and self._metadata.exists():
                self._model.replace(self._older_model)
                self._metadata.replace(self._older_metadata)
