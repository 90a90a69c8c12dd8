"""Writes the metrics of every epoch to a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from eventwriter._warn import warn_from_thread
from eventwriter.training.recorder import Recorder

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs
    from eventwriter.typing import PathLike


class CSVLogger(Recorder):
    """Writes one line for each epoch: "epoch", counted from 0, and the metrics sorted by name.

    The metrics of the first epoch decide the columns. If that epoch had no validation, there is
    also a column "val_..." for each metric. A metric that an epoch lacks is "NA", and a metric
    without a column is left out. Each line is handed to the operating system when its epoch ends.
    If the disk refuses, a warning says so once, and the line is written with the next one.

    Args:
        filename: The file. Its directory is made if it does not exist.
        separator: The character between the columns.
        append: Whether lines are added to an existing file, which is replaced otherwise.
    """

    def __init__(self, filename: PathLike, separator: str = ",", append: bool = False) -> None:
        self._path = Path(filename)
        self._separator = separator
        self._append = append
        self._file: TextIO | None = None

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Open the file.

        Raises:
            OSError: The file cannot be opened.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        has_header = self._append and self._path.exists() and self._path.stat().st_size > 0
        self._columns: list[str] = []
        self._write_header = not has_header
        self._refused = False
        self._file = self._path.open("a" if self._append else "w", encoding="utf-8", newline="")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write the line of the epoch."""
        if self._file is None:
            return
        try:
            self._write(self._file, epoch, logs)
            self._refused = False
        except OSError as error:
            if not self._refused:
                warn_from_thread(f"CSVLogger: {self._path}: {error}. Training goes on.")
            self._refused = True

    def _write(self, file: TextIO, epoch: int, logs: Logs) -> None:
        writer = csv.writer(file, delimiter=self._separator)
        if not self._columns:
            self._columns = sorted(logs)
            if not any(name.startswith("val_") for name in logs):
                self._columns += [f"val_{name}" for name in self._columns]
            if self._write_header:
                writer.writerow(["epoch", *self._columns])
        writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self._columns)])
        file.flush()

    def close(self, status: str) -> None:  # noqa: ARG002 - the hook's signature
        """Close the file.

        Raises:
            OSError: The last lines could not be written.
        """
        if self._file is not None:
            file, self._file = self._file, None
            file.close()


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return f'"[{", ".join(map(str, value))}]"'
    return value
