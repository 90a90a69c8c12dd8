"""GraphBuilder: each call gives the node, names, edges, shapes and attributes that it says."""

from __future__ import annotations

import contextlib
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventwriter._proto.graph_pb2 import AttrValue, GraphDef, NodeDef
from eventwriter._proto.tensor_pb2 import DataType
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs import GraphBuilder, Output, for_page


def shape_text(node: NodeDef) -> list[list[int] | None]:
    return [
        None if shape.unknown_rank else [dim.size for dim in shape.dim]
        for shape in node.attr["_output_shapes"].list.shape
    ]


def built(**arguments: Any) -> NodeDef:
    """The node that these arguments make."""
    graph = GraphBuilder()
    graph.node("x", "Op", **arguments)
    return graph.to_graph_def().node[0]


def test_small_model() -> None:
    """Placeholders, scopes, edges, shapes and dtypes are all in the GraphDef."""
    graph = GraphBuilder()
    x = graph.placeholder("input/x", shape=(None, 500), dtype="int32")
    with graph.scope("embed"):
        w = graph.node("weights", "Parameter", shape=(2000, 128), dtype="float32")
        e = graph.node("lookup", "Embedding", [x, w], shape=(None, 500, 128), dtype="float32")
    nodes = graph.to_graph_def().node

    assert [
        ("input/x", "Placeholder", []),
        ("embed/weights", "Parameter", []),
        ("embed/lookup", "Embedding", ["input/x", "embed/weights"]),
    ] == [(n.name, n.op, list(n.input)) for n in nodes]
    assert [[[-1, 500]], [[2000, 128]], [[-1, 500, 128]]] == [shape_text(n) for n in nodes]
    assert [DataType.DT_INT32, DataType.DT_FLOAT, DataType.DT_FLOAT] == [
        n.attr["dtype"].type for n in nodes
    ]
    assert Output("embed/lookup") == e


def test_scopes() -> None:
    """Scopes nest, may hold slashes, end with their block even on an error, and may go on later."""
    graph = GraphBuilder()
    names = []
    with graph.scope("a"):
        with contextlib.suppress(KeyError), graph.scope("b/c"):
            names.append(graph.node("x", "Op").name)
            raise KeyError
        names.append(graph.node("x", "Op").name)
    with graph.scope("a"):
        names.append(graph.node("x", "Op").name)
    names.append(graph.node("x", "Op").name)

    assert ["a/b/c/x", "a/x", "a/x_1", "x"] == names


def test_names() -> None:
    """A repeated name is numbered; handles have the names that nodes have on the page."""
    graph = GraphBuilder()
    handles = [graph.node(n, "Op").name for n in ("a", "a", "a_1", "a", "b:0", "constructor/c")]

    assert ["a", "a_1", "a_1_1", "a_2", "b_0", "constructor_/c"] == handles
    assert handles == [node.name for node in graph.to_graph_def().node]


def test_inputs() -> None:
    """Handles, other outputs, names, names with an output and order alone are all inputs."""
    graph = GraphBuilder()
    s = graph.node("s", "Split", shapes=[(1,), (2,), None])
    t = graph.node("t", "Op", [s, s.output(2), "s", "s:1", "^s"])
    graph.node("u", "Op", t)
    graph.node("v", "Op", "t")

    assert [[], ["s", "s:2", "s", "s:1", "^s"], ["t"], ["t"]] == [
        list(n.input) for n in graph.to_graph_def().node
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, []),
        ({"shape": None}, []),
        ({"shape": ()}, [[]]),
        ({"shape": [None, -1, 0, np.int64(3), 2**62]}, [[-1, -1, 0, 3, 2**62]]),
        ({"shapes": [(2, None), None, ()]}, [[2, -1], None, []]),
        ({"shapes": [None, None]}, []),
        ({"shapes": []}, []),
    ],
)
def test_shapes(arguments: dict[str, Any], expected: list[list[int] | None]) -> None:
    """One shape an output; where no shape is known there is no attribute at all."""
    node = built(**arguments)

    assert bool(expected) == ("_output_shapes" in node.attr)
    assert expected == shape_text(node)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", AttrValue(type=DataType.DT_FLOAT)),
        ("torch.bfloat16", AttrValue(type=DataType.DT_BFLOAT16)),
        ("string", AttrValue(type=DataType.DT_STRING)),
        ("<f8", AttrValue(type=DataType.DT_DOUBLE)),
        (np.float16, AttrValue(type=DataType.DT_HALF)),
        (np.dtype("U3"), AttrValue(type=DataType.DT_STRING)),
        (bool, AttrValue(type=DataType.DT_BOOL)),
        (ml_dtypes.bfloat16, AttrValue(type=DataType.DT_BFLOAT16)),
        (DataType.DT_UINT8, AttrValue(type=DataType.DT_UINT8)),
        (ml_dtypes.float8_e4m3fn, AttrValue(s=b"float8_e4m3fn")),
        ("torch.qint8", AttrValue(s=b"qint8")),
    ],
)
def test_dtypes(dtype: Any, expected: AttrValue) -> None:
    """Every framework's dtype is known; one without a DataType is shown by its name."""
    assert expected == built(dtype=dtype).attr["dtype"]


