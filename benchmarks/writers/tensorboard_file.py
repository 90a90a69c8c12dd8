"""tensorboard's EventFileWriter, which takes events that its user has made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from benchmarks.question import has_none

if TYPE_CHECKING:
    from collections.abc import Mapping


class Writer:
    """See `benchmarks.writers.Writer`."""

    histogram = staticmethod(has_none)
    image = staticmethod(has_none)
    embedding = staticmethod(has_none)

    def __init__(self, directory: str) -> None:
        self._writer = EventFileWriter(directory)
        self.flush = self._writer.flush
        self.close = self._writer.close
        self.parse_graph = GraphDef.FromString

    def scalar(self, tag: str, value: Any, step: int) -> None:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=float(value))])
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in metrics.items()]
        summary = Summary(value=values)
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def graph(self, graph_def: GraphDef) -> None:
        event = Event(wall_time=time.time(), graph_def=graph_def.SerializeToString())
        self._writer.add_event(event)
