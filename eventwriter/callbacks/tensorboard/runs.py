"""The runs of one training: their writers, and the steps at which earlier trainings ended."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from eventwriter import Event, EventFileReader, SummaryWriter
from eventwriter._warn import warn_from_thread
from eventwriter.errors import CorruptFileError, WriteError, WriterClosedError
from eventwriter.records.session import purge, restart_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventwriter.callbacks.tensorboard.tag_styles import TagStyle
    from eventwriter.typing import PathLike


class LastSteps(NamedTuple):
    """What earlier trainings left in a run.

    Attributes:
        epoch: The last epoch that has records, -1 if there is none.
        batch: The last batch that has records, -1 if there is none.
        has_graph: Whether there is a graph.
    """

    epoch: int
    batch: int
    has_graph: bool


class Runs:
    """Writers of runs, each opened at its first use. They are given out between `open` and `close`.

    Args:
        log_dir: The directory of the runs.
        style: The directories of the runs "train" and "validation", and the tags that count epochs
            and batches.
    """

    def __init__(self, log_dir: PathLike, style: TagStyle) -> None:
        self._log_dir = Path(log_dir)
        self._style = style
        self._is_open = False
        self._writers: dict[Path, SummaryWriter] = {}
        self._restart: int | None = None
        self._kept: dict[Path, list[Event]] = {}

    def open(self) -> None:
        """Begin a training. If an earlier training was not ended, its writers are closed."""
        self.close("left", quietly=True)
        self._is_open = True
        self._restart = None
        self._kept = {}

    def restart(self, epoch: int) -> int:
        """Begin again at an epoch: what the runs hold from there on is void.

        Batches have steps of their own, so that a restart at a small epoch would also void batches
        of earlier epochs. These are written again after the mark of the restart.

        Args:
            epoch: The step of the epoch, 1 or more.

        Returns:
            The last batch of the earlier epochs, 0 if the runs hold none.
        """
        self._restart = epoch
        paths = {self._path(run) for run in ("train", "validation")}
        self._kept = {path: self._batches_before(path, epoch) for path in paths}
        last = max((event.step for kept in self._kept.values() for event in kept), default=0)
        for path, writer in self._writers.items():
            purge(writer, epoch)
            self._write_kept(path, epoch)
        return last

    def writer(self, run: str) -> SummaryWriter:
        """Return the writer of a run.

        Raises:
            WriterClosedError: No training runs.
            OSError: The directory cannot be written.
        """
        path = self._path(run)
        if not self._is_open:
            raise WriterClosedError(
                "TensorBoard.writer: expected a call while training runs, got one before its "
                "beginning or after its end. Call it in a callback or within the `with Loop(...)`, "
                f"or open a writer of your own: SummaryWriter({str(path)!r})."
            )
        if path not in self._writers:
            self._writers[path] = SummaryWriter(path, purge_step=self._restart)
            if self._restart is not None:
                self._write_kept(path, self._restart)
        return self._writers[path]

    def _write_kept(self, path: Path, restart: int) -> None:
        """Write again the batches of earlier epochs that the restart of a run has hidden."""
        for event in self._kept.pop(path, ()):
            if event.step >= restart:
                metrics = {value.tag: value.simple_value for value in event.summary.value}
                self._writers[path].log(metrics, event.step, event.wall_time)

    def log(self, run: str, metrics: dict[str, float], step: int) -> None:
        """Log metrics to a run. If it cannot be opened, they are lost, and a warning says so."""
        try:
            writer = self.writer(run)
        except OSError as error:
            warn_from_thread(f"metrics of step {step} are lost: {error} Training goes on.")
        else:
            writer.log(metrics, step)

    def close(self, status: str, *, quietly: bool) -> None:
        """Write to each run how the training ended, and close its writer.

        Args:
            status: As in `Callback.close`.
            quietly: Only warn of records that could not be written, because another error is
                already being raised.

        Raises:
            WriteError: A file could not be written completely.
        """
        self._is_open = False
        writers, self._writers = self._writers, {}
        failure = None
        for writer in writers.values():
            try:
                writer.add_session_log(status)
                writer.close()
            except WriteError as error:  # noqa: PERF203 - the others are closed too
                if failure is None:
                    failure = error
                else:
                    warn_from_thread(str(error))
        if failure is not None:
            if not quietly:
                raise failure
            warn_from_thread(str(failure))

    def last_steps(self, run: str) -> LastSteps:
        """Return what earlier trainings left in a run."""
        epoch = batch = -1
        has_graph = False
        for event in _events(self._path(run)):
            restart = restart_step(event)
            if restart is not None:
                epoch, batch = min(epoch, restart - 1), min(batch, restart - 1)
            has_graph = has_graph or event.HasField("graph_def")
            for value in event.summary.value:
                if self._style.counts_batches(value.tag):
                    batch = max(batch, event.step)
                elif self._style.counts_epochs(value.tag):
                    epoch = max(epoch, event.step)
        return LastSteps(epoch, batch, has_graph)

    def _batches_before(self, path: Path, epoch: int) -> list[Event]:
        """Return the records of batches in the epochs before `epoch`, in their order.

        The records of an epoch come after those of its batches.
        """
        kept: list[tuple[int, Event]] = []  # with the epoch of the batch
        waiting: list[Event] = []
        for event in _events(path):
            restart = restart_step(event)
            tags = [value.tag for value in event.summary.value]
            if restart is not None:
                kept, waiting = [each for each in kept if each[0] < restart], []
            elif any(map(self._style.counts_batches, tags)):
                # After a restart, batches are there again that have been kept.
                if not kept or event.step > kept[-1][1].step:
                    waiting.append(event)
            elif any(map(self._style.counts_epochs, tags)):
                if event.step < epoch:
                    kept += [(event.step, each) for each in waiting]
                waiting = []
        return [event for _, event in kept]

    def _path(self, run: str) -> Path:
        style = self._style
        return self._log_dir / {"train": style.train, "validation": style.validation}.get(run, run)


def _events(path: Path) -> Iterator[Event]:
    """Yield the events of a run, in the order in which TensorBoard reads its files."""
    for file in sorted(path.glob("*tfevents*")):
        with contextlib.suppress(CorruptFileError):  # the end of a run that was killed
            yield from EventFileReader(file)