def test_dtype_of_a_framework() -> None:
    """A dtype object that numpy does not know shows its name, as torch's and TensorFlow's do."""

    class Torch:
        def __str__(self) -> str:
            return "torch.float64"

    class TensorFlow:
        name = "int8"

    assert DataType.DT_DOUBLE == built(dtype=Torch()).attr["dtype"].type
    assert DataType.DT_INT8 == built(dtype=TensorFlow()).attr["dtype"].type


def test_dtypes_of_several_outputs() -> None:
    """A list gives each output its own dtype, by name if one has no DataType."""
    node = built(shapes=[(), ()], dtype=["float32", "int64"])
    assert [DataType.DT_FLOAT, DataType.DT_INT64] == list(node.attr["dtype"].list.type)

    node = built(shapes=[(), ()], dtype=["float32", "float8_e5m2"])
    assert [b"DT_FLOAT", b"float8_e5m2"] == list(node.attr["dtype"].list.s)


LIST = AttrValue.ListValue


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, AttrValue(b=True)),
        (np.bool_(False), AttrValue(b=False)),
        (3, AttrValue(i=3)),
        (np.int8(-3), AttrValue(i=-3)),
        (2**63, AttrValue(s=b"9223372036854775808")),
        (0.5, AttrValue(f=0.5)),
        ("größe", AttrValue(s="größe".encode())),
        (b"\xff", AttrValue(s=b"\xff")),
        (np.dtype("int32"), AttrValue(type=DataType.DT_INT32)),
        ([True, False], AttrValue(list=LIST(b=[True, False]))),
        ((1, np.int32(2)), AttrValue(list=LIST(i=[1, 2]))),
        ([1, 0.5], AttrValue(list=LIST(f=[1, 0.5]))),
        (["a", b"b"], AttrValue(list=LIST(s=[b"a", b"b"]))),
        ([], AttrValue(list=LIST())),
        ([1, 2**63], AttrValue(s=b"[1, 9223372036854775808]")),
        ([(1, 2), None], AttrValue(s=b"[(1, 2), None]")),
    ],
)
def test_attributes(value: Any, expected: AttrValue) -> None:
    """Each Python value becomes the AttrValue of its kind."""
    assert expected == built(attrs={"key": value}).attr["key"]


@pytest.mark.parametrize(
    ("array", "dtype", "field", "expected"),
    [
        (np.float32([[1, 2]]), DataType.DT_FLOAT, "float_val", [1.0, 2.0]),
        (np.float64(5)[None], DataType.DT_DOUBLE, "double_val", [5.0]),
        (np.int16([-1]), DataType.DT_INT16, "int_val", [-1]),
        (np.uint64([2**64 - 1]), DataType.DT_UINT64, "uint64_val", [2**64 - 1]),
        (np.array([[1, 2], [3, 4]]).T, DataType.DT_INT64, "int64_val", [1, 3, 2, 4]),
        (np.array(True), DataType.DT_BOOL, "bool_val", [True]),
        (np.float16([1]), DataType.DT_HALF, "half_val", [0x3C00]),
        (np.array([1], ml_dtypes.bfloat16), DataType.DT_BFLOAT16, "half_val", [0x3F80]),
    ],
)
def test_arrays(array: np.ndarray, dtype: DataType, field: str, expected: list[Any]) -> None:
    """A small array is a tensor whose numbers the page shows, in row-major order."""
    tensor = built(attrs={"value": array}).attr["value"].tensor

    assert dtype == tensor.dtype
    assert list(array.shape) == [dim.size for dim in tensor.tensor_shape.dim]
    assert expected == list(getattr(tensor, field))


@pytest.mark.parametrize("value", [np.zeros(10**6), "x" * 10**6, [0] * 10**6, [("é" * 9,)] * 99])
def test_large_attribute(value: Any) -> None:
    """What is too large for the page is listed, not kept; the other attributes stay."""
    node = built(attrs={"large": value, "small": 1})

    assert {"small", "_too_large_attrs"} == set(node.attr)
    assert [b"large"] == list(node.attr["_too_large_attrs"].list.s)


def test_none_is_left_out() -> None:
    """An attribute of None is none."""
    assert not built(attrs={"key": None}).attr


