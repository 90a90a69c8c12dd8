"""Finds who can read a model: the source of the framework that the model itself is made of.

A source is a module beside this one with a function `build(model, inputs, *, strict)`; it imports
its framework, and so it is imported only for a model of that framework, which is loaded by then. A
new one is its file and a row in `_SOURCES`.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from google.protobuf.message import Message

from eventwriter.errors import ArgumentTypeError, MissingDependencyError
from eventwriter.graphs.builder import GraphBuilder
from eventwriter.graphs.profile import run_metadata

if TYPE_CHECKING:
    from types import ModuleType

    from eventwriter._proto.run_metadata_pb2 import RunMetadata


class _Source(NamedTuple):
    """A row of `_SOURCES`.

    Attributes:
        packages: Whose classes its models are of.
        models: What they are called, for messages.
    """

    packages: tuple[str, ...]
    models: str


_SOURCES = {
    "torch": _Source(("torch",), "a torch.nn.Module"),
    "keras": _Source(("keras",), "a Keras model"),
    "jax": _Source(
        ("jax", "jaxlib", "flax", "equinox"), "a function for JAX, a Flax or Equinox module"
    ),
    "onnx": _Source(("onnx",), "an ONNX ModelProto or the path of an .onnx file"),
    "sklearn": _Source(("sklearn",), "a scikit-learn estimator"),
}
_FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, functools.partial)


def build_graph(model: Any, inputs: Any = None, *, strict: bool = True) -> GraphBuilder:
    """Returns the graph of a model of any framework that there is a source for.

    The framework is known by the classes that the model's own class is derived from, the nearest
    first: Keras's layers on torch are both, and Keras's. A plain function is JAX's, if JAX has
    been imported. No other framework is imported.

    Args:
        model: The model; a GraphBuilder is returned as it is.
        inputs: What the model is called with: one array, a tuple of positional arguments, or a
            dict of keyword arguments. Which frameworks need it, their sources say.
        strict: torch's `use_strict_trace`.

    Raises:
        ArgumentTypeError: There is no source for `model`; or as the source says.
        ArgumentValueError: As the source says.
        MissingDependencyError: `model` is the path of an .onnx file, and onnx is not installed.
    """
    if isinstance(model, GraphBuilder):
        return model
    return cast("GraphBuilder", _load_source(model).build(model, inputs, strict=strict))


def profile_graph(
    model: Any, inputs: Any, *, strict: bool = True
) -> tuple[GraphBuilder, RunMetadata]:
    """Returns the graph of a model, and how long each of its nodes took in one pass.

    Args:
        model: A torch.nn.Module: only torch's source can time its nodes.
        inputs: As in `build_graph`, and needed: the model runs with them.
        strict: As in `build_graph`.

    Raises:
        ArgumentTypeError: The model's framework cannot do this; or as `build_graph`.
        ArgumentValueError: There are no inputs; or as `build_graph`.
    """
    if isinstance(model, GraphBuilder) or not hasattr(source := _load_source(model), "profile"):
        raise ArgumentTypeError(
            f"profile: expected a torch.nn.Module, got {type(model).__name__}, whose nodes "
            "cannot be timed one by one. Leave profile out."
        )
    builder, times = source.profile(model, inputs, strict=strict)
    return builder, run_metadata(builder.to_graph_def(), times)


def _load_source(model: Any) -> ModuleType:
    """The module that reads models of this one's framework."""
    name = _source_of(model)
    if name is None:
        raise ArgumentTypeError(_refusal(model))
    try:
        return importlib.import_module(f"eventwriter.integrations.{name}.graph")
    except ModuleNotFoundError as error:
        if error.name not in _SOURCES[name].packages:
            raise
        raise MissingDependencyError(
            f"graph: {model!r} needs {name}, which is not installed. "
            f"Run: pip install 'eventwriter[{name}]'"
        ) from error


def is_graph_def(model: Any) -> bool:
    """Whether it is a GraphDef, of whatever package, or serialised bytes; see `page.for_page`."""
    return isinstance(model, (bytes, bytearray, memoryview)) or (
        isinstance(model, Message) and model.DESCRIPTOR.name == "GraphDef"
    )


def _source_of(model: Any) -> str | None:
    if isinstance(model, type):
        return None
    if isinstance(model, (str, os.PathLike)):
        return "onnx" if os.fspath(model).lower().endswith(".onnx") else None
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        for name, source in _SOURCES.items():
            if package in source.packages:
                return name
    if isinstance(model, _FUNCTIONS) and "jax" in sys.modules:
        return "jax"
    return None


def _refusal(model: Any) -> str:
    kind = model if isinstance(model, type) else type(model)
    name = f"{kind.__module__}.{kind.__qualname__}"
    supported = ", ".join([source.models for source in _SOURCES.values()])
    hint = ""
    if kind is model:
        name, hint = f"the class {name}", " Pass an object of the class."
    elif isinstance(model, (str, os.PathLike)):
        name = repr(model)
    elif isinstance(model, _FUNCTIONS):
        hint = " A function is traced by JAX, which has not been imported."
    return (
        f"graph: got {name}; expected {supported}, or a GraphBuilder, a GraphDef or its bytes."
        f"{hint}"
    )
