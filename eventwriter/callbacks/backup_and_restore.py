"""Continues an interrupted training."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventwriter._file.whole_file import is_temporary, whole_path
from eventwriter._values.arguments import path as path_of
from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.callback import Callback
from eventwriter.training.frequency import batch_frequency
from eventwriter.training.model_view import require
from eventwriter.training.saved_state import ModelState, SavedState, read_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventwriter.training.metrics import Logs
    from eventwriter.typing import PathLike

_METADATA = "training_metadata.json"
_VERSION = r"latest-(state|best)-[0-9a-f]{16}(-\d+)?"


class BackupAndRestore(Callback):
    """Saves the training: a training that finds such a backup continues from it.

    A backup is the model with its optimizer, the epoch, the learning rate, and the states of all
    callbacks: `ModelCheckpoint` knows the best value again, and `EarlyStopping` and
    `ReduceLROnPlateau` go on counting. A callback of your own takes part by `get_state` and
    `set_state`. Whatever else the training needs is passed as `extra`.

    This callback is called after all others, wherever it stands in the list.

    A backup within an epoch begins that epoch again. The backup is removed when training ends well,
    and kept after an exception, Ctrl-C or `break`. Other files in the directory are never touched.

    Args:
        backup_dir: The directory of the backup. It is made if it does not exist. The backup is
            `latest` with the suffix of the model's format; `training_metadata.json` with the epoch
            and the batch to continue with; `latest-state-...` with all other states; and
            `latest-best-...` with the best weights of `EarlyStopping(restore_best_weights=True)`.
            No file needs pickle, apart from the model's own format.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: Whether the backup before the latest one is kept too, as `.bkp` files. It
            is used if the latest one cannot be read.
        delete_checkpoint: Whether the backup is removed when training has ended well. The directory
            is removed too if it is then empty and held nothing but a backup from the beginning.
        extra: Objects with the methods `state_dict` and `load_state_dict`, by names of your own:
            `extra={"scheduler": scheduler, "scaler": scaler}`. Schedulers of learning rates,
            gradient scalers, samplers and averaged models are such objects. Their states are
            numbers, text, arrays, and lists and dicts of these.

    Raises:
        ArgumentTypeError: `backup_dir` is no path, or something in `extra` has no such methods.
        ArgumentValueError: `backup_dir` is empty, or `save_freq` is something else.
    """

    comes_last = True

    def __init__(
        self,
        backup_dir: PathLike,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._directory = Path(path_of(backup_dir, "BackupAndRestore: backup_dir"))
        if not os.fspath(backup_dir):
            raise ArgumentValueError(
                "BackupAndRestore: backup_dir: expected a path, got ''. Pass a directory."
            )
        self._batches = batch_frequency(save_freq, "BackupAndRestore: save_freq", "epoch")
        self._double = double_checkpoint
        self._delete = delete_checkpoint
        self._extra = dict(extra or {})
        for name, part in self._extra.items():
            for method in ("state_dict", "load_state_dict"):
                if not callable(getattr(part, method, None)):
                    raise ArgumentTypeError(
                        f"BackupAndRestore: extra: {name}: expected an object with state_dict and "
                        f"load_state_dict, got {type_name(part)}. Give its class these methods."
                    )
        self._epoch = 0

    def idle_hooks(self) -> tuple[Any, ...]:
        """See `Callback.idle_hooks`."""
        return () if self._batches else (BackupAndRestore.on_batch_end,)

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Read a backup, if there is one, and let training begin at its epoch.

        Raises:
            ArgumentTypeError: The view of the model cannot save or load, or a state holds something
                that cannot be saved.
            OSError: The directory cannot be made.
        """
        require(self.view, "can_load", "BackupAndRestore")
        suffix = require(self.view, "backup_suffix", "BackupAndRestore")
        self._weights_suffix = self.view.suffix(True) or suffix
        self._model = self._directory / f"latest{suffix}"
        self._older_model = self._directory / f"latest.bkp{suffix}"
        self._metadata = self._directory / _METADATA
        self._older_metadata = self._directory / f"{_METADATA}.bkp"
        self._stored_models: list[tuple[Any, str]] = []
        self._batches_since_backup = 0
        self._saved_state()  # raises now if a state cannot be saved
        self._directory.mkdir(parents=True, exist_ok=True)
        # An interrupted training made the directory and left only a backup in it, or it is new.
        self._owns_directory = all(self._owns(path) for path in self._directory.iterdir())
        before = self.view.get_state() if self._metadata.exists() else None
        for model, metadata in (
            (self._model, self._metadata),
            (self._older_model, self._older_metadata),
        ):
            if not metadata.exists():
                continue
            try:
                self.training.initial_epoch = self._restore(model, metadata)
            except Exception as error:  # noqa: BLE001 - each framework raises its own
                warn_caller(f"BackupAndRestore: {model} cannot be read: {error!r}. It is left out.")
                if before is not None:
                    self.view.set_state(before)
                continue
            return

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Note the epoch."""
        self._epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Save a backup after every `save_freq` batches."""
        if self._batches:
            self._batches_since_backup += self.training.batches_in_call
            if self._batches_since_backup >= self._batches:
                self._batches_since_backup = 0
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
        states = [self._directory / f"latest-{end}" for end in self._version_suffixes()]
        files = (*latest, self._older_model, self._older_metadata)
        return (
            path in files
            or self._is_version(path)
            or any(is_temporary(path, target) for target in (*latest, *states))
        )

    def _is_version(self, path: Path) -> bool:
        """Return whether a file holds the states of one backup."""
        endings = "|".join(re.escape(each) for each in self._version_suffixes())
        return re.fullmatch(f"{_VERSION}({endings})", path.name) is not None

    def _version_suffixes(self) -> tuple[str, str]:
        return ".npz", self._weights_suffix

    def _back_up(self, epoch: int, batch: int) -> None:
        """Save under other names first, so that a kill at any moment leaves whole files."""
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            states = self._write_states()
            with whole_path(self._metadata) as new_metadata, whole_path(self._model) as new_model:
                self.view.save_backup(str(new_model))
                content = {"epoch": epoch, "batch": batch, **states}
                new_metadata.write_text(json.dumps(content), "utf-8")
                if self._double and self._metadata.exists():
                    self._model.replace(self._older_model)
                    self._metadata.replace(self._older_metadata)
        except BaseException:
            self._stored_models = []
            raise
        finally:
            self._remove_unnamed()

    def _write_states(self) -> dict[str, Any]:
        """Write everything but the model. Return the names of the files, for the metadata.

        Each backup has names of its own, so that the files of an earlier one stay as they are.
        """
        saved = self._saved_state()
        if saved is None:
            return {}
        version = os.urandom(8).hex()
        stored = []
        for index, model in enumerate(saved.models):
            known = [name for state, name in self._stored_models if state is model.state]
            name = known[0] if known else f"latest-best-{version}-{index}{self._weights_suffix}"
            if not known:
                self._write_weights(model, self._directory / name)
            stored.append((model.state, name))
        self._stored_models = stored
        name = f"latest-state-{version}.npz"
        saved.write(str(self._directory / name))
        return {"state": name, "models": [name for _, name in stored]}

    def _write_weights(self, model: ModelState, path: Path) -> None:
        """Write earlier weights: the view writes only those that the model has now."""
        now = self.view.get_state()
        try:
            self.view.set_state(model.state)
            with whole_path(path) as new:
                self.view.save(str(new), True)
        finally:
            self.view.set_state(now)

    def _saved_state(self) -> SavedState | None:
        """Return everything but the model, or None if there is nothing else."""
        state: dict[str, Any] = {
            "callbacks": self.training.get_callback_states(),
            "extra": {name: part.state_dict() for name, part in self._extra.items()},
            "learning_rate": self.view.get_learning_rate(),
        }
        if not state["callbacks"] and not self._extra and state["learning_rate"] is None:
            return None
        return SavedState(state, "BackupAndRestore: a state of a callback or of extra")

    def _restore(self, model: Path, metadata: Path) -> int:
        """Restore all that a backup holds. Return the epoch to continue with."""
        content = json.loads(metadata.read_text("utf-8"))
        epoch = int(content["epoch"])
        state: dict[str, Any] = {}
        if "state" in content:
            models: list[ModelState] = []
            for name in content["models"]:
                self.view.load(str(self._directory / name))
                models.append(ModelState(self.view.get_state()))
                self._stored_models.append((models[-1].state, name))
            state = read_state(str(self._directory / content["state"]), models)
        self.view.load(str(model))
        extra = state.get("extra", {})
        for name in self._extra.keys() & extra.keys():
            self._extra[name].load_state_dict(extra[name])
        self._warn_of_other_parts(self._extra.keys() ^ extra.keys())
        rate = state.get("learning_rate")
        if rate is not None and self.view.get_learning_rate() not in {None, rate}:
            with contextlib.suppress(ArgumentTypeError):  # a schedule sets it, or a function
                self.view.set_learning_rate(rate)
        self.training.set_callback_states(state.get("callbacks", {}))
        return epoch

    def _warn_of_other_parts(self, names: set[str]) -> None:
        if names:
            warn_caller(
                "BackupAndRestore: extra: expected the names in the backup, got others, or not "
                f"all: {', '.join(sorted(names))}. These begin anew."
            )

    def _remove_unnamed(self) -> None:
        """Remove the states that no metadata names."""
        named: set[str] = set()
        for path in (self._metadata, self._older_metadata):
            with contextlib.suppress(OSError, ValueError):
                content = json.loads(path.read_text("utf-8"))
                named |= {content.get("state"), *content.get("models", ())}
        for path in self._directory.glob("latest-*"):
            if self._is_version(path) and path.name not in named:
                with contextlib.suppress(OSError):
                    path.unlink()
