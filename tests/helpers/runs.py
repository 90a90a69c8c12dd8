"""What the event file of a run holds, read independently of the package's own reader."""

from __future__ import annotations

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
