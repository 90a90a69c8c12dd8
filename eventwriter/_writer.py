"""SummaryWriter: the calls that people know, over one event file.

The class body is the table of contents of `records`: one line for each kind of record. Of the
kinds, only the hot path of scalars is here.

Threads: every method may be called from any thread, and the file holds the records in the order
of the calls. Errors: what the types, shapes or signature of a call show is raised at the call,
which then writes nothing. What only the data or the disk shows is raised in `flush` and `close`
alone. Processes: a forked child, and a copy that was pickled, writes to a run of its own below
this one, `worker-<pid>`, which it makes at its first record. It gets nothing of what was pending
in the parent.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from eventwriter._file.event_file import (
    DEFAULT_MAX_PENDING_BYTES,
    DEFAULT_MAX_QUEUE,
    EventFile,
)
from eventwriter._file.failing_disk import call_all, close_after
from eventwriter._file.framing import frame
from eventwriter._file.guard import Guard
from eventwriter._file.presence import Presence
from eventwriter._file.rows import ROW
from eventwriter._file.run_directory import (
    check_log_dir,
    default_log_dir,
    holds_events,
    new_directory,
    worker_dir,
)
from eventwriter._values import arguments
from eventwriter._values.arguments import PLAIN
from eventwriter.records import embedding, graph, histogram, image, scalars, session
from eventwriter.records.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from eventwriter.records.recording import SideFiles
    from eventwriter.typing import PathLike, Scalar, Seconds, Step

_pack_row = ROW.pack
_now = time.time


class SummaryWriter(Recording):
    """Logs to a directory that `tensorboard --logdir` shows as one run.

    Args:
        log_dir: Directory of the run. It is made if it does not exist. The default is torch's:
            `runs/<date>_<time>_<host><comment>`.
        comment: Appended to the default directory's name.
        purge_step: After a restart: hide from TensorBoard what an earlier file of the
            run holds at this step or later. TensorBoard's reader in Python honours it
            (`--load_fast=false`). The default reader drops the old points of a tag when newer
            points come at the same steps. The Projector no longer lists the old embeddings.
        max_queue: Pending records that wake the background thread before its time. A higher
            number is cheaper. 0 means the default.
        flush_secs: Seconds after which the background thread writes what is pending. A killed
            process loses at most this much.
        filename_suffix: Appended to the name of the event file.
        max_pending_bytes: Memory that waiting records may take. Only a failing or very slow disk
            makes them take more. Records beyond it are dropped and counted; `flush` and `close`
            raise the count.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is of the wrong kind.
        OSError: The directory or the event file cannot be made.
    """

    def __init__(
        self,
        log_dir: PathLike | None = None,
        comment: str = "",
        purge_step: Step | None = None,
        max_queue: int = DEFAULT_MAX_QUEUE,
        flush_secs: float = 5,
        filename_suffix: str = "",
        *,
        max_pending_bytes: int = DEFAULT_MAX_PENDING_BYTES,
    ) -> None:
        purge = None if purge_step is None else arguments.step(purge_step, "purge_step")
        options = {
            "max_queue": max_queue,
            "flush_secs": flush_secs,
            "filename_suffix": filename_suffix,
            "max_pending_bytes": max_pending_bytes,
        }
        made = new_directory(default_log_dir(comment)) if log_dir is None else None
        with made or contextlib.nullcontext(check_log_dir(log_dir)) as directory:
            given = "~" if log_dir is None else os.fspath(log_dir)
            shown = str(directory) if given.startswith("~") else given
            self._begin(directory.absolute(), shown, options)
            self._continues = holds_events(self._base_dir)
            file = self._open(self._base_dir)
        if purge is not None:
            for event in session.purge_events(purge):
                file.put(frame(event.SerializeToString()))
            if self._continues:
                embedding.purge_embeddings(self, purge)

    def _begin(self, base_dir: Path, log_dir: str, file_options: dict[str, Any]) -> None:
        """Set what a new writer, or a copy of one in another process, begins with."""
        super().__init__(log_dir, file_options)
        self._base_dir = base_dir
        self._file: EventFile | None = None
        self._is_copy = False
        self._presence: Presence
        self._own_run: Path | None = None  # of a copy, which makes it at its first record
        _writers.add(self)

    def __reduce__(self) -> tuple[Callable[..., SummaryWriter], tuple[Any, ...]]:
        """Pickle to a writer that writes to a run of its own."""
        return _copy_of, (self._base_dir, self._file_options)

    @property
    def log_dir(self) -> str:
        """The run's directory, as it was given. In a child process: that of the child's own run."""
        return self._log_dir

    def get_logdir(self) -> str:
        """Return `log_dir`. Torch has this name for it."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Scalar,
        global_step: Step | None = None,
        walltime: Seconds | None = None,
        new_style: bool = False,  # noqa: ARG002 - torch's signature
        double_precision: bool = False,  # noqa: ARG002 - torch's signature
    ) -> None:
        """Log one number.

        Args:
            tag: The name; slashes group.
            scalar_value: A real number, or an array of any framework with one element. A value
                that is on a device, or not computed yet, is fetched later. It is stored
                as float32.
            global_step: A whole number within int64. Give it always or never: None counts only the
                calls of the tag that had none, from 0.
            walltime: Seconds since 1970. None is now.
            new_style: Accepted because torch has it. TensorBoard shows both styles alike.
            double_precision: Accepted because torch has it. It has no effect: TensorBoard's
                default reader shows nothing of float64 scalars.

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            WriterClosedError: The writer is closed.
        """
        if walltime is None and type(scalar_value) in PLAIN:
            try:
                # The id comes first. Another thread may open the file in between: an id of the
                # new file means that the rows are those of the new file too. See `_open`.
                tag_id = self._tag_ids[tag]
                rows = self._rows
                rows += _pack_row(_now(), global_step, tag_id, scalar_value)
            except (KeyError, TypeError, OverflowError, struct.error):
                pass  # a new tag, no step, a closed writer, or an error: see add_scalar_checked
            else:
                if len(rows) > self._back_pressure.high_water:
                    self._back_pressure.slow_down()
                return
        scalars.add_scalar_checked(self, tag, scalar_value, global_step, walltime)

    log = scalars.log
    add_scalar_series = scalars.add_scalar_series
    add_histogram = histogram.add_histogram
    add_histogram_raw = histogram.add_histogram_raw
    add_image = image.add_image
    add_images = image.add_images
    add_graph = graph.add_graph
    add_embedding = embedding.add_embedding
    add_session_log = session.add_session_log

    def flush(self, *, sync: bool = False) -> None:
        """Return when TensorBoard can read everything that was logged before.

        Args:
            sync: Also have the operating system put it on the disk (fsync). A power cut then
                does not undo it.

        Raises:
            WriteError: The disk refused, or records were lost since the last such error. The
                counts are those of records and embeddings together.
        """
        call_all(partial(files.flush, sync=sync) for files in self._all_files())

    def close(self) -> None:
        """Flush and close. To close twice does no harm; to log afterwards raises.

        In a child process, to log afterwards opens a new file in the run of the child: the next
        task of a pool may hold the same writer.

        Raises:
            WriteError: As in `flush`. What could not be written is tried again in the background
                and at the interpreter's exit.
        """
        self._closed = not self._is_copy
        call_all(files.close for files in self._all_files())

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        close_after(error, self.close)

    def _all_files(self) -> list[SideFiles | EventFile]:
        """Return the files beside the event file, and then the event file."""
        files: list[SideFiles | EventFile] = list(self._side_files.values())
        return files if self._file is None else [*files, self._file]

    def _current_file(self) -> EventFile:
        file = self._file
        if self._closed or file is None or file.closed or self._presence.suspects:
            return self._settle_file()
        return file

    def _settle_file(self) -> EventFile:
        """Open a file where there is none, and tell of another writer in its directory."""
        with self._lock:
            self._check_open()  # another thread may have closed the writer in between
            file = self._file
            if file is None or file.closed:
                run, wanted = self._own_run, worker_dir(self._base_dir)
                with contextlib.nullcontext(run) if run else new_directory(wanted) as directory:
                    self._log_dir = str(directory)
                    file = self._open(directory)
                self._own_run = directory
            self._presence.warn_of_others()
            return file

    def _open(self, directory: Path) -> EventFile:
        self._side_files = {}
        file = EventFile(directory, **self._file_options)
        self._presence = Presence(file.path, lambda: not file.closed)
        self._file = file
        self._back_pressure = file.back_pressure
        self._rows = file.pending.rows
        # Last: what is found here sends another thread to the rows.
        self._tag_ids, self._packers = file.pending.tag_ids, file.pending.packers
        # A writer to which no reference is left is closed. At the interpreter's exit the background
        # thread does it.
        weakref.finalize(self, file.close_later).atexit = False
        return file


_MOST_COPIES = 100  # that a process keeps for its next tasks; each may have a file open
_copies: dict[Path, SummaryWriter] = {}
_writers: weakref.WeakSet[SummaryWriter] = weakref.WeakSet()


def _copy_of(base_dir: Path, file_options: dict[str, Any]) -> SummaryWriter:
    """Return this process's only copy of a writer: a pool pickles the writer with each task."""
    writer = _copies.get(base_dir)
    if writer is None:
        writer = SummaryWriter.__new__(SummaryWriter)
        writer._begin(base_dir, str(base_dir), file_options)
        writer._is_copy = True
        writer = _copies.setdefault(base_dir, writer)  # another thread may have been faster
        for oldest in list(_copies)[:-_MOST_COPIES]:
            _copies.pop(oldest, None)
    return writer


def _after_fork_in_child() -> None:
    """Make each writer a copy, with a new lock: a thread of the parent may hold the old one."""
    for writer in _writers:
        writer._guard = Guard()
        if not writer._closed:
            writer._is_copy, writer._own_run = True, None
            _copies.setdefault(writer._base_dir, writer)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
