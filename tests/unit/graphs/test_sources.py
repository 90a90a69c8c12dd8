"""The neutral `build_graph`: which framework's it calls, and what it says if there is none."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from eventwriter import _frameworks
from eventwriter._proto.graph_pb2 import GraphDef
from eventwriter._proto.summary_pb2 import Summary
from eventwriter.errors import ArgumentTypeError, MissingDependencyError
from eventwriter.graphs import GraphBuilder
from eventwriter.graphs.sources import build_graph, is_graph_def, profile_graph
from tests.helpers.models import instance


class Calls(list[tuple[str, Any, Any, bool]]):
    """The calls of the stand-ins: framework, model, inputs, strict."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Stand-ins for the part `graph` of all frameworks, so that no framework is needed."""
    found = Calls()
    for name in _frameworks.names("graph"):
        module = ModuleType(name)

        def build(model: Any, inputs: Any, *, strict: bool, name: str = name) -> GraphBuilder:
            found.append((name, model, inputs, strict))
            return GraphBuilder()

        module.build_graph = build  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"eventwriter.integrations.{name}.graph", module)
    return found


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
        (object(), r"got object\."),
        (3, r"got int\."),
        (None, r"got NoneType\."),
        ("model.pt", r"got 'model\.pt'\."),
        (np.zeros(3), r"got numpy\.ndarray\."),
        (int, r"the class int\..*Pass an object of the class"),
        (type(instance("torch.nn")), r"the class torch\.nn\.Model\..*Pass an object of the class"),
    ],
)
def test_unknown_object(calls: Calls, model: Any, named: str) -> None:
    """The error names what was found, and every framework that has graphs."""
    with pytest.raises(ArgumentTypeError, match=named) as caught:
        build_graph(model)

    assert [] == calls
    for name in _frameworks.names("graph"):
        assert name in str(caught.value)


def test_framework_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An .onnx file without onnx: the error has the line that installs it."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "eventwriter.integrations.onnx.graph", raising=False)

    with pytest.raises(MissingDependencyError, match=r'pip install "eventwriter\[onnx\]"'):
        build_graph("model.onnx")


def test_framework_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a framework itself lacks is not taken for the framework."""
    broken = ModuleNotFoundError("No module named 'half'", name="half")

    def fail(name: str) -> None:
        raise broken

    monkeypatch.setattr("eventwriter._frameworks.importlib.import_module", fail)
    with pytest.raises(ModuleNotFoundError) as caught:
        build_graph("model.onnx")

    assert broken is caught.value


def test_profile_of_another_framework() -> None:
    """The error names the frameworks whose nodes can be timed."""
    with pytest.raises(ArgumentTypeError, match=r"a model of torch, got .*\.GraphBuilder"):
        profile_graph(GraphBuilder(), None)


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
