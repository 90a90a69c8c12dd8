"""Scalars: one by one, many in one event, and whole curves from arrays.

    Event
      wall_time, step
      summary.value[]    tag, simple_value (float32)

A `simple_value` is the smallest form, and the only one that every reader of event files shows.
TensorBoard's default reader drops float64 scalars, so a more exact form would show nothing.

The fast path appends rows, which `_file.encoder` encodes later: see `_file.rows`. That of a single
scalar is `SummaryWriter.add_scalar`. `scalars_event` here is the plain path, by protobuf. Tests
hold the two equal.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._file.framing import frame
from eventwriter._file.rows import ROW, pack_rows
from eventwriter._proto.event_pb2 import Event
from eventwriter._values import arguments
from eventwriter._values.arguments import PLAIN
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.records.recording import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from eventwriter.records.recording import Recording
    from eventwriter.typing import ArrayLike, Metrics, Scalar, Seconds, Step

    Number = float | Callable[[], float]

KIND = "scalars"

_SERIES_POINTS = 4096  # encoded at once: with their arrays they fit a core's second-level cache
_FETCHED_BYTES = 512  # memory that a value on a device is counted with
_KNOWN_BYTES = 16 << 20  # memory of the sets of names that `log` remembers
# What goes wrong where an argument of a fast path is not of the usual kind.
_NOT_PLAIN = (KeyError, TypeError, AttributeError, OverflowError, struct.error)

_now = time.time


def scalars_event(metrics: Iterable[tuple[str, float]], step: int, wall_time: float) -> Event:
    """Return one event that holds a value for each tag.

    Args:
        metrics: Tags and values. A value beyond float32 becomes an infinity.
        step: Within int64.
        wall_time: Seconds since 1970.
    """
    event = Event(wall_time=wall_time, step=step)
    for tag, value in metrics:
        with np.errstate(all="ignore"):
            event.summary.value.add(tag=tag, simple_value=float(np.float32(value)))
    return event


def add_scalar_checked(
    self: Recording,
    tag: str,
    scalar_value: Scalar,
    global_step: Step | None,
    walltime: Seconds | None,
) -> None:
    """Log one number that the fast path of `add_scalar` does not take.

    This takes the first number of a tag, calls without a step, values on a device, values of
    unusual types, and all arguments that are wrong.
    """
    call = Call(self, "add_scalar", tag, global_step, walltime)
    number: Number
    if type(scalar_value) is float:
        number = scalar_value
    else:
        number = arguments.scalar(scalar_value, f"{call.where}: scalar_value")
    with self._lock:
        file = self._current_file()
        name = self._claim(call.tag, KIND, call.where)
        step = self._take_step((name,), call.step, call.where)
        tag_id = file.tag_id(name)
        if tag_id is None or not call.wall_time or callable(number):
            _put_plain(self, [(name, number)], step, call.wall_time)
        else:
            file.put_rows(ROW.pack(call.wall_time, step, tag_id, number))


def log(
    self: Recording,
    metrics: Metrics,
    global_step: Step | None = None,
    walltime: Seconds | None = None,
) -> None:
    """Log many numbers of one step as one event, which is cheaper and smaller than one by one.

    Args:
        metrics: Names and values, each as in `add_scalar`. Nested names are joined by slashes:
            `{"train": {"loss": 1.0}}` is `train/loss`. An empty dict writes nothing.
        global_step: As in `add_scalar`. None is the next step that is new for all the names.
        walltime: As in `add_scalar`.

    Raises:
        ArgumentTypeError, ArgumentValueError: Nothing was written.
        WriterClosedError: The writer is closed.
    """
    if walltime is None:
        try:
            pack, template_id = self._packers[tuple(metrics)]
            values = metrics.values()
            rows = None
            if PLAIN.issuperset(map(type, values)):
                # The packer came first, like the id in `add_scalar`.
                rows = self._rows
                rows += pack(_now(), global_step, template_id, *values)
        except _NOT_PLAIN:
            pass  # new names, no step, a closed writer, or an error: see log_checked
        else:
            if rows is not None:
                if len(rows) > self._back_pressure.high_water:
                    self._back_pressure.slow_down()
                return
    log_checked(self, metrics, global_step, walltime)


def log_checked(
    self: Recording, metrics: Metrics, global_step: Step | None, walltime: Seconds | None
) -> None:
    """Log many numbers that the fast path of `log` does not take."""
    known = self._state(_KnownNames)
    numbers = known.plain_values(metrics) or _flatten(metrics)
    self._check_open()
    if not numbers:
        return
    step = self._check_step(global_step, "log")
    wall_time = self._check_wall_time(walltime, "log")
    names = tuple(numbers)
    with self._lock:
        file = self._current_file()
        tags = known.tags.get(names)
        # A template is made for names that come again: a dict may have new names at each step.
        packer = file.packer(names, tags) if tags and wall_time else None
        if tags is None:
            tags = tuple(self._claim(name, KIND, "log") for name in names)
            known.add(names, tags)
        step = self._take_step(tags, step, "log")
        values = numbers.values()
        if packer is None or any(map(callable, values)):
            _put_plain(self, zip(tags, values, strict=True), step, wall_time)
        else:
            pack, template_id = packer
            file.put_rows(pack(wall_time, step, template_id, *values))


def add_scalar_series(
    self: Recording,
    tag: str,
    values: ArrayLike,
    steps: ArrayLike | None = None,
    walltimes: ArrayLike | None = None,
) -> None:
    """Log a whole curve from arrays.

    The points are written in the order of their steps: where a step is lower than the one before,
    TensorBoard takes it for a restart, and hides the points that came before it.

    Args:
        tag: As in `add_scalar`.
        values: Shape `[n]`, any real dtype, any framework. Stored as float32.
        steps: Shape `[n]`, whole numbers within int64. None counts on from the tag's last step
            that was counted, as in `add_scalar`.
        walltimes: Shape `[n]`, seconds since 1970. None is now, for all points.

    Raises:
        ArgumentTypeError, ArgumentValueError: Nothing was written.
        WriterClosedError: The writer is closed.

    Warns:
        EventWriterWarning: Several points have one step.
    """
    call = Call(self, "add_scalar_series", tag)
    numbers = arguments.column(values, f"{call.where}: values").astype(np.float64)
    count = len(numbers)
    if walltimes is None:
        seconds = np.full(count, time.time())
    else:
        seconds = arguments.wall_times(walltimes, f"{call.where}: walltimes", count)
    whole = None
    if steps is not None:
        column = arguments.column(steps, f"{call.where}: steps", count)
        whole = arguments.whole_numbers(column, f"{call.where}: steps")
        if (whole[1:] < whole[:-1]).any():
            order = np.argsort(whole, kind="stable")
            seconds, whole, numbers = seconds[order], whole[order], numbers[order]
        if (equal := int(np.count_nonzero(whole[1:] == whole[:-1]))) > 0:
            self._warn_once(
                "equal steps",
                tag,
                f"{call.where}: steps: expected each step once, got {equal} that come again. "
                "TensorBoard's default reader shows the last point of a step only. Number the "
                "points, or give each curve a tag of its own.",
            )
    with self._lock:
        file = self._current_file()
        name = self._claim(call.tag, KIND, call.where)
        if whole is None:
            first = self._take_step((name,), None, call.where)
            self._next_steps[name] = first + count
            whole = np.arange(first, first + count, dtype=np.int64)
        tag_id = file.tag_id(name)
        if tag_id is None or not seconds.all():
            for number, step, wall_time in zip(numbers, whole, seconds, strict=True):
                _put_plain(self, [(name, float(number))], int(step), float(wall_time))
            return
        for start in range(0, count, _SERIES_POINTS):
            part = slice(start, start + _SERIES_POINTS)
            rows = pack_rows(tag_id, seconds[part], whole[part], numbers[part])
            file.put_rows(rows, len(whole[part]))


class _KnownNames:
    """The sets of names that `log` has met in a run, and the tags that are written for them."""

    def __init__(self) -> None:
        self.tags: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._nbytes = 0

    def add(self, names: tuple[str, ...], tags: tuple[str, ...]) -> None:
        """Remember a set of names. When all of them take too much memory, forget the others."""
        nbytes = 512 + sum(sys.getsizeof(name) + 2 * 8 for name in names)
        self._nbytes += nbytes
        if self._nbytes > _KNOWN_BYTES:
            self.tags.clear()
            self._nbytes = nbytes
        self.tags[names] = tags

    def plain_values(self, metrics: Mapping[str, Any]) -> dict[str, Number] | None:
        """Return the dict as it is, if its names are known and its values are plain numbers."""
        try:
            plain = tuple(metrics) in self.tags and PLAIN.issuperset(map(type, metrics.values()))
            return {name: float(value) for name, value in metrics.items()} if plain else None
        except _NOT_PLAIN:
            return None  # `_flatten` raises if an argument is wrong


def _flatten(metrics: Any) -> dict[str, Number]:
    """Return nested metrics as one dict of tags and numbers."""
    flat: dict[str, Number] = {}

    def visit(level: Any, prefix: str) -> None:
        if not isinstance(level, Mapping):
            raise ArgumentTypeError(
                f"log: metrics: expected a dict of names and numbers, got {type_name(level)}."
            )
        for name, value in level.items():
            tag = prefix + arguments.tag(name, f"log, below {prefix!r}" if prefix else "log")
            if isinstance(value, Mapping):
                visit(value, f"{tag}/")
            elif tag in flat:
                raise ArgumentValueError(
                    f"log: metrics: expected each name once, got {tag!r} twice: as a name and "
                    "nested. Rename one."
                )
            else:
                flat[tag] = arguments.scalar(value, f"log: the value of {tag!r}")

    visit(metrics, "")
    return flat


def _put_plain(
    self: Recording, metrics: Iterable[tuple[str, Number]], step: int, wall_time: float
) -> None:
    """Append an event for which there is no template.

    A tag is too long or comes for the first time, protobuf leaves the time 0 out, or a value is
    fetched from a device when the event is written.
    """
    pairs = list(metrics)
    on_host = [(tag, value) for tag, value in pairs if not callable(value)]
    if len(on_host) == len(pairs):
        self._put(scalars_event(on_host, step, wall_time))
    else:
        fetch = partial(_fetch_and_frame, pairs, step, wall_time)
        self._current_file().put(fetch, len(pairs) * _FETCHED_BYTES)


def _fetch_and_frame(metrics: list[tuple[str, Number]], step: int, wall_time: float) -> bytes:
    numbers = [(tag, value() if callable(value) else value) for tag, value in metrics]
    return frame(scalars_event(numbers, step, wall_time).SerializeToString())