GIVEN = {"name": "y", "op": "Op"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": 3}, ArgumentTypeError, r"node\('s/3'\): name: expected a str, got int"),
        ({"name": ""}, ArgumentValueError, "name: expected a name, got an empty str"),
        ({"name": "\ud800"}, ArgumentValueError, "lone surrogates"),
        ({"op": None}, ArgumentTypeError, "op: expected a str, got NoneType"),
        ({"device": 0}, ArgumentTypeError, "device: expected a str, got int"),
        (
            {"inputs": ["s/z"]},
            ArgumentValueError,
            r"name of a node, got 's/z'\. Did you mean 's/x'",
        ),
        ({"inputs": ["s/x:a:0"]}, ArgumentValueError, "the name of a node, got 's/x:a:0'"),
        (
            {"inputs": ["s/x:1"]},
            ArgumentValueError,
            "of the 1 outputs of 's/x', got output 1",
        ),
        (
            {"inputs": [Output("s/x", -1)]},
            ArgumentValueError,
            "the name of a node, got 's/x:-1'",
        ),
        ({"inputs": [None]}, ArgumentTypeError, "inputs: expected handles.*got NoneType"),
        ({"inputs": 5}, ArgumentTypeError, "inputs: expected a list, got int"),
        ({"shape": 5}, ArgumentTypeError, "shape: expected a sequence of.*got 5"),
        ({"shape": (1.5,)}, ArgumentTypeError, r"shape: expected a sequence of.*got \(1.5,\)"),
        ({"shape": (-2,)}, ArgumentValueError, "shape: expected sizes of 0.*got -2"),
        ({"shape": (2**63,)}, ArgumentValueError, "shape: expected sizes of 0.*got"),
        ({"shape": (), "shapes": [()]}, ArgumentValueError, "expected shape or shapes, got both"),
        ({"shapes": 3}, ArgumentTypeError, "shapes: expected a list, got int"),
        ({"dtype": 3.5}, ArgumentTypeError, "dtype: expected a dtype.*got 3.5 of type float"),
        ({"dtype": 999}, ArgumentValueError, "dtype: expected a DataType, got 999"),
        (
            {"dtype": ["int8", "int8"]},
            ArgumentValueError,
            "dtype: expected one for all.*got 2",
        ),
        ({"attrs": [1]}, ArgumentTypeError, "attrs: expected a dict, got list"),
        ({"attrs": {1: 2}}, ArgumentTypeError, "a key of attrs: expected a str, got int"),
        (
            {"attrs": {"k": object()}},
            ArgumentTypeError,
            r"attrs\['k'\]: expected bool.*object",
        ),
        ({"attrs": {"k": [1j]}}, ArgumentTypeError, r"a list with \['complex'\]"),
        (
            {"attrs": {"k": np.array(["a"])}},
            ArgumentTypeError,
            "an array of bool.*got dtype <U1",
        ),
        ({"attrs": {"k": "\ud800"}}, ArgumentValueError, "lone surrogates"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """An error names the node, the argument and what came, and leaves the graph as it was."""
    graph = GraphBuilder()
    with graph.scope("s"):
        graph.node("x", "Op")
        before = graph.to_graph_def()
        with pytest.raises(error, match=message):
            graph.node(**{**GIVEN, **arguments})

        assert before == graph.to_graph_def()
        assert "s/y" == graph.node("y", "Op").name


@pytest.mark.parametrize(("name", "error"), [("", ArgumentValueError), (1, ArgumentTypeError)])
def test_bad_scope(name: Any, error: type[Exception]) -> None:
    """A scope needs a name; without one nothing is entered."""
    graph = GraphBuilder()
    with pytest.raises(error, match=r"GraphBuilder\.scope"), graph.scope(name):
        pass

    assert "x" == graph.node("x", "Op").name


def test_empty_graph() -> None:
    """A graph without nodes is an error, not a blank page."""
    with pytest.raises(ArgumentValueError, match="expected at least one node"):
        GraphBuilder().to_graph_def()


def test_graph_can_grow_on() -> None:
    """A GraphDef that was taken is its own: neither it nor the builder changes with the other."""
    graph = GraphBuilder()
    graph.node("x", "Op")
    first = graph.to_graph_def()
    first.node[0].name = "changed"
    graph.node("y", "Op", ["x"])

    assert 1 == len(first.node)
    assert ["x", "y"] == [node.name for node in graph.to_graph_def().node]


def test_bytes_do_not_depend_on_the_order_of_attributes() -> None:
    """Serialised deterministically, equal graphs are equal bytes."""
    one = built(attrs={"a": 1, "b": 2, "c": "x" * 2000, "d": "x" * 2000})
    two = built(attrs={"d": "x" * 2000, "c": "x" * 2000, "b": 2, "a": 1})

    assert one.SerializeToString(deterministic=True) == two.SerializeToString(deterministic=True)


NAMES = st.text("ab/:^'é", min_size=1, max_size=5) | st.sampled_from(["constructor", "length/x"])


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from(["Relu", "Const", "ConstX"]))), st.data())
def test_built_as_the_page_takes_it(nodes: list[tuple[str, str]], data: st.DataObject) -> None:
    """Whatever the names, the GraphDef needs no further repair and inputs are the handles'."""
    graph = GraphBuilder()
    handles = [graph.placeholder("x", shape=(None, 2), device="cpu")]
    taken = [[]]
    for name, op in nodes:
        sources = data.draw(st.lists(st.sampled_from(handles), max_size=2))
        taken.append([source.name for source in sources])
        handles.append(graph.node(name, op, sources))
    result = graph.to_graph_def()

    assert isinstance(result, GraphDef)
    assert result == for_page(result)
    assert [handle.name for handle in handles] == [node.name for node in result.node]
    assert taken == [list(node.input) for node in result.node]
