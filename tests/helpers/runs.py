"""What the event files of runs hold, read independently of the package's own reader."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from eventwriter._proto.graph_pb2 import GraphDef
from tests.helpers.scanner import event_file, events

if TYPE_CHECKING:
    from pathlib import Path

    from eventwriter._proto.event_pb2 import Event


def all_events(run: Path) -> list[Event]:
    """Return the events of the only file of a run, without the file version."""
    return events(event_file(run))


def scalars(run: Path) -> list[tuple[str, int, float]]:
    """Return the tag, step and value of every scalar, in the file's order."""
    return [
        (value.tag, event.step, value.simple_value)
        for event in all_events(run)
        for value in event.summary.value
    ]


def steps_of_tags(run: Path) -> dict[str, list[int]]:
    """Return the steps of each tag, in the file's order."""
    steps: dict[str, list[int]] = {}
    for event in all_events(run):
        for value in event.summary.value:
            steps.setdefault(value.tag, []).append(event.step)
    return steps


def logged_graph(run: Path) -> GraphDef:
    """Return the only graph of a run."""
    (data,) = (event.graph_def for event in all_events(run) if event.graph_def)
    return GraphDef.FromString(data)


def steps(directory: Path) -> dict[str, list[int]]:
    """Return the steps of every tag of every run, as "run:tag", in the order of the files.

    A graph and the end of a training count as tags of their own.
    """
    found: defaultdict[str, list[int]] = defaultdict(list)
    for path in sorted(directory.rglob("*tfevents*"), key=lambda path: path.name):
        run = path.parent.relative_to(directory)
        for event in events(path):
            for value in event.summary.value:
                found[f"{run}:{value.tag}"].append(event.step)
            if event.HasField("graph_def"):
                found[f"{run}:graph"].append(event.step)
            if event.session_log.msg:
                found[f"{run}:{event.session_log.msg}"].append(event.step)
    return dict(found)


def values(directory: Path, tag: str) -> list[float]:
    """Return the values of one scalar of a run, whose files may be several."""
    return [
        value.simple_value
        for path in sorted(directory.glob("*tfevents*"))
        for event in events(path)
        for value in event.summary.value
        if value.tag == tag
    ]
