"""SummaryWriter: the calls that people know, over one event file and one projector.

Threads: every method may be called from any thread, and the file holds the records in the
order of the calls. Errors: what a call's types, shapes or signature show is raised at the
call, which then writes nothing; what only the data or the disk shows never is, but in `flush`
and `close`. Processes: a forked child, and a copy that was pickled, writes to a run of its
own below this one, `worker-<pid>`, made at its first record; it has nothing of what was
pending here.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._file.event_file import (
    DEFAULT_MAX_PENDING_BYTES,
    DEFAULT_MAX_QUEUE,
    EventFileWriter,
)
from eventwriter._file.framing import frame
from eventwriter._file.run_directory import (
    check_log_dir,
    default_log_dir,
    holds_events,
    worker_dir,
)
from eventwriter._file.scalar_rows import ROW
from eventwriter._proto.event_pb2 import Event, SessionLog, TaggedRunMetadata
from eventwriter._proto.summary_pb2 import Summary
from eventwriter._values import arguments
from eventwriter._values.arguments import PLAIN
from eventwriter._warn import warn_caller, warn_quietly
from eventwriter.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    WriteError,
    WriterClosedError,
)
from eventwriter.records.histogram import histogram_raw_value, histogram_value
from eventwriter.records.scalar_groups import ScalarGroup, flatten
from eventwriter.records.scalars import scalars_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from eventwriter.projector.queue import EmbeddingQueue

_pack_row = ROW.pack
_now = time.time
_SERIES_POINTS = 4096  # encoded at once: they and their arrays fit a core's second-level cache
_FETCHED_BYTES = 512  # what a value that is still on a device is taken to hold in memory
_MOST_GROUPS = 1000  # sets of names that `log` remembers

_lock = threading.RLock()


class SummaryWriter:
    """Logs to a directory that `tensorboard --logdir` shows as one run.

    Args:
        log_dir: Directory of the run, made where missing. By default
            `runs/<date>_<time>_<host><comment>`, as torch has it.
        comment: Appended to the default directory's name.
        purge_step: After a restart: what was logged at this step or later in an earlier file
            of the run is to be shown no more. TensorBoard's reader in Python honours it
            (`--load_fast=false`); the default one drops the old points of a tag once newer
            ones come at the same steps.
        max_queue: Pending records that wake the background thread before its time. Higher is
            cheaper; nothing ever waits for it. 0 means the default.
        flush_secs: Seconds after which the background thread writes what is pending, and so
            what a killed process loses at the most.
        filename_suffix: Appended to the name of the event file.
        max_pending_bytes: Memory that waiting records may take. Records beyond it, which only
            a failing or very slow disk brings about, are dropped and counted; `flush` and
            `close` raise that.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is of the wrong kind.
        OSError: The directory or the event file cannot be made.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = DEFAULT_MAX_QUEUE,
        flush_secs: float = 5,
        filename_suffix: str = "",
        *,
        max_pending_bytes: int = DEFAULT_MAX_PENDING_BYTES,
    ) -> None:
        purge = None if purge_step is None else arguments.step(purge_step, "purge_step")
        if not isinstance(comment, str):
            raise ArgumentTypeError(f"comment: expected a str, got {type(comment).__name__}.")
        directory = default_log_dir(comment) if log_dir is None else log_dir
        self._base_dir = check_log_dir(directory).absolute()
        self._log_dir = str(os.fspath(directory))
        self._file_options: dict[str, Any] = {
            "max_queue": max_queue,
            "flush_secs": flush_secs,
            "filename_suffix": filename_suffix,
            "max_pending_bytes": max_pending_bytes,
        }
        self._start()
        self._continues = holds_events(self._base_dir)
        self._open(self._base_dir)
        if purge is not None:
            # A START tells that all at this step and later is void. The server skips the first
            # START of a run, as every run begins with one; so it takes two.
            start = SessionLog(status=SessionLog.START)
            for _ in range(2):
                self._put(Event(wall_time=_now(), step=purge, session_log=start))

    def _start(self) -> None:
        """Set what a new writer, or a copy of one in another process, starts with."""
        self._closed = False
        self._continues = False
        self._next_steps: dict[str, int] = {}
        self._groups: dict[tuple[str, ...], ScalarGroup] = {}
        self._kinds: dict[str, str] = {}
        self._told_claimed: set[str] = set()
        self._told_nonfinite: set[str] = set()
        self._file: EventFileWriter | None = None
        self._embeddings: EmbeddingQueue | None = None
        # Of the file, for the hot path.
        self._rows = bytearray()
        self._tag_ids: dict[str, int] = {}

    def __reduce__(self) -> tuple[Callable[..., SummaryWriter], tuple[Any, ...]]:
        """Pickle to a writer that writes to a run of its own."""
        return _copy_of, (self._base_dir, self._file_options)

    @property
    def log_dir(self) -> str:
        """The run's directory, as it was given; in a child process, that of its own run."""
        return self._log_dir

    def get_logdir(self) -> str:
        """Return `log_dir`: torch's name for it."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: Any = None,
        new_style: bool = False,  # noqa: ARG002 - torch's signature
        double_precision: bool = False,  # noqa: ARG002 - torch's signature
    ) -> None:
        """Log one number.

        Args:
            tag: Its name; slashes group.
            scalar_value: A real number, or an array of any framework with one element. One
                that is on a device, or not computed yet, is not waited for. Stored as float32.
            global_step: A whole number within int64. None counts the calls of the tag that had
                none, from 0.
            walltime: Seconds since 1970. None is now.
            new_style: Accepted for torch's sake; both styles show the same.
            double_precision: Accepted for torch's sake and without effect: TensorBoard's
                default reader shows nothing of float64 scalars.

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            WriterClosedError: After `close`.
        """
        if walltime is None and type(scalar_value) in PLAIN:
            try:
                rows = self._rows
                rows += _pack_row(_now(), global_step, scalar_value, self._tag_ids[tag])
            except (KeyError, TypeError, OverflowError, struct.error):
                pass  # a new tag, a closed writer, or something to be told about
            else:
                if len(rows) > self._file.crowded_bytes:  # type: ignore[union-attr]
                    self._file.relieve()  # type: ignore[union-attr]
                return
        self._add_scalar_with_care(tag, scalar_value, global_step, walltime)

    def _add_scalar_with_care(self, tag: Any, value: Any, global_step: Any, walltime: Any) -> None:
        arguments.tag(tag, "add_scalar")
        call = f"add_scalar({tag!r})"
        number = arguments.scalar(value, f"{call}: scalar_value")
        wall_time = self._wall_time(walltime, call)
        with _lock:
            file = self._current_file()
            tag = self._claim(tag, "scalars", call)
            step = self._step((tag,), global_step, call)
            if callable(number):
                file.put(partial(_fetched, tag, number, step, wall_time), _FETCHED_BYTES)
                return
            tag_id = file.tag_id(tag)
            if tag_id is None or not wall_time:  # no template: too long, or a field is left out
                self._put(scalars_event({tag: number}, step, wall_time))
            else:
                file.put_row(_pack_row(wall_time, step, number, tag_id))

    def log(
        self, metrics: Mapping[str, Any], global_step: Any = None, walltime: Any = None
    ) -> None:
        """Log many numbers of one step, as one event: cheaper and smaller than one by one.

        Args:
            metrics: Names and values as in `add_scalar`. Nested names are joined by slashes:
                `{"train": {"loss": 1.0}}` is `train/loss`. Nothing is written for an empty one.
            global_step: As in `add_scalar`; None is the next step that is new for all of them.
            walltime: As in `add_scalar`.

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            WriterClosedError: After `close`.
        """
        group, packed = self._pack_plain(metrics)
        if group is None:
            numbers = flatten(metrics)
            self._current_file()
            if not numbers:
                return
            group = self._group(tuple(numbers))
            later = any(map(callable, numbers.values()))
            pack = partial(_fetch_and_pack, group, list(numbers.values()))
            packed = pack if later else pack()
        wall_time = self._wall_time(walltime, "log")
        with _lock:
            file = self._current_file()
            step = self._step(group.tags, global_step, "log")
            file.put(partial(group.encode, wall_time, step, packed), len(group.tags) * 8)

    def _pack_plain(self, metrics: Any) -> tuple[ScalarGroup | None, bytes | Callable[[], bytes]]:
        """Return the group of names that were logged before, and their plain values packed."""
        try:
            group = self._groups[tuple(metrics)]
            if PLAIN.issuperset(map(type, metrics.values())):
                return group, group.pack(*metrics.values())
        except (KeyError, TypeError, AttributeError, OverflowError, struct.error):
            pass  # new names, nested ones, or something to be told about
        return None, b""

    def _group(self, tags: tuple[str, ...]) -> ScalarGroup:
        group = self._groups.get(tags)
        if group is None:
            if len(self._groups) >= _MOST_GROUPS:
                self._groups.clear()
            claimed = [self._claim(tag, "scalars", "log") for tag in tags]
            group = self._groups[tags] = ScalarGroup(claimed)
        return group

    def add_scalar_series(
        self, tag: str, values: Any, steps: Any = None, walltimes: Any = None
    ) -> None:
        """Log a whole curve.

        Args:
            tag: As in `add_scalar`.
            values: Shape `[n]`, any real dtype, any framework. Stored as float32.
            steps: Shape `[n]`, whole numbers within int64. None counts on, as in `add_scalar`.
            walltimes: Shape `[n]`, seconds since 1970. None is now, for all.

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            WriterClosedError: After `close`.
        """
        arguments.tag(tag, "add_scalar_series")
        call = f"add_scalar_series({tag!r})"
        numbers = arguments.column(values, f"{call}: values").astype(np.float64)
        count = len(numbers)
        if walltimes is None:
            seconds = np.full(count, _now())
        else:
            seconds = arguments.column(walltimes, f"{call}: walltimes", count).astype(np.float64)
            if not np.isfinite(seconds).all():
                raise ArgumentValueError(
                    f"{call}: expected walltimes in seconds since 1970, got one that is not finite."
                )
        whole = None
        if steps is not None:
            column = arguments.column(steps, f"{call}: steps", count)
            whole = arguments.whole_numbers(column, f"{call}: steps")
        with _lock:
            file = self._current_file()
            tag = self._claim(tag, "scalars", call)
            if whole is None:
                first = self._step((tag,), None, call)
                self._next_steps[tag] = first + count
                whole = np.arange(first, first + count, dtype=np.int64)
            tag_id = file.tag_id(tag)
            if tag_id is None or not seconds.all():  # no template: too long, or a field left out
                for number, step, wall_time in zip(numbers, whole, seconds, strict=True):
                    self._put(scalars_event({tag: float(number)}, int(step), float(wall_time)))
                return
            for start in range(0, count, _SERIES_POINTS):
                part = slice(start, start + _SERIES_POINTS)
                columns = seconds[part], whole[part], numbers[part]
                record = partial(file.pending.encoder.encode_series, tag_id, *columns)
                file.put(record, sum(column.nbytes for column in columns), len(columns[0]))

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: str | int | Sequence[float] | np.ndarray[Any, Any] = "tensorflow",
        walltime: Any = None,
        max_bins: int | None = None,
    ) -> None:
        """Log how values are distributed. See `records.histogram.histogram_value`.

        The values are counted at the call, a torch tensor's on its own device. Those that are
        not finite are left out; the first time that a tag has any, a warning says how many.

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            WriterClosedError: After `close`.
        """
        arguments.tag(tag, "add_histogram")
        call = f"add_histogram({tag!r})"
        self._current_file()
        wall_time = self._wall_time(walltime, call)
        value, nonfinite = histogram_value(tag, values, bins, max_bins)
        self._put_value(value, "histograms", global_step, wall_time, call)
        if nonfinite and tag not in self._told_nonfinite:
            self._told_nonfinite.add(tag)
            warn_caller(
                f"{call}: {nonfinite} values that are NaN or infinite were left out. "
                "Further ones of this tag are left out without a word."
            )

    def add_histogram_raw(
        self,
        tag: str,
        min: Any,  # noqa: A002 - torch's signature
        max: Any,  # noqa: A002 - torch's signature
        num: Any,
        sum: Any,  # noqa: A002 - torch's signature
        sum_squares: Any,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: Any = None,
        walltime: Any = None,
    ) -> None:
        """Log counts that were made elsewhere. See `records.histogram.histogram_raw_value`.

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            WriterClosedError: After `close`.
        """
        arguments.tag(tag, "add_histogram_raw")
        call = f"add_histogram_raw({tag!r})"
        self._current_file()
        wall_time = self._wall_time(walltime, call)
        value = histogram_raw_value(
            tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts
        )
        self._put_value(value, "histograms", global_step, wall_time, call)

    def add_graph(
        self,
        model: Any,
        input_to_model: Any = None,
        verbose: bool = False,  # noqa: ARG002 - torch's signature
        use_strict_trace: bool = True,
        *,
        profile: bool = False,
    ) -> None:
        """Log a graph for the Graphs tab, which shows the last of a run.

        Args:
            model: A model of a framework that there is a source for (see
                `graphs.sources.build_graph`), the path of an .onnx file, a `graphs.GraphBuilder`,
                a GraphDef (ours, TensorBoard's or TensorFlow's), or a GraphDef's bytes. What the
                page could not take is mended, and weights are left out: see `graphs.page.for_page`.
            input_to_model: What the model is called with, where its framework needs it: one array,
                a tuple of positional arguments, or a dict of keyword arguments.
            verbose: Accepted for torch's sake and without effect.
            use_strict_trace: Whether torch traces strictly.
            profile: Also run a torch module, and log what time and memory each node took, by
                which the page can colour: choose the tag "profile" there.

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            MissingDependencyError: An .onnx file, and onnx is not installed.
            WriterClosedError: After `close`.
        """
        from eventwriter.graphs import for_page  # noqa: PLC0415 - see add_embedding
        from eventwriter.graphs.sources import (  # noqa: PLC0415
            build_graph,
            is_graph_def,
            profile_graph,
        )

        self._current_file()
        metadata = None
        try:
            if profile:
                built, metadata = profile_graph(model, input_to_model, strict=use_strict_trace)
                graph = built.to_graph_def()
            elif is_graph_def(model):
                graph = for_page(model)
            else:
                built = build_graph(model, input_to_model, strict=use_strict_trace)
                graph = built.to_graph_def()
        except (ArgumentTypeError, ArgumentValueError) as error:
            raise type(error)(f"add_graph: {error}") from error
        graph_def = graph.SerializeToString(deterministic=True)
        self._put(Event(wall_time=_now(), graph_def=graph_def))
        if metadata is not None:
            tagged = TaggedRunMetadata(tag="profile", run_metadata=metadata.SerializeToString())
            self._put(Event(wall_time=_now(), tagged_run_metadata=tagged))

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: Any = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log an image. See `records.image.image_value`.

        Args:
            tag: Its name; slashes group.
            img_tensor: Floats from 0 to 1, uint8 or bools, of any framework, of 1 (grey), 3 (RGB)
                or 4 (RGBA) channels. Or a PNG, its path or bytes, such as what
                `graphs.plot.plot_graph` drew.
            global_step: As in `add_scalar`.
            walltime: As in `add_scalar`.
            dataformats: The axes of an array, such as "CHW", "HWC" or "HW".

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            WriterClosedError: After `close`.
        """
        self._add_image("add_image", tag, img_tensor, global_step, walltime, dataformats)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: Any = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log several images of one size as one grid, eight in a row, as torch does.

        As `add_image`, with the axis N: the images.
        """
        self._add_image("add_images", tag, img_tensor, global_step, walltime, dataformats)

    def add_embedding(
        self,
        mat: Any,
        metadata: Sequence[Any] | None = None,
        label_img: Any = None,
        global_step: Any = None,
        tag: str = "default",
        metadata_header: Sequence[str] | None = None,
    ) -> None:
        """Show points in the Projector. See `projector.Projector.add`.

        A copy is taken at the call and written in the background. It is shown as `tag:step`.

        Args:
            mat: Shape `[points, dimensions]`, any real dtype, any framework.
            metadata: One label for each point, or one row where `metadata_header` names columns.
            label_img: Shape `[points, channels, height, width]`: a picture of each point.
            global_step: As in `add_scalar`.
            tag: Its name.
            metadata_header: Names of the columns of `metadata`.

        Raises:
            ArgumentTypeError, ArgumentValueError: Nothing was written.
            WriterClosedError: After `close`.
        """
        arguments.tag(tag, "add_embedding")
        with _lock:
            file = self._current_file()
            if self._embeddings is None:
                # Imported when needed, as is the room of graphs: to log scalars takes neither.
                from eventwriter.projector.queue import EmbeddingQueue  # noqa: PLC0415

                self._embeddings = EmbeddingQueue(
                    file.path.parent,
                    flush_secs=file.flush_secs,
                    max_pending_bytes=self._file_options["max_pending_bytes"],
                )
                weakref.finalize(self, self._embeddings.close_later).atexit = False
            step = self._step((tag,), global_step, f"add_embedding({tag!r})")
            try:
                self._embeddings.add(mat, metadata, label_img, step, tag, metadata_header)
            except (ArgumentTypeError, ArgumentValueError):
                if global_step is None:
                    self._next_steps[tag] = step
                raise

    def add_session_log(self, msg: str) -> None:
        """Note how a run ended. TensorBoard passes over it; `eventwriter inspect` shows it.

        Args:
            msg: Such as "finished".

        Raises:
            WriterClosedError: After `close`.
        """
        log = SessionLog(status=SessionLog.STOP, msg=msg)
        self._put(Event(wall_time=_now(), session_log=log))

    def flush(self, *, sync: bool = False) -> None:
        """Return when TensorBoard can read everything that was logged before.

        Args:
            sync: Also have the operating system put it on the disk (fsync), which a power cut
                then does not undo.

        Raises:
            WriteError: The disk refused, or records were lost since the last such error.
        """
        with contextlib.ExitStack() as both:
            if self._file is not None:
                both.callback(self._file.flush, sync=sync)
            if self._embeddings is not None:
                both.callback(self._embeddings.flush, sync=sync)

    def close(self) -> None:
        """Flush and close. Closing twice does no harm; logging afterwards raises.

        Raises:
            WriteError: As `flush`. What could not be written is tried again in the background
                and at the interpreter's exit.
        """
        self._closed = True
        with contextlib.ExitStack() as both:
            if self._file is not None:
                both.callback(self._file.close)
            if self._embeddings is not None:
                both.callback(self._embeddings.close)

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except WriteError as failure:
            if error is None:
                raise
            # The training's own exception is the one to see.
            warn_quietly(str(failure))

    def _current_file(self) -> EventFileWriter:
        """Return the file to write to; in a child process, one that is made now.

        Raises:
            WriterClosedError: After `close`.
        """
        if self._closed:
            raise WriterClosedError(f"{self.log_dir}: the writer was closed. Open a new one.")
        file = self._file
        if file is None or file.closed:
            with _lock:
                file = self._file
                if self._closed:  # another thread closed it in between
                    return self._current_file()
                if file is None or file.closed:
                    directory = worker_dir(self._base_dir)
                    self._log_dir = str(directory)
                    file = self._open(directory)
        return file

    def _open(self, directory: Path) -> EventFileWriter:
        self._embeddings = None
        file = EventFileWriter(directory, **self._file_options)
        self._rows, self._tag_ids = file.pending.rows, file.pending.tag_ids
        self._file = file
        # A writer that nobody holds any more is closed, but not at exit: the flusher is there.
        weakref.finalize(self, file.close_later).atexit = False
        return file

    def _add_image(
        self, method: str, tag: Any, img: Any, global_step: Any, walltime: Any, dataformats: Any
    ) -> None:
        from eventwriter.records.image import image_value  # noqa: PLC0415 - see add_embedding

        arguments.tag(tag, method)
        call = f"{method}({tag!r})"
        self._current_file()
        wall_time = self._wall_time(walltime, call)
        value = image_value(tag, img, dataformats, call=method)
        self._put_value(value, "images", global_step, wall_time, call)

    def _put_value(
        self, value: Summary.Value, kind: str, global_step: Any, wall_time: float, call: str
    ) -> None:
        with _lock:
            value.tag = self._claim(value.tag, kind, call)
            step = self._step((value.tag,), global_step, call)
            self._put(Event(wall_time=wall_time, step=step, summary=Summary(value=[value])))

    def _claim(self, tag: str, kind: str, call: str) -> str:
        """Return the tag to write: another where this one holds records of another kind already.

        TensorBoard shows a tag as one kind only: of two, its default reader shows neither.
        """
        if self._kinds.setdefault(tag, kind) == kind:
            return tag
        other = f"{tag}/{kind}"
        if self._kinds.setdefault(other, kind) != kind:
            return self._claim(other, kind, call)
        if tag not in self._told_claimed:
            self._told_claimed.add(tag)
            warn_caller(
                f"{call}: {tag!r} holds {self._kinds[tag]} already, and TensorBoard shows one kind "
                f"for a tag. Its {kind} are written as {other!r}."
            )
        return other

    def _put(self, event: Event) -> None:
        self._current_file().put(frame(event.SerializeToString(deterministic=True)))

    def _wall_time(self, walltime: Any, call: str) -> float:
        return _now() if walltime is None else arguments.wall_time(walltime, f"{call}: walltime")

    def _step(self, tags: tuple[str, ...], global_step: Any, call: str) -> int:
        """Return a step as an int. None is the next one that is new for all the tags."""
        if global_step is not None:
            return arguments.step(global_step, f"{call}: global_step")
        if self._continues:
            self._continues = False
            warn_caller(
                f"{call}: no global_step was given, so steps count from 0, but {self.log_dir} "
                "holds events of an earlier run, whose points they may replace. Pass global_step."
            )
        step = max(self._next_steps.get(tag, 0) for tag in tags)
        for tag in tags:
            self._next_steps[tag] = step + 1
        return step


def _renew_lock_after_fork() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock_after_fork)


def _copy_of(base_dir: Path, file_options: dict[str, Any]) -> SummaryWriter:
    """Return a writer that opens a file of its own at its first record."""
    writer = SummaryWriter.__new__(SummaryWriter)
    writer._base_dir = base_dir
    writer._log_dir = str(base_dir)
    writer._file_options = file_options
    writer._start()
    return writer


def _fetched(tag: str, fetch: Callable[[], float], step: int, wall_time: float) -> bytes:
    """Return the record of a value that is fetched only now."""
    return frame(scalars_event({tag: fetch()}, step, wall_time).SerializeToString())


def _fetch_and_pack(group: ScalarGroup, numbers: list[Any]) -> bytes:
    return group.pack(*(number() if callable(number) else number for number in numbers))
