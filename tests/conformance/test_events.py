"""Events of other packages, which `EventFileWriter.add_event` takes by their bytes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboardX.summary import scalar as tensorboardx_scalar

from eventwriter import Event, EventFileReader, EventFileWriter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.tensorboard_server import Server

PACKAGES = ["tensorboard.compat.proto", "tensorboardX.proto", "eventwriter._proto"]


def schema(package: str, module: str) -> Any:
    return importlib.import_module(f"{package}.{module}_pb2")


def rich_event(package: str) -> Any:
    """Return an event with a scalar, a histogram, a tensor and metadata, as a package makes it."""
    value = schema(package, "summary").Summary.Value
    scalar = value(tag="scalar", simple_value=0.5)
    histogram = value(tag="histogram")
    histogram.histo.min, histogram.histo.num = -1.0, 2.0
    histogram.histo.bucket_limit.extend([0.0, 1.0])
    histogram.histo.bucket.extend([1.0, 1.0])
    tensor = value(tag="tensor")
    tensor.metadata.plugin_data.plugin_name = "mine"
    tensor.metadata.plugin_data.content = b"\0\xff"
    tensor.tensor.dtype = 1
    tensor.tensor.tensor_shape.dim.add(size=2)
    tensor.tensor.tensor_content = np.array([0.5, 1.5], "<f4").tobytes()
    event = schema(package, "event").Event(wall_time=2.0, step=-3)
    event.summary.value.extend([scalar, histogram, tensor])
    return event


@pytest.mark.parametrize("package", PACKAGES)
def test_event_is_read_as_it_was(tmp_path: Path, package: str) -> None:
    """What TensorBoard's loader and our reader find is the event, field for field.

    Catches: a field that our smaller schema loses.
    """
    event = rich_event(package)
    with EventFileWriter(tmp_path) as writer:
        writer.add_event(event)
    # The loader turns old kinds of summaries into newer ones, so that its raw records count.
    raw = [record.payload for record in EventFileReader(writer.path).records()]
    _, loaded = EventFileLoader(str(writer.path)).Load()
    _, ours = EventFileReader(writer.path)

    assert event == type(event).FromString(raw[1])
    assert (2.0, -3) == (loaded.wall_time, loaded.step)
    assert ["scalar", "histogram", "tensor"] == [value.tag for value in loaded.summary.value]
    assert Event.FromString(event.SerializeToString()) == ours


@pytest.mark.parametrize("package", PACKAGES)
def test_every_kind_of_event_is_taken(tmp_path: Path, package: str) -> None:
    """Graphs, metadata of runs, log messages and session logs keep their bytes too."""
    event = schema(package, "event")
    events = (
        [
            event.Event(graph_def=b"graph", wall_time=1.0),
            event.Event(meta_graph_def=b"meta", step=1),
            event.Event(log_message=event.LogMessage(message="hello", level=20)),
            event.Event(session_log=event.SessionLog(status=event.SessionLog.STOP, msg="finished")),
            event.Event(
                tagged_run_metadata=event.TaggedRunMetadata(tag="profile", run_metadata=b"times")
            ),
        ]
        if package != "eventwriter._proto"
        else [event.Event(graph_def=b"graph", wall_time=1.0)]
    )
    with EventFileWriter(tmp_path) as writer:
        for each in events:
            writer.add_event(each)
    records = [record.payload for record in EventFileReader(writer.path).records()]

    assert events == [event.Event.FromString(payload) for payload in records[1:]]


@pytest.mark.parametrize("package", PACKAGES)
def test_summary_is_an_event_of_its_step(tmp_path: Path, package: str) -> None:
    """A Summary, as tensorboardX's and TensorBoard's functions make them, is shown at its step."""
    summary = schema(package, "summary").Summary()
    summary.value.add(tag="loss", simple_value=0.5)
    with EventFileWriter(tmp_path) as writer:
        writer.add_event(summary, 4)
    _, loaded = EventFileLoader(str(writer.path)).Load()

    assert (4, "loss") == (loaded.step, loaded.summary.value[0].tag)


def test_summaries_of_other_packages_are_shown(server: Server, run: Path) -> None:
    """Both readers show what TensorBoard's and tensorboardX's own functions have made."""
    with EventFileWriter(run) as writer:
        writer.add_event(scalar_pb("tensorboard", 0.25), step=1, walltime=2.0)
        writer.add_event(tensorboardx_scalar("tensorboardX", 0.5), step=3, walltime=4.0)

    def points(tag: str) -> list[list[float]]:
        found: list[list[float]] = server.get("/data/plugin/scalars/scalars", run=run.name, tag=tag)
        return found

    server.wait_for(lambda: points("tensorboardX"), "the last event")

    assert [[2.0, 1, 0.25]] == points("tensorboard")
    assert [[4.0, 3, 0.5]] == points("tensorboardX")


@pytest.mark.parametrize("package", PACKAGES[:2])
def test_other_messages_are_refused(tmp_path: Path, package: str) -> None:
    """A message of these packages that is neither an Event nor a Summary is named."""
    value = schema(package, "summary").Summary.Value()
    name = value.DESCRIPTOR.full_name
    with (
        EventFileWriter(tmp_path) as writer,
        pytest.raises(TypeError, match=f"add_event: expected an Event .* got {name}"),
    ):
        writer.add_event(value)
