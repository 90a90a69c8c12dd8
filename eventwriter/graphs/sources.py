"""The graph of a model of any framework, from the integration of that framework."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeGuard

from google.protobuf.message import Message

from eventwriter import _frameworks
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.builder import GraphBuilder
from eventwriter.graphs.profile import run_metadata

if TYPE_CHECKING:
    from eventwriter._proto.run_metadata_pb2 import RunMetadata


def build_graph(model: object, inputs: object = None, *, strict: bool = True) -> GraphBuilder:
    """Return the graph of a model of any framework whose integration has a part `graph`.

    Args:
        model: A model, a function if JAX has been imported, the path of an .onnx file, or a
            GraphBuilder, which is returned unchanged.
        inputs: The arguments that the model is called with: one array, a tuple of positional
            arguments, or a dict of keyword arguments. The `build_graph` of each framework says
            whether it needs them.
        strict: Whether torch's strict tracing may be tried. Other frameworks ignore it.

    Raises:
        ArgumentTypeError: No integration can read `model`, or the integration refuses it.
        ArgumentValueError: The integration refuses the model or the inputs.
        MissingDependencyError: `model` is the path of an .onnx file, and onnx is not installed.
    """
    if isinstance(model, GraphBuilder):
        return model
    module = _frameworks.find(model, "graph")
    if module is None:
        raise ArgumentTypeError(_refusal(model))
    graph: GraphBuilder = module.build_graph(model, inputs, strict=strict)
    return graph


def profile_graph(
    model: object, inputs: object, *, strict: bool = True
) -> tuple[GraphBuilder, RunMetadata]:
    """Return the graph of a model, and the time that each of its nodes took in one pass.

    Args:
        model: A model of a framework whose integration has a part `profile`: a torch.nn.Module.
        inputs: As in `build_graph`, but needed, because the model runs with them.
        strict: As in `build_graph`.

    Raises:
        ArgumentTypeError: The model's framework cannot do this, or as in `build_graph`.
        ArgumentValueError: There are no inputs, or as in `build_graph`.
    """
    module = _frameworks.find(model, "profile")
    if module is None:
        raise ArgumentTypeError(
            f"profile: expected a model of {_listed('profile')}, got {type_name(model)}, whose "
            "nodes cannot be timed one by one. Leave profile out."
        )
    builder, times = module.profile_graph(model, inputs, strict=strict)
    return builder, run_metadata(builder.to_graph_def(), times)


def is_graph_def(model: object) -> TypeGuard[Message | bytes | bytearray | memoryview]:
    """Return whether `model` is a graph already: a GraphDef of any package, or its bytes."""
    return isinstance(model, (bytes, bytearray, memoryview)) or (
        isinstance(model, Message) and model.DESCRIPTOR.name == "GraphDef"
    )


def _refusal(model: object) -> str:
    """Return the message for a model that no integration can read."""
    name, remedy = type_name(model), ""
    if isinstance(model, type):
        remedy = " Pass an object of the class."
    elif isinstance(model, (str, os.PathLike)):
        name = repr(model)
    elif isinstance(model, _frameworks.FUNCTIONS):
        remedy = " A function is traced by JAX, which has not been imported: import it first."
    return (
        f"graph: expected a model of {_listed('graph')}, a function for JAX, the path of an .onnx "
        f"file, a GraphBuilder, a GraphDef or its bytes, got {name}.{remedy}"
    )


def _listed(part: str) -> str:
    """Return the names of the frameworks that have a part, for messages: "a, b or c"."""
    *first, last = _frameworks.names(part)
    return f"{', '.join(first)} or {last}" if first else last
