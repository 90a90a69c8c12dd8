"""`eventwriter inspect`: what event files hold, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from eventwriter._proto.tensor_pb2 import DataType
from eventwriter.errors import ArgumentValueError, CorruptFileError, EventWriterError
from eventwriter.projector.config import CONFIG_NAME, read_config
from eventwriter.reader import EventFileReader

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from eventwriter._proto.event_pb2 import Event
    from eventwriter._proto.summary_pb2 import Summary
    from eventwriter._proto.tensor_pb2 import TensorProto
    from eventwriter.typing import PathLike

SUMMARY = "print what logs hold"
EXAMPLE = "eventwriter inspect runs"
HELP = """\
Prints what an event file holds, or every event file below a directory. For each run it lists the
files, and the place where one is damaged. For each tag it lists the kind, the number of points, the
first and the last step, and the last value (of a scalar) or shape (of anything else). The exit
status is 1 if something is damaged or is no event file.

  eventwriter inspect runs
"""

# Relative to a run's directory; TensorBoard prefers the second.
_PROJECTOR_CONFIGS = (
    CONFIG_NAME,
    f"plugins/org_tensorflow_tensorboard_projector/{CONFIG_NAME}",
)

Row: TypeAlias = tuple[str, str, str, str, str, str]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the path."""
    parser.add_argument("path", metavar="PATH", help="an event file, or a directory")


def run(options: argparse.Namespace) -> None:
    """Print the lines of `describe`.

    Raises:
        EventWriterError: A file is damaged. Everything was printed before.
        ArgumentValueError, OSError: As `describe`.
    """
    damaged: list[str] = []
    for line in describe(options.path, damaged):
        print(line)
    if damaged:
        raise EventWriterError(f"damaged: {', '.join(damaged)}. The places are listed above.")


class Series(NamedTuple):
    """The points that one line of the table is about.

    Attributes:
        kind: "scalar", "histogram", "graph", ...; for a tensor of another plugin, its name.
        tag: Empty for a graph and for other records without a tag.
    """

    kind: str
    tag: str


@dataclass
class Extent:
    """What the points of a `Series` that were read so far amount to.

    Attributes:
        points: The number of points.
        first_step: The step of the first point in the file.
        last_step: The step of the last point in the file.
        last: The last value of a scalar, the shape of a tensor, the size of a graph.
    """

    points: int
    first_step: int
    last_step: int
    last: str


def describe(path: PathLike, damaged: list[str]) -> Iterator[str]:
    """Describe an event file, or every run below a directory, as lines of text.

    A name in a line holds no character that a terminal would obey: such characters are escaped.

    Args:
        path: An event file, or a directory. A directory's runs are all directories below it that
            hold files with "tfevents" in their names.
        damaged: Gets the name of each file that is damaged.

    Yields:
        For each run, a line for each file, with its size, its records and the place where it is
        damaged; then a table of the run's tags.

    Raises:
        ArgumentValueError: The path does not exist, or there is no event file.
        OSError: A file cannot be read.
    """
    root = Path(path)
    if not root.exists():
        raise ArgumentValueError(
            f"{root}: expected an event file or a directory, got no such file or directory. Pass "
            "what you log to."
        )
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*tfevents*") if p.is_file())
    if not files:
        raise ArgumentValueError(
            f"{root}: expected event files (with 'tfevents' in their names) at any depth, got a "
            "directory that holds no event files. Pass what you log to."
        )
    runs: dict[Path, list[Path]] = {}
    for file in files:
        runs.setdefault(file.parent, []).append(file)
    for number, (run, files_of_run) in enumerate(sorted(runs.items())):
        if number:
            yield ""
        yield from _inspect_run(run, files_of_run, damaged, with_projector=root.is_dir())


