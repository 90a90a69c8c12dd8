"""Graphs of ONNX models: every node, value, shape and body is where the model has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.graphs import GraphBuilder, Layer
from eventwriter.graphs.plot import plot_graph
from eventwriter.graphs.sources import build_graph
from eventwriter.integrations.onnx.graph import build_graph as build
from tests.frameworks.graphs.models_onnx import (
    control_flow,
    from_torch,
    functions,
    residual_convnet,
)

if TYPE_CHECKING:
    from pathlib import Path

    from eventwriter._proto.graph_pb2 import NodeDef

MODELS = [residual_convnet, control_flow, functions, from_torch]


def nodes_of(graph: GraphBuilder) -> dict[str, NodeDef]:
    return {node.name: node for node in graph.to_graph_def().node}


def shapes(node: NodeDef) -> list[Any]:
    found = node.attr["_output_shapes"].list.shape
    return [None if s.unknown_rank else [dim.size for dim in s.dim] for s in found]


def text(graph: GraphBuilder) -> bytes:
    return graph.to_graph_def().SerializeToString(deterministic=True)


def test_nodes_scopes_and_edges_are_the_models() -> None:
    """Slashes are scopes; each operation takes what it takes in the model, initializers too."""
    model = residual_convnet()
    found = nodes_of(build(model))
    producers = {node.output[0]: node.name.lstrip("/") for node in model.graph.node}
    producers["image"] = "input/image"
    parameters = {}
    for tensor in model.graph.initializer:
        taker = next(node for node in model.graph.node if tensor.name in node.input)
        last = tensor.name.rpartition(".")[2]
        parameters[tensor.name] = f"{taker.name.lstrip('/').rpartition('/')[0]}/{last}"
    sources = producers | parameters

    for node in model.graph.node:
        name = node.name.lstrip("/")
        op = "Const" if node.op_type == "Constant" else node.op_type

        assert (op, [sources[value] for value in node.input]) == (
            found[name].op,
            list(found[name].input),
        )
    for tensor in model.graph.initializer:
        node = found[parameters[tensor.name]]

        assert ("Parameter", [list(tensor.dims)]) == (node.op, shapes(node))
        assert "value" not in node.attr
    assert "Placeholder" == found["input/image"].op
    assert ("Output", ["head/Gemm"]) == (
        found["output/logits"].op,
        list(found["output/logits"].input),
    )
    assert len(producers) + len(parameters) + 1 == len(found)


def test_shapes_and_dtypes() -> None:
    """What the model does not say is inferred; named and unknown sizes are open."""
    found = nodes_of(build(residual_convnet()))

    assert [[-1, 3, 16, 16]] == shapes(found["input/image"])
    assert [[-1, 8, 16, 16]] == shapes(found["stem/Conv"]) == shapes(found["block/Add"])
    assert [[-1, 4]] == shapes(found["head/Gemm"]) == shapes(found["output/logits"])
    assert all(node.attr["dtype"].type for node in found.values())


def test_constants() -> None:
    """Those of up to 16 elements show their values; weights never do, shapes and scalars do."""

    def constant(count: int) -> onnx.NodeProto:
        tensor = numpy_helper.from_array(np.arange(count, dtype=np.float32))
        return helper.make_node("Constant", [], [f"c{count}"], f"c{count}", value=tensor)

    initializers = {
        "w": np.ones(2, np.float32),
        "axes": np.array([1, 2]),
        "many": np.arange(17),
        "eps": np.float32(0.5),
        "flags": np.array([True]),
        "words": np.array(["a", "b"], object),
    }
    graph = helper.make_graph(
        [constant(16), constant(17)], "g", [],
        [helper.make_tensor_value_info("c16", TensorProto.FLOAT, [16])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in initializers.items()],
    )  # fmt: skip
    found = nodes_of(build(helper.make_model(graph)))

    assert list(range(16)) == list(found["c16"].attr["value"].tensor.float_val)
    assert "value" not in found["c17"].attr
    assert [1, 2] == list(found["unused/axes"].attr["value"].tensor.int64_val)
    assert [0.5] == list(found["unused/eps"].attr["value"].tensor.float_val)
    assert [1] == [int(one) for one in found["unused/flags"].attr["value"].tensor.bool_val]
    assert b"['a', 'b']" == found["unused/words"].attr["value"].s
    assert {"w", "many"} == {n for n in initializers if "value" not in found[f"unused/{n}"].attr}


def test_control_flow() -> None:
    """Bodies are scopes; their own inputs come from the operation's, others from around."""
    found = nodes_of(build(control_flow()))
    edges = {name: list(node.input) for name, node in found.items()}

    assert ["Mul_0"] == edges["choose/then_branch/Relu_0"] == edges["choose/else_branch/Neg_0"]
    assert ["input/flag", "choose/then_branch/Relu_0", "choose/else_branch/Neg_0"] == (
        edges["choose"]
    )
    assert ["input/times"] == edges["repeat/body/input/i"]
    assert ["Constant_2"] == edges["repeat/body/input/go"]
    assert ["input/x"] == edges["repeat/body/input/sofar"]
    assert ["repeat/body/input/sofar", "Mul_0"] == edges["repeat/body/Add_1"]
    assert ["repeat/body/Identity_0", "repeat/body/Add_1"] == edges["repeat"][-2:]
    assert ["running/body/input/before", "running/body/input/row"] == edges["running/body/Add_0"]
    assert ["running"] == edges["output/sum"]
    assert ["running:1"] == edges["output/sums"]
    assert [[3], [-1, 3]] == shapes(found["running"])


