"""The schema: ours has TensorBoard's numbers and types, and the generated code is up to date."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import tensorboard
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from tensorboard.compat.proto import (
    config_pb2,
    event_pb2,
    graph_pb2,
    node_def_pb2,
    summary_pb2,
    tensor_pb2,
    types_pb2,
)
from tensorboard.plugins.projector import projector_config_pb2

from eventwriter._proto import event_pb2 as our_event
from eventwriter._proto import graph_pb2 as our_graph
from eventwriter._proto import projector_pb2 as our_projector
from eventwriter._proto import run_metadata_pb2 as our_metadata
from eventwriter._proto import summary_pb2 as our_summary
from eventwriter._proto import tensor_pb2 as our_tensor
from tests.helpers.patience import LONG_SECS

ROOT = Path(__file__).parents[2]
PAIRS = [
    (our_event.Event, event_pb2.Event),
    (our_summary.Summary, summary_pb2.Summary),
    (our_summary.HistogramProto, summary_pb2.HistogramProto),
    (our_tensor.TensorProto, tensor_pb2.TensorProto),
    (our_graph.GraphDef, graph_pb2.GraphDef),
    (our_graph.NodeDef, node_def_pb2.NodeDef),
    (our_metadata.RunMetadata, config_pb2.RunMetadata),
    (our_projector.ProjectorConfig, projector_config_pb2.ProjectorConfig),
]
# Of these messages ours holds what the Graphs page reads, or what a reader can show: no debug
# information, gradients, operator documentation or complex numbers. The others are whole.
IN_PART = {
    *("GraphDef", "NodeDef", "OpDef", "ArgDef", "FunctionDef", "FunctionDefLibrary"),
    *("TensorProto", "RunMetadata", "StepStats", "DeviceStepStats", "NodeExecStats"),
    "AllocatorMemoryUsed",
}


def form(field: FieldDescriptor) -> tuple[object, ...]:
    """Return what decides how a field looks on the wire."""
    oneof = field.containing_oneof.name if field.containing_oneof else None
    repeated = getattr(field, "is_repeated", None)
    if repeated is None:  # protobuf before 6
        repeated = field.label == FieldDescriptor.LABEL_REPEATED
    packed = getattr(field, "is_packed", None)
    return field.name, field.number, field.type, repeated, packed, oneof


def enum_values(enum: EnumDescriptor) -> dict[int, str]:
    return {value.number: value.name for value in enum.values}


def differences(ours: Descriptor, theirs: Descriptor, seen: set[str]) -> list[str]:
    """Compare two messages, and all that they hold, field by field."""
    if ours.full_name in seen:
        return []
    seen.add(ours.full_name)
    missing = set(theirs.fields_by_name) - set(ours.fields_by_name)
    found = [
        f"{theirs.full_name}.{name} is not in ours"
        for name in sorted(missing)
        if ours.name not in IN_PART
    ]
    for field in ours.fields:
        twin = theirs.fields_by_name.get(field.name)
        if twin is None or form(field) != form(twin):
            found.append(f"{ours.full_name}.{field.name}: {form(field)} against {twin}")
        elif field.message_type is not None:
            found += differences(field.message_type, twin.message_type, seen)
        elif field.enum_type is not None:
            here, there = enum_values(field.enum_type), enum_values(twin.enum_type)
            found += [
                f"{field.enum_type.full_name}: {number} is {name} here, {there.get(number)} there"
                for number, name in here.items()
                if there.get(number) != name
            ]
    return found


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[ours.__name__ for ours, _ in PAIRS])
def test_fields_are_those_of_tensorboard(ours: type, theirs: type) -> None:
    """Every field, in every message below, has TensorBoard's number, type and label."""
    assert [] == differences(ours.DESCRIPTOR, theirs.DESCRIPTOR, set())


def test_a_difference_is_found() -> None:
    """The comparison can fail: messages that differ are told apart."""
    wrong = differences(our_summary.Summary.DESCRIPTOR, event_pb2.Event.DESCRIPTOR, set())

    assert wrong
    assert tensorboard.__version__
    assert types_pb2.DT_FLOAT == our_tensor.DT_FLOAT


def test_package_is_our_own() -> None:
    """Our messages are registered under a name that no other package uses."""
    assert "eventwriter.Event" == our_event.Event.DESCRIPTOR.full_name


def test_generated_code_is_up_to_date() -> None:
    """No source and no generated file was changed without `python proto/generate.py`."""
    generated = ROOT / "eventwriter" / "_proto"
    listed = dict(
        reversed(line.split("  "))
        for line in (generated / "MANIFEST.sha256").read_text("ascii").splitlines()
    )
    files = [*(ROOT / "proto").glob("*.proto"), *generated.glob("*_pb2.py*")]
    found = {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(
            path.read_bytes().replace(b"\r\n", b"\n")
        ).hexdigest()
        for path in files
    }

    assert listed == found


FOREIGN = ["tensorboard.compat.proto.event_pb2", "tensorboardX.proto.event_pb2"]


@pytest.mark.parametrize("first", [*FOREIGN, "eventwriter"])
@pytest.mark.parametrize("second", [*FOREIGN, "eventwriter"])
def test_lives_beside_other_schemas(first: str, second: str) -> None:
    """Imported before or after TensorBoard's and tensorboardX's, all of them work."""
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "from eventwriter._proto.event_pb2 import Event\n"
        "assert Event.FromString(Event(step=3).SerializeToString()).step == 3\n"
        "for name in sys.argv[1:]:\n"
        "    event = getattr(sys.modules[name], 'Event', Event)\n"
        "    assert event.FromString(Event(step=3).SerializeToString()).step == 3\n"
    )
    command = [sys.executable, "-c", code, first, second]
    child = subprocess.run(command, capture_output=True, text=True, timeout=LONG_SECS, check=False)

    assert (0, "") == (child.returncode, child.stderr)