def _inspect_run(
    run: Path, files: list[Path], damaged: list[str], *, with_projector: bool
) -> Iterator[str]:
    yield _shown(str(run))
    counts = _Counts()
    for file in files:
        records = 0
        damage = ""
        try:
            for event in EventFileReader(file):
                records += 1
                counts.add(event)
        except CorruptFileError as error:
            what = "damage" if records else "no event file, or damaged from its first record on"
            damage = f"  {what}: {_shown(str(error))}"
            damaged.append(_shown(str(file)))
        yield f"  {_shown(file.name)}  {file.stat().st_size:,} bytes  {records:,} records"
        if damage:
            yield damage
    rows = [
        (_shown(kind), _shown(tag), f"{e.points:,}", f"{e.first_step}", f"{e.last_step}", e.last)
        for (kind, tag), e in sorted(counts.extents.items())
    ]
    if with_projector:
        for name in _PROJECTOR_CONFIGS:
            try:
                config = read_config(run / name)
            except ValueError as error:
                yield f"  damage: {_shown(f'{run / name}: {error}')}"
                damaged.append(_shown(str(run / name)))
                continue
            rows += [
                ("embedding", _shown(info.tensor_name), "", "", "", str(list(info.tensor_shape)))
                for info in config.embeddings
            ]
    yield from _table(("kind", "tag", "points", "first step", "last step", "last"), rows)


def _shown(text: str) -> str:
    """Return a text with all characters escaped that a terminal would obey or not show."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class _Counts:
    """Counts the points of one run, by their kind and tag.

    Attributes:
        extents: What was counted.
    """

    def __init__(self) -> None:
        self.extents: dict[Series, Extent] = {}
        # A writer may name the plugin in the first value of a tag only.
        self._plugins: dict[str, str] = {}

    def add(self, event: Event) -> None:
        """Add the points of an event."""
        for series, last in self._points(event):
            extent = self.extents.setdefault(series, Extent(0, event.step, event.step, ""))
            extent.points += 1
            extent.last_step = event.step
            extent.last = last

    def _points(self, event: Event) -> Iterator[tuple[Series, str]]:
        what = event.WhichOneof("what")
        if what == "summary":
            for value in event.summary.value:
                yield self._value(value)
        elif what == "graph_def":
            yield Series("graph", ""), f"{len(event.graph_def):,} bytes"
        elif what == "session_log":
            yield Series("session", ""), _shown(event.session_log.msg)
        elif what not in {None, "file_version"}:
            yield Series(what, ""), ""

    def _value(self, value: Summary.Value) -> tuple[Series, str]:
        what = value.WhichOneof("value")
        if what == "simple_value":
            return Series("scalar", value.tag), f"{value.simple_value:.6g}"
        if what == "tensor":
            named = value.metadata.plugin_data.plugin_name
            plugin = self._plugins.setdefault(value.tag, named) or named
            kind = plugin.removesuffix("s") or "tensor"
            number = scalar_of(value.tensor) if kind == "scalar" else None
            shape = str([dim.size for dim in value.tensor.tensor_shape.dim])
            return Series(kind, value.tag), shape if number is None else f"{number:.6g}"
        if what == "histo":
            return Series("histogram", value.tag), f"[{len(value.histo.bucket)}]"
        return Series(what or "empty", value.tag), ""


_NUMPY_DTYPES = {
    DataType.DT_HALF: "<f2",
    DataType.DT_FLOAT: "<f4",
    DataType.DT_DOUBLE: "<f8",
    DataType.DT_INT32: "<i4",
    DataType.DT_INT64: "<i8",
}
_FIELDS = ("float_val", "double_val", "int_val", "int64_val", "half_val")


def scalar_of(tensor: TensorProto) -> float | None:
    """Return the only number in a tensor, or None if the tensor holds something else.

    TensorFlow 2, Keras and torch's `new_style` write scalars as tensors. The number is in the
    field of its dtype, or as bytes in `tensor_content`. Source: TensorFlow's tensor.proto.
    """
    dtype = _NUMPY_DTYPES.get(tensor.dtype)
    if dtype is None:
        return None
    if tensor.tensor_content:
        whole = len(tensor.tensor_content) == np.dtype(dtype).itemsize
        return float(np.frombuffer(tensor.tensor_content, dtype)[0]) if whole else None
    numbers = [number for field in _FIELDS for number in getattr(tensor, field)]
    if len(numbers) != 1:
        return None
    if tensor.half_val:  # the bits of a float16, as an integer
        return float(np.array(numbers, np.uint16).view(np.float16)[0])
    return float(numbers[0])


def _table(header: Row, rows: list[Row]) -> Iterator[str]:
    """Yield the lines of a table. Numbers are aligned to the right."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [
            f"{cell:>{width}}" if 2 <= index <= 4 else f"{cell:<{width}}"
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()
