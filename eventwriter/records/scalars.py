"""Scalars: one by one, many in one event, and whole curves from arrays.

    Event
      wall_time, step
      summary.value[]    tag, simple_value (float32)

A `simple_value` is the smallest form, and the only one that every reader of event files shows.
TensorBoard's default reader drops float64 scalars, so a more exact form would show nothing.

The fast path of a single scalar is `SummaryWriter.add_scalar`, which appends a row that
`_file.scalar_rows` encodes later. `scalars_event` here is the plain path, by protobuf. Tests hold
the two equal.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._file.framing import frame
from eventwriter._file.scalar_rows import ROW
from eventwriter._proto.event_pb2 import Event
from eventwriter._values import arguments
from eventwriter._values.arguments import PLAIN
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.records.recording import Call
from eventwriter.records.scalar_group import ScalarGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter.records.recording import Recording
    from eventwriter.typing import ArrayLike, Metrics, Scalar, Seconds, Step

    Number = float | Callable[[], float]

KIND = "scalars"

_SERIES_POINTS = 4096  # encoded at once: with their arrays they fit a core's second-level cache
_FETCHED_BYTES = 512  # memory that a value on a device is counted with
_GROUPS_BYTES = 16 << 20  # memory of the sets of names that `log` remembers


def scalars_event(metrics: Mapping[str, float], step: int, wall_time: float) -> Event:
    """Return one event that holds a value for each tag.

    Args:
        metrics: Tags and values. A value beyond float32 becomes an infinity.
        step: Within int64.
        wall_time: Seconds since 1970.
    """
    event = Event(wall_time=wall_time, step=step)
    for tag, value in metrics.items():
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
    number = arguments.scalar(scalar_value, f"{call.where}: scalar_value")
    with self._lock:
        file = self._current_file()
        name = self._claim(call.tag, KIND, call.where)
        step = self._take_step((name,), call.step, call.where)
        if callable(number):
            file.put(partial(_fetch_and_frame, name, number, step, call.wall_time), _FETCHED_BYTES)
            return
        tag_id = file.tag_id(name)
        if tag_id is None or not call.wall_time:
            # There is no template: the tag is too long, or protobuf leaves the time 0 out.
            self._put(scalars_event({name: number}, step, call.wall_time))
        else:
            file.put_row(ROW.pack(call.wall_time, step, number, tag_id))


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
    groups = self._state(_Groups)
    packed: bytes | Callable[[], bytes]
    group, packed = groups.pack_plain(metrics)
    if group is None:
        numbers = _flatten(metrics)
        self._check_open()
        if not numbers:
            return
        group = _group(self, groups, tuple(numbers))
        later = any(map(callable, numbers.values()))
        pack = partial(_fetch_and_pack, group, list(numbers.values()))
        packed = pack if later else pack()
    step = self._check_step(global_step, "log")
    wall_time = self._check_wall_time(walltime, "log")
    with self._lock:
        file = self._current_file()
        step = self._take_step(group.tags, step, "log")
        file.put(partial(group.encode, wall_time, step, packed), len(group.tags) * 8)


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
            # There is no template: the tag is too long, or protobuf leaves a time 0 out.
            for number, step, wall_time in zip(numbers, whole, seconds, strict=True):
                self._put(scalars_event({name: float(number)}, int(step), float(wall_time)))
            return
        for start in range(0, count, _SERIES_POINTS):
            part = slice(start, start + _SERIES_POINTS)
            columns = seconds[part], whole[part], numbers[part]
            record = partial(file.pending.encoder.encode_series, tag_id, *columns)
            file.put(record, sum(column.nbytes for column in columns), len(columns[0]))


class _Groups:
    """The sets of names that `log` has met in a run, and their templates."""

    def __init__(self) -> None:
        self.by_names: dict[tuple[str, ...], ScalarGroup] = {}
        self._nbytes = 0

    def add(self, names: tuple[str, ...], group: ScalarGroup) -> None:
        """Remember a set of names. When all of them take too much memory, forget the others."""
        self._nbytes += group.nbytes
        if self._nbytes > _GROUPS_BYTES:
            self.by_names.clear()
            self._nbytes = group.nbytes
        self.by_names[names] = group

    def pack_plain(self, metrics: Mapping[str, Any]) -> tuple[ScalarGroup | None, bytes]:
        """Return the template of names that were logged before, and their plain values packed.

        The template is None for new or nested names, for values that are not plain numbers, and
        for arguments that are wrong.
        """
        try:
            group = self.by_names[tuple(metrics)]
            if PLAIN.issuperset(map(type, metrics.values())):
                return group, group.pack(*metrics.values())
        except (KeyError, TypeError, AttributeError, OverflowError, struct.error):
            pass  # `_flatten` raises if an argument is wrong
        return None, b""


def _group(self: Recording, groups: _Groups, tags: tuple[str, ...]) -> ScalarGroup:
    with self._lock:
        group = groups.by_names.get(tags)
        if group is None:
            group = ScalarGroup([self._claim(tag, KIND, "log") for tag in tags])
            groups.add(tags, group)
        return group


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


def _fetch_and_frame(tag: str, fetch: Callable[[], float], step: int, wall_time: float) -> bytes:
    """Return the record of a value that is fetched from its device now."""
    return frame(scalars_event({tag: fetch()}, step, wall_time).SerializeToString())


def _fetch_and_pack(group: ScalarGroup, numbers: list[Number]) -> bytes:
    return group.pack(*(number() if callable(number) else number for number in numbers))