def test_functions() -> None:
    """A call is a scope and a layer with the function's nodes, whose attributes are the call's."""
    graph = build(functions())
    found = nodes_of(graph)

    assert {
        "input/x": [],
        "first/leaky": ["input/x"],
        "first/twice/sum": ["first/leaky", "first/leaky"],
        "second/leaky": ["first/twice/sum"],
        "second/twice/sum": ["second/leaky", "second/leaky"],
        "odd": ["second/twice/sum"],
        "output/y": ["second/twice/sum"],
        "output/z": ["odd"],
    } == {name: list(node.input) for name, node in found.items()}
    assert (0.25, 0.5) == (
        found["first/leaky"].attr["alpha"].f,
        found["second/leaky"].attr["alpha"].f,
    )
    assert [[2, 4]] == shapes(found["second/twice/sum"])
    assert ("com.example.Swirl", 3) == (found["odd"].op, found["odd"].attr["turns"].i)
    assert Layer("block") == graph.layers["first"]
    assert Layer("twice") == graph.layers["second/twice"]


def test_modules_that_torch_noted() -> None:
    """Torch's exporter names no scopes in nodes, but notes modules and classes: they are layers."""
    graph = build(from_torch())

    assert {
        "stem": "Sequential",
        "stem/0": "Conv2d",
        "stem/1": "ReLU",
        "block": "Residual",
        "block/conv": "Conv2d",
        "pool": "AdaptiveAvgPool2d",
        "head": "Linear",
    } == {name: layer.class_name for name, layer in graph.layers.items()}
    assert {"stem/0/weight", "block/conv/bias", "head/bias", "node_6"} <= set(nodes_of(graph))


@pytest.mark.parametrize("noted", ["[", "3", "['', 'a']", "[[], {}, 3]", "__import__('os')"])
def test_notes_that_are_none(noted: str) -> None:
    """Notes that cannot be read are left alone."""
    model = from_torch()
    for node in model.graph.node:
        node.metadata_props[0].value = noted

    assert "node_0" in nodes_of(build(model))


@pytest.mark.parametrize("make", MODELS)
def test_forms(make: Any, tmp_path: Path) -> None:
    """A message, a file and its content give the same graph, and the message stays as it was."""
    model = make()
    before = model.SerializeToString(deterministic=True)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    expected = text(build(model))

    assert before == model.SerializeToString(deterministic=True)
    for form in (path, str(path), path.read_bytes()):
        assert expected == text(build(form))
    for form in (model, path):
        assert expected == text(build_graph(form))


def test_weights_elsewhere(tmp_path: Path) -> None:
    """Weights in a file of their own are not read: the file need not be there."""
    model = residual_convnet()
    expected = text(build(model))
    options: dict[str, Any] = {"save_as_external_data": True, "size_threshold": 0}
    onnx.save(model, tmp_path / "m.onnx", **options, location="weights.bin")
    (tmp_path / "weights.bin").unlink()

    assert expected == text(build(tmp_path / "m.onnx"))


def test_weights_never_enter() -> None:
    """Large weights make no larger graph."""

    def sized(width: int) -> int:
        tensor = numpy_helper.from_array(np.ones((width, width), np.float32), "w")
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, width])
        end = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, width])
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        return len(
            text(build(helper.make_model(helper.make_graph([node], "g", [value], [end], [tensor]))))
        )

    assert abs(sized(1000) - sized(100)) < 10


