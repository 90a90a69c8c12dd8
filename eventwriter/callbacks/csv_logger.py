"""Writes the metrics of every epoch to a CSV file."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from eventwriter._file.one_process import lock, unlock
from eventwriter._values.arguments import path
from eventwriter._warn import warn_caller, warn_from_thread
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

    Numbers are written in full, arrays as lists, and integers without a point. If another process
    writes the file (another rank of the training), a warning says so, and this one writes a file
    beside it: "log-2.csv" for "log.csv".

    Args:
        filename: The file. Its directory is made if it does not exist.
        separator: The character between the columns.
        append: Whether lines are added to an existing file, which is replaced otherwise.

    Raises:
        ArgumentTypeError: `filename` is no path.
    """

    def __init__(self, filename: PathLike, separator: str = ",", append: bool = False) -> None:
        self._given = Path(path(filename, "CSVLogger: filename"))
        self._path = self._given
        self._separator = separator
        self._append = append
        self._file: TextIO | None = None

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Open the file.

        Raises:
            OSError: The file cannot be opened.
        """
        self.close("left")
        self._given.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._file = _open_alone(self._given)
        if not self._append and self._path.stat().st_size:
            self._file.truncate(0)
        self._columns: list[str] = []
        self._write_header = self._path.stat().st_size == 0
        self._refused = False
        if self._path != self._given:
            warn_caller(
                f"CSVLogger: filename: expected a file of one process, got {self._given}, which "
                f"another process writes. The metrics of this one go to {self._path}. Give each "
                "process its own name, or pass CSVLogger in one of them."
            )

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
        values = (logs.exact(name) if name in logs else "NA" for name in self._columns)
        writer.writerow([epoch, *map(_cell, values)])
        file.flush()

    def close(self, status: str) -> None:  # noqa: ARG002 - the hook's signature
        """Close the file.

        Raises:
            OSError: The last lines could not be written.
        """
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.flush()
            finally:
                unlock(file.fileno(), self._path)
                file.close()


def _open_alone(given: Path) -> tuple[Path, TextIO]:
    """Open a file that no other process writes: the given one, or one beside it."""
    for number in itertools.count(2):
        path = given if number == 2 else given.with_stem(f"{given.stem}-{number - 1}")
        file = path.open("a", encoding="utf-8", newline="")
        if lock(file.fileno(), path):
            return path, file
        file.close()
    raise AssertionError  # count() has no end


def _cell(value: Any) -> Any:
    return f'"[{", ".join(map(str, value))}]"' if isinstance(value, list) else value
