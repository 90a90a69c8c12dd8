"""What event files hold, as a table for people: `eventwriter inspect`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from google.protobuf import text_format

from eventwriter._proto.projector_pb2 import ProjectorConfig
from eventwriter.errors import ArgumentValueError, CorruptFileError
from eventwriter.reader import EventFileReader

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from eventwriter._proto.event_pb2 import Event
    from eventwriter._proto.summary_pb2 import Summary

# Relative to a run's directory; TensorBoard prefers the second.
_PROJECTOR_CONFIGS = (
    "projector_config.pbtxt",
    "plugins/org_tensorflow_tensorboard_projector/projector_config.pbtxt",
)

Row: TypeAlias = tuple[str, str, str, str, str, str]


class Series(NamedTuple):
    """What a line of the table is about.

    Attributes:
        kind: "scalar", "histogram", "graph", ...; for other tensors their plugin's name.
        tag: Empty for what has none.
    """

    kind: str
    tag: str


@dataclass
class Extent:
    """What is known of a `Series` after reading its points in order.

    Attributes:
        points: Their number.
        first_step: Of the first point in the file.
        last_step: Of the last point in the file.
        last: The last value of a scalar, the shape of a tensor, the size of a graph.
    """

    points: int
    first_step: int
    last_step: int
    last: str


def inspect(path: str | os.PathLike[str]) -> Iterator[str]:
    """Describes an event file, or every run below a directory, as lines of text.

    Args:
        path: A file; or a directory, whose runs are the directories that hold files with
            "tfevents" in their names.

    Yields:
        For each run: its files with size, records and the place of damage; a table of its tags.

    Raises:
        ArgumentValueError: There is no such path, or no event file there.
        OSError: A file cannot be read.
    """
    root = Path(path)
    if not root.exists():
        message = f"{root}: no such file or directory"
        raise ArgumentValueError(message)
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*tfevents*") if p.is_file())
    if not files:
        message = f"{root}: holds no event files (files with 'tfevents' in their names)"
        raise ArgumentValueError(message)
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
            config, damage = _projector_config(run / name)
            if damage:
                yield f"  damage: {run / name}: {damage}"
            rows += [
                ("embedding", _shown(info.tensor_name), "", "", "", str(list(info.tensor_shape)))
                for info in config.embeddings
            ]
    yield from _table(("kind", "tag", "points", "first step", "last step", "last"), rows)


def _shown(name: str) -> str:
    """A name as a terminal may print it: it may hold line breaks and a terminal's commands."""
    return repr(name)[1:-1]


def _count(event: Event, extents: dict[Series, Extent]) -> None:
    """Adds to `extents` what an event holds."""
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


def _projector_config(path: Path) -> tuple[ProjectorConfig, str]:
    """The embeddings that `path` lists, which are files of their own; and why it cannot be read."""
    config = ProjectorConfig()
    if path.is_file():
        try:
            text_format.Parse(path.read_text("utf-8"), config)
        except (text_format.ParseError, UnicodeDecodeError) as error:
            return ProjectorConfig(), str(error)
    return config, ""


def _table(header: Row, rows: list[Row]) -> Iterator[str]:
    """Lines whose columns are as wide as their widest cell; numbers are aligned to the right."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [
            f"{cell:>{width}}" if 2 <= index <= 4 else f"{cell:<{width}}"
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()