def test_initializer_that_is_an_input_too() -> None:
    """As models up to IR version 3 have it: a parameter, not an input."""
    model = residual_convnet()
    for tensor in model.graph.initializer:
        info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(info)

    assert text(build(residual_convnet())) == text(build(model))


@pytest.mark.parametrize("data_type", sorted(set(TensorProto.DataType.values()) - {0}))
def test_every_dtype(data_type: int) -> None:
    """Each of ONNX's dtypes passes through inputs, initializers and small constants."""
    name = TensorProto.DataType.Name(data_type)
    size = 0 if name in {"COMPLEX64", "COMPLEX128"} else 2
    values: list[Any] = [b"a", b"b"] if name == "STRING" else [1] * size
    dims = [len(values)]
    tensor = helper.make_tensor("w", data_type, dims, values)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"], "id"),
         helper.make_node("Constant", [], ["c"], "const", value=tensor)],
        "g",
        [helper.make_tensor_value_info("x", data_type, [])],
        [helper.make_tensor_value_info("y", data_type, dims)],
        [tensor],
    )  # fmt: skip
    found = nodes_of(build(helper.make_model(graph)))

    for node in found.values():
        dtype = node.attr["dtype"]

        assert dtype.type or dtype.s, node
    assert [dims] == shapes(found["id"])


def test_sequences_and_optionals() -> None:
    """Values that are no tensors have no shape; what they hold has a dtype."""
    info = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    node = helper.make_node("SequenceLength", ["parts"], ["n"])
    end = helper.make_tensor_value_info("n", TensorProto.INT64, [])
    found = nodes_of(build(helper.make_model(helper.make_graph([node], "g", [info], [end]))))

    assert [] == shapes(found["input/parts"])
    assert [[]] == shapes(found["output/n"])
    assert 1 == found["input/parts"].attr["dtype"].type


def test_optional_inputs() -> None:
    """An input that is left out has no edge."""
    node = helper.make_node("Clip", ["x", "", "most"], ["y"], "clip")
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, []) for n in ("x", "most", "y")]
    model = helper.make_model(helper.make_graph([node], "g", values[:2], values[2:]))

    assert ["input/x", "input/most"] == list(nodes_of(build(model))["clip"].input)


def test_inference_that_fails() -> None:
    """The shapes of the model itself are shown, and a warning tells why."""
    model = residual_convnet()
    del model.opset_import[:]
    with pytest.warns(EventWriterWarning, match=r"shape_inference failed.*check_model"):
        found = nodes_of(build(model))

    assert [[-1, 3, 16, 16]] == shapes(found["input/image"])


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        (b"no model", ArgumentValueError, "expected a serialised ModelProto, got '8 bytes'"),
        (b"", ArgumentValueError, "Pass a whole model"),
        (ModelProto(), ArgumentValueError, "Pass a whole model"),
        ("none.onnx", ArgumentValueError, "expected a file that can be read, got 'none.onnx'"),
        (onnx.GraphProto(), ArgumentTypeError, "expected an onnx.ModelProto.*GraphProto"),
        (3, ArgumentTypeError, "expected an onnx.ModelProto.*got int"),
    ],
)
def test_bad_models(model: Any, error: type[Exception], match: str) -> None:
    """What is no model is refused by name."""
    with pytest.raises(error, match=match):
        build(model)


def test_value_that_nobody_gives() -> None:
    """The error names the node and the value."""
    model = residual_convnet()
    model.graph.node[3].input[0] = "lost"
    with pytest.raises(ArgumentValueError, match=r"'Add' \(Add\).*'lost'"):
        build(model)


@pytest.mark.filterwarnings("ignore:.*shape_inference failed")
def test_function_that_calls_itself() -> None:
    """Such a model has no end, and is refused."""
    model = functions()
    inner = model.functions[1].node[0]
    inner.domain, inner.op_type = "local", "block"
    del inner.input[1:]
    with pytest.raises(ArgumentValueError, match="do not call themselves, got 'block'"):
        build(model)


def test_picture(tmp_path: Path) -> None:
    """The outermost modules are the boxes, with the shapes that cross them."""
    path = plot_graph(residual_convnet(), tmp_path / "m.dot", show_shapes=True)
    dot = path.read_text("utf-8")

    assert ["input/image", "stem", "block", "pool", "head"] == re.findall(
        r'^  "(.*?)" \[', dot, re.MULTILINE
    )
    assert "Input shape: <b>(None, 8, 16, 16)</b>" in dot
    assert 4 == dot.count(" -> ")
