"""The runs of one training, opened when there is something for them; and where they left off."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from eventwriter import EventFileReader, SummaryWriter
from eventwriter._warn import warn_from_thread
from eventwriter.errors import CorruptFileError, WriteError

if TYPE_CHECKING:
    import os


class Runs:
    """Writers by run, each made at its first use.

    Args:
        log_dir: The runs are directories in it; "" is this one itself.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self._log_dir = Path(log_dir)
        self._writers: dict[str, SummaryWriter] = {}

    def writer(self, run: str) -> SummaryWriter:
        """Returns the writer of a run."""
        if run not in self._writers:
            self._writers[run] = SummaryWriter(self._log_dir / run)
        return self._writers[run]

    def log(self, run: str, metrics: dict[str, float], step: int) -> None:
        """Logs metrics to a run. Where it cannot be opened they are lost, with a warning."""
        try:
            writer = self.writer(run)
        except OSError as error:
            warn_from_thread(f"metrics of step {step} are lost: {error} Training goes on.")
        else:
            writer.log(metrics, step)

    def close(self, status: str, *, quietly: bool) -> None:
        """Notes in each run how it ended, and closes it.

        Args:
            status: See `Callback.close`.
            quietly: Only warn of what could not be written: another error is on its way.

        Raises:
            WriteError: A file could not be written whole.
        """
        writers, self._writers = self._writers, {}
        failure = None
        for writer in writers.values():
            try:
                writer.add_session_log(status)
                writer.close()
            except WriteError as error:  # noqa: PERF203 - the others are closed too
                failure = error
        if failure is not None:
            if not quietly:
                raise failure
            warn_from_thread(str(failure))

    def last_steps(self, run: str) -> tuple[int, int, bool]:
        """Reads where an earlier training left off.

        Returns:
            The last epoch and the last batch that have scalars, -1 for none, and whether there is
            a graph. Tags are told apart by their names: those of batches begin with "batch_" or
            end with "_vs_iterations".
        """
        epoch = batch = -1
        graph = False
        for path in (self._log_dir / run).glob("*tfevents*"):
            with contextlib.suppress(CorruptFileError):  # a killed run's end
                for event in EventFileReader(path):
                    graph = graph or event.HasField("graph_def")
                    for value in event.summary.value:
                        if value.tag.startswith("batch_") or value.tag.endswith("_vs_iterations"):
                            batch = max(batch, event.step)
                        else:
                            epoch = max(epoch, event.step)
        return epoch, batch, graph
