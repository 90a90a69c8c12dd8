"""The graph of a model, and the times of its nodes.

    Event
      wall_time
      graph_def                             a GraphDef, serialised: what the Graphs page draws

    Event
      wall_time
      tagged_run_metadata.tag               "profile": the page offers it under "Tag"
      tagged_run_metadata.run_metadata      a RunMetadata, serialised: time and memory of each node

TensorBoard shows the last graph of a run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from eventwriter._imports import importing
from eventwriter._proto.event_pb2 import Event, TaggedRunMetadata
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from eventwriter._proto.graph_pb2 import GraphDef
    from eventwriter._proto.run_metadata_pb2 import RunMetadata
    from eventwriter.records.recording import Recording


def add_graph(
    self: Recording,
    model: object,
    input_to_model: object = None,
    verbose: bool = False,  # noqa: ARG001 - torch's signature
    use_strict_trace: bool = True,
    *,
    profile: bool = False,
) -> None:
    """Log a graph for the Graphs tab, which shows the last graph of a run.

    Weights are left out, and names that the page cannot draw are replaced: see
    `graphs.for_page`.

    Args:
        model: A model of torch, Keras, JAX (Flax, Equinox, a function), ONNX or scikit-learn; the
            path of an .onnx file; a `graphs.GraphBuilder`; a GraphDef of this package, of
            TensorBoard or of TensorFlow; or the bytes of a GraphDef.
        input_to_model: The model's inputs, where its framework needs them: one array, a tuple of
            positional arguments, or a dict of keyword arguments.
        verbose: Accepted because torch has it. It has no effect.
        use_strict_trace: Whether torch traces strictly.
        profile: Also run a torch module, and log how much time and memory each node took. To
            colour the page by these, choose the tag "profile" there.

    Raises:
        ArgumentTypeError, ArgumentValueError: Nothing was written.
        MissingDependencyError: The model is an .onnx file, and onnx is not installed.
        WriterClosedError: The writer is closed.
    """
    self._check_open()
    try:
        graph, metadata = _graph_of(model, input_to_model, use_strict_trace, profile)
    except (ArgumentTypeError, ArgumentValueError) as error:
        raise type(error)(f"add_graph: {error}") from error
    graph_def = graph.SerializeToString(deterministic=True)
    self._put(Event(wall_time=time.time(), graph_def=graph_def))
    if metadata is not None:
        tagged = TaggedRunMetadata(tag="profile", run_metadata=metadata.SerializeToString())
        self._put(Event(wall_time=time.time(), tagged_run_metadata=tagged))


def _graph_of(
    model: Any, inputs: object, strict: bool, profile: bool
) -> tuple[GraphDef, RunMetadata | None]:
    # Imported at the first graph: a program that logs scalars does not pay for this room.
    with importing():
        from eventwriter.graphs import for_page  # noqa: PLC0415
        from eventwriter.graphs.sources import (  # noqa: PLC0415
            build_graph,
            is_graph_def,
            profile_graph,
        )

    if profile:
        built, metadata = profile_graph(model, inputs, strict=strict)
        return built.to_graph_def(), metadata
    if is_graph_def(model):
        return for_page(model), None
    return build_graph(model, inputs, strict=strict).to_graph_def(), None
