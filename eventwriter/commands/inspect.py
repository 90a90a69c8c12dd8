"""`eventwriter inspect`: what event files hold, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from eventwriter.errors import ArgumentValueError, CorruptFileError
from eventwriter.projector.config import CONFIG_NAME, read_config
from eventwriter.reader import EventFileReader

if TYPE_CHECKING:
    import argparse
    import os
    from collections.abc import Iterator

    from eventwriter._proto.event_pb2 import Event
    from eventwriter._proto.summary_pb2 import Summary

SUMMARY = "print what logs hold"
EXAMPLE = "eventwriter inspect runs"
HELP = """\
Prints what an event file, or every event file below a directory, holds: for each run its files,
with the place where one is damaged, and for each tag its kind, the number of points, the first and
the last step, and the last value (of a scalar) or shape (of anything else).

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
    """Print the lines of `describe`, with its errors."""
    for line in describe(options.path):
        print(line)


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


def describe(path: str | os.PathLike[str]) -> Iterator[str]:
    """Describe an event file, or every run below a directory, as lines of text.

    Args:
        path: An event file, or a directory. A directory's runs are all directories below it that
            hold files with "tfevents" in their names.

    Yields:
        For each run, a line for each file, with its size, its records and the place where it is
        damaged; then a table of the run's tags.

    Raises:
        ArgumentValueError: The path does not exist, or there is no event file.
        OSError: A file cannot be read.
    """
    root = Path(path)
    if not root.exists():
        raise ArgumentValueError(f"{root}: no such file or directory")
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*tfevents*") if p.is_file())
    if not files:
        raise ArgumentValueError(
            f"{root}: holds no event files (files with 'tfevents' in their names)"
        )
    runs: dict[Path, list[Path]] = {}
    for file in files:
        runs.setdefault(file.parent, []).append(file)
    for number, (run, files_of_run) in enumerate(sorted(runs.items())):
        if number:
            yield ""
        yield from _inspect_run(run, files_of_run, with_projector=root.is_dir())


def _inspect_run(run: Path, files: list[Path], *, with_projector: bool) -> Iterator[str]:
    yield str(run)
    extents: dict[Series, Extent] = {}
    for file in files:
        records = 0
        damage = ""
        try:
            for event in EventFileReader(file):
                records += 1
                _count(event, extents)
        except CorruptFileError as error:
            damage = f"  damage: {error}"
        yield f"  {file.name}  {file.stat().st_size:,} bytes  {records:,} records"
        if damage:
            yield damage
    rows = [
        (kind, _shown(tag), f"{e.points:,}", f"{e.first_step}", f"{e.last_step}", e.last)
        for (kind, tag), e in sorted(extents.items())
    ]
    if with_projector:
        for name in _PROJECTOR_CONFIGS:
            try:
                config = read_config(run / name)
            except ValueError as error:
                yield f"  damage: {run / name}: {error}"
                continue
            rows += [
                ("embedding", _shown(info.tensor_name), "", "", "", str(list(info.tensor_shape)))
                for info in config.embeddings
            ]
    yield from _table(("kind", "tag", "points", "first step", "last step", "last"), rows)


def _shown(name: str) -> str:
    """Return a name without line breaks and commands to the terminal."""
    return repr(name)[1:-1]


def _count(event: Event, extents: dict[Series, Extent]) -> None:
    """Add the points of an event to `extents`."""
    for series, last in _points(event):
        extent = extents.setdefault(series, Extent(0, event.step, event.step, ""))
        extent.points += 1
        extent.last_step = event.step
        extent.last = last


def _points(event: Event) -> Iterator[tuple[Series, str]]:
    what = event.WhichOneof("what")
    if what == "summary":
        for value in event.summary.value:
            yield _value(value)
    elif what == "graph_def":
        yield Series("graph", ""), f"{len(event.graph_def):,} bytes"
    elif what == "session_log":
        yield Series("session", ""), _shown(event.session_log.msg)
    elif what not in {None, "file_version"}:
        yield Series(what, ""), ""


def _value(value: Summary.Value) -> tuple[Series, str]:
    what = value.WhichOneof("value")
    if what == "simple_value":
        return Series("scalar", value.tag), f"{value.simple_value:.6g}"
    if what == "tensor":
        kind = value.metadata.plugin_data.plugin_name.removesuffix("s") or "tensor"
        return Series(kind, value.tag), str([dim.size for dim in value.tensor.tensor_shape.dim])
    if what == "histo":
        return Series("histogram", value.tag), f"[{len(value.histo.bucket)}]"
    return Series(what or "empty", value.tag), ""


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
