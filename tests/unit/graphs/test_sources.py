"""The finder: which source reads a model, and what it says where there is none."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import eventwriter
from eventwriter._proto.graph_pb2 import GraphDef
from eventwriter._proto.summary_pb2 import Summary
from eventwriter.errors import ArgumentTypeError, MissingDependencyError
from eventwriter.graphs import GraphBuilder
from eventwriter.graphs.sources import _SOURCES, build_graph, is_graph_def


class Calls(list[tuple[str, Any, Any, bool]]):
    """What the sources' stand-ins were called with: source, model, inputs, strict."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Stand-ins for all sources, so that no framework is needed."""
    found = Calls()
    for name in _SOURCES:
        source = ModuleType(name)

        def build(model: Any, inputs: Any, *, strict: bool, name: str = name) -> GraphBuilder:
            found.append((name, model, inputs, strict))
            return GraphBuilder()

        source.build = build  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"eventwriter.integrations.{name}.graph", source)
    return found


def instance(*modules: str) -> Any:
    """An object whose class, and each class above it, is of another module; nearest first."""
    kind: type = object
    for module in reversed(modules):
        kind = type("Model", (kind,), {"__module__": module})
    return kind()


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (["torch.nn.modules.linear"], "torch"),
        (["__main__", "my.models", "torch.nn.modules.module"], "torch"),
        (["keras.src.models.model"], "keras"),
        (["my", "keras.src.layers.layer", "torch.nn.modules.module"], "keras"),
        (["lightning.pytorch.core.module", "torch.nn.modules.module"], "torch"),
        (["jaxlib._jax"], "jax"),
        (["my", "flax.linen.module"], "jax"),
        (["my", "flax.nnx.module"], "jax"),
        (["my", "equinox._module"], "jax"),
        (["onnx.onnx_ml_pb2"], "onnx"),
        (["xgboost.sklearn", "sklearn.base"], "sklearn"),
    ],
)
def test_model_is_read_by_its_own_framework(
    calls: Calls, modules: list[str], expected: str
) -> None:
    """The nearest class that is a framework's decides; inputs and strict are handed on."""
    model, inputs = instance(*modules), object()
    build_graph(model, inputs, strict=False)

    assert [(expected, model, inputs, False)] == calls


@pytest.mark.parametrize("path", ["model.onnx", "a/b.ONNX", Path("model.onnx")])
def test_onnx_file(calls: Calls, path: Any) -> None:
    """The path of an .onnx file is ONNX's."""
    build_graph(path)

    assert [("onnx", path, None, True)] == calls


@pytest.mark.parametrize("function", [lambda x: x, functools.partial(max, 1), max])
def test_function_is_for_jax(calls: Calls, monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    """A plain function is JAX's where JAX is loaded; elsewhere the error tells so."""
    monkeypatch.setitem(sys.modules, "jax", ModuleType("jax"))
    build_graph(function, 1)
    monkeypatch.delitem(sys.modules, "jax")
    with pytest.raises(ArgumentTypeError, match="traced by JAX, which has not been imported"):
        build_graph(function, 1)

    assert [("jax", function, 1, True)] == calls


def test_graph_builder_passes_through(calls: Calls) -> None:
    """A GraphBuilder is a graph already."""
    graph = GraphBuilder()

    assert graph is build_graph(graph)
    assert [] == calls


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (object(), r"got builtins\.object;"),
        (3, r"got builtins\.int;"),
        (None, r"got builtins\.NoneType;"),
        ("model.pt", r"got 'model\.pt';"),
        (np.zeros(3), r"got numpy\.ndarray;"),
        (int, r"the class builtins\.int;.*Pass an object of the class"),
        (type(instance("torch.nn")), r"the class torch\.nn\.Model;.*Pass an object of the class"),
    ],
)
def test_unknown_object(calls: Calls, model: Any, named: str) -> None:
    """The error names what was found and everything that there is a source for."""
    with pytest.raises(ArgumentTypeError, match=named) as caught:
        build_graph(model)

    assert [] == calls
    for source in _SOURCES.values():
        assert source.models in str(caught.value)


def test_framework_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An .onnx file without onnx: the error has the line that installs it."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "eventwriter.integrations.onnx.graph", raising=False)

    with pytest.raises(MissingDependencyError, match=r"pip install 'eventwriter\[onnx\]'"):
        build_graph("model.onnx")


def test_framework_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a framework itself lacks is not taken for the framework."""
    broken = ModuleNotFoundError("No module named 'half'", name="half")

    def fail(name: str) -> None:
        raise broken

    monkeypatch.setattr("eventwriter.graphs.sources.importlib.import_module", fail)
    with pytest.raises(ModuleNotFoundError) as caught:
        build_graph("model.onnx")

    assert broken is caught.value


def test_each_row_has_its_file() -> None:
    """Every source in the table is a module of the package."""
    folder = Path(eventwriter.__file__).parent / "integrations"

    assert all((folder / name / "graph.py").is_file() for name in _SOURCES)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (GraphDef(), True),
        (b"", True),
        (bytearray(), True),
        (memoryview(b""), True),
        (Summary(), False),
        (GraphBuilder(), False),
        ("model.onnx", False),
    ],
)
def test_graph_def(model: Any, expected: bool) -> None:
    """GraphDef messages and bytes are graphs already; other messages are not."""
    assert expected is is_graph_def(model)
