"""The page's traps, one by one and all at once: what `for_page` makes of each."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventwriter._proto.graph_pb2 import AttrValue, GraphDef
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs import for_page
from eventwriter.graphs.page import MAX_ATTR_BYTES, page_device, page_name, page_op
from tests.helpers.traps import DEVICES, NAMES, OPS, trap_graph


def graph_of(*nodes: tuple[str, str, list[str]]) -> GraphDef:
    graph = GraphDef()
    for name, op, inputs in nodes:
        graph.node.add(name=name, op=op, input=inputs)
    return graph


def drawn(*nodes: tuple[str, str, list[str]]) -> list[tuple[str, str, list[str]]]:
    return [(n.name, n.op, list(n.input)) for n in for_page(graph_of(*nodes)).node]


@pytest.mark.parametrize(("name", "shown"), NAMES.items())
def test_name(name: str, shown: str) -> None:
    """A name that the page cannot take is replaced, in inputs of every form as well."""
    expected = [(shown, "Relu", []), ("y", "Neg", [shown, f"{shown}:1", f"^{shown}"])]

    assert expected == drawn((name, "Relu", []), ("y", "Neg", [name, f"{name}:1", f"^{name}"]))


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "größe/日本", "a b", "x.0", "a-b", "my/constructor"]
)
def test_name_that_stays(name: str) -> None:
    """What the page can take is left alone, spaces, dots and other alphabets included."""
    assert name == page_name(name)


@pytest.mark.parametrize(("op", "shown"), OPS.items())
def test_op(op: str, shown: str) -> None:
    """An operation that hides its node, or breaks the page, is shown under a like name."""
    assert [("x", shown, [])] == drawn(("x", op, []))


@pytest.mark.parametrize("op", ["Const", "prim::Constant", "HostConst", "Relu", "Summary2", ""])
def test_op_that_stays(op: str) -> None:
    """Constants stay constants, and operations that the page shows stay as they are."""
    assert op == page_op(op)


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        *DEVICES.items(),
        ("", ""),
        ("cuda", "/device:GPU:0"),
        ("gpu:3", "/device:GPU:3"),
        ("TPU_2(process=0,(0,0,0,0))", "/device:TPU:2"),
        ("/device:GPU:1", "/device:GPU:1"),
        ("/job:a/replica:0/task:0/device:CPU:0", "/job:a/replica:0/task:0/device:CPU:0"),
        ("/job:a/task:1", "/job:a/task:1"),
        ("?", "?"),
    ],
)
def test_device(device: str, shown: str) -> None:
    """A device is written as the page's legend lists it; what names none stays."""
    assert shown == page_device(device)


def test_renames_stay_unique() -> None:
    """A renamed node never takes the name of another, which keeps its own."""
    expected = [("a_2", "Neg", []), ("a", "Neg", ["a_2"]), ("a_1", "Neg", ["a"])]

    assert expected == drawn(("/a", "Neg", []), ("a", "Neg", ["/a"]), ("a_1", "Neg", ["a"]))


def test_repeated_names() -> None:
    """Of two nodes with one name the page would draw one; inputs mean the first."""
    expected = [("a", "Relu", []), ("a_1", "Tanh", ["a"]), ("b", "Neg", ["a:1"])]

    assert expected == drawn(("a", "Relu", []), ("a", "Tanh", ["a"]), ("b", "Neg", ["a:1"]))


def test_inputs_that_name_nothing() -> None:
    """They are dropped: `constructor` alone, which JavaScript finds everywhere, ends the page."""
    given = ["constructor", "gone:1", "^gone", "x", "", "x:y"]

    assert [("x", "Relu", []), ("y", "Neg", ["x"])] == drawn(("x", "Relu", []), ("y", "Neg", given))


def test_input_that_takes_a_new_name() -> None:
    """An input that named nothing does not come to name what was renamed."""
    assert [("a", "Relu", []), ("y", "Neg", [])] == drawn(("/a", "Relu", []), ("y", "Neg", ["a"]))


def test_input_for_order_alone() -> None:
    """`^x` means order after `x` where there is an `x`, and the node called `^x` where not."""
    expected = [("x", "Relu", []), ("x_1", "Relu", []), ("y", "Neg", ["^x"])]

    assert expected == drawn(("x", "Relu", []), ("^x", "Relu", []), ("y", "Neg", ["^x"]))
    assert [("x", "Relu", []), ("y", "Neg", ["x"])] == drawn(
        ("^x", "Relu", []), ("y", "Neg", ["^x"])
    )


def test_constants_that_no_node_takes() -> None:
    """They become ordinary nodes, which the page draws, and a graph of them alone is not blank."""
    expected = [("a", "Const", []), ("b", "const", []), ("y", "Neg", ["^a"])]

    assert expected == drawn(("a", "Const", []), ("b", "Const", []), ("y", "Neg", ["^a"]))
    assert [("a", "const", [])] == drawn(("a", "Const", []))


def test_large_attributes() -> None:
    """Weights and other attributes above the limit go, by key; shapes and small ones stay."""
    graph = graph_of(("w", "Variable", []))
    attr = graph.node[0].attr
    attr["tensor"].tensor.tensor_content = bytes(MAX_ATTR_BYTES)
    attr["list"].list.s.append(bytes(MAX_ATTR_BYTES))
    attr["small"].s = bytes(MAX_ATTR_BYTES - 3)  # a tag and two bytes of length come before it
    attr["_too_large_attrs"].list.s.append(b"before")
    for _ in range(MAX_ATTR_BYTES):
        attr["_output_shapes"].list.shape.add()

    kept = for_page(graph).node[0].attr

    assert {"small", "_output_shapes", "_too_large_attrs"} == set(kept)
    assert [b"before", b"list", b"tensor"] == list(kept["_too_large_attrs"].list.s)
    assert MAX_ATTR_BYTES == kept["small"].ByteSize()
    assert MAX_ATTR_BYTES == len(kept["_output_shapes"].list.shape)


def test_library_functions() -> None:
    """A function, its calls, function attributes, gradients and what is inside stay consistent."""
    graph = graph_of(("call", "Const:f", []))
    graph.node[0].attr["f"].func.name = "Const:f"
    graph.node[0].attr["fs"].list.func.add(name="kept").attr["g"].func.name = "Const:f"
    graph.library.gradient.add(function_name="Const:f", gradient_func="kept")
    graph.library.function.add().signature.name = "kept"
    function = graph.library.function.add()
    function.signature.name = "Const:f"
    function.signature.input_arg.add(name="in:0")
    function.signature.output_arg.add(name="out:0")
    function.node_def.add(name="out:0", op="ConstantPad2d", input=["in:0", "^/mid"])
    function.node_def.add(name="/mid", op="Const").attr["w"].s = bytes(2 * MAX_ATTR_BYTES)
    function.ret["out:0"] = "out:0:output:0"
    function.attr["large"].s = bytes(2 * MAX_ATTR_BYTES)

    page = for_page(graph)
    node, (_, inside) = page.node[0], page.library.function

    assert ["const_f"] * 4 == [
        inside.signature.name,
        node.op,
        node.attr["f"].func.name,
        node.attr["fs"].list.func[0].attr["g"].func.name,
    ]
    assert ("const_f", "kept") == (
        page.library.gradient[0].function_name,
        page.library.gradient[0].gradient_func,
    )
    assert ["in_0"] == [arg.name for arg in inside.signature.input_arg]
    assert ["out_0"] == [arg.name for arg in inside.signature.output_arg]
    assert [("out_0", "constantPad2d", ["in_0", "^mid"]), ("mid", "Const", [])] == [
        (n.name, n.op, list(n.input)) for n in inside.node_def
    ]
    assert {"out_0": "out_0:output:0"} == dict(inside.ret)
    assert [b"w"] == list(inside.node_def[1].attr["_too_large_attrs"].list.s)
    assert {"_too_large_attrs"} == set(inside.attr)


def test_function_names() -> None:
    """A function's name has no scopes, and each function a name of its own."""
    graph = graph_of(("a", "f/g", []), ("b", "f_g", []), ("c", "Const", []))
    for name in ("f/g", "f_g", "Const"):
        graph.library.function.add().signature.name = name

    page = for_page(graph)

    assert ["f_g_1", "f_g", "const"] == [f.signature.name for f in page.library.function]
    assert ["f_g_1", "f_g", "const"] == [node.op for node in page.node]


def test_every_form_of_a_graph() -> None:
    """Our message and its bytes give the same."""
    graph = trap_graph()
    data = graph.SerializeToString()
    expected = for_page(graph)

    for form in (data, bytearray(data), memoryview(data)):
        assert expected == for_page(form)


def test_traps_all_at_once() -> None:
    """No name, operation or device that the page cannot take is left, and no node is lost."""
    page = for_page(trap_graph())
    names = [node.name for node in page.node]

    assert len(trap_graph().node) == len(names) == len(set(names))
    assert names == [page_name(name) for name in names]
    assert {*OPS.values()} <= {node.op for node in page.node}
    assert {*DEVICES.values(), ""} == {node.device for node in page.node}
    for node in page.node:
        assert all(value.ByteSize() <= MAX_ATTR_BYTES for value in node.attr.values())
        assert {r.removeprefix("^").partition(":")[0] for r in node.input} <= set(names)


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab", "é".encode("latin-1")])
def test_bytes_that_are_no_graph(data: bytes) -> None:
    """Bytes that do not parse are refused at the call."""
    with pytest.raises(
        ArgumentValueError, match=rf"expected a serialised GraphDef, got {len(data)} bytes"
    ):
        for_page(data)


@pytest.mark.parametrize("graph", [b"", GraphDef()])
def test_no_nodes(graph: GraphDef | bytes) -> None:
    """A graph without nodes is refused: the page would say that it is empty."""
    with pytest.raises(ArgumentValueError, match="expected at least one node"):
        for_page(graph)


@pytest.mark.parametrize("graph", [None, "x", AttrValue(), GraphDef])
def test_no_graph(graph: object) -> None:
    """Anything but a GraphDef or bytes is refused by its type."""
    with pytest.raises(ArgumentTypeError, match="expected a GraphDef message"):
        for_page(graph)  # type: ignore[arg-type]


NAME_PARTS = st.sampled_from([
    "a", "b", "/", "//", "^", ":", ":0", ":1", "_1", "'", "\n", "é",
    "constructor", "__proto__", "__function_library__", "__root__", "length",
])  # fmt: skip
ANY_NAME = st.lists(NAME_PARTS, max_size=4).map("".join)
ANY_OP = st.sampled_from(["Relu", "Const", "ConstX", "XSummary", "toString", "", "f", "Const/f"])


@st.composite
def any_graphs(draw: st.DrawFn) -> GraphDef:
    """Graphs full of names, operations and inputs that the page cannot take."""
    graph = GraphDef()
    names = draw(st.lists(ANY_NAME, min_size=1, max_size=6))
    inputs = st.lists(
        st.tuples(st.sampled_from(["", "^"]), st.sampled_from(names) | ANY_NAME).map("".join),
        max_size=3,
    )
    devices = st.sampled_from(["", "cuda:0", "cpu", "/job:a/cpu:1", "?:"])
    for name in names:
        node = graph.node.add(name=name, op=draw(ANY_OP), input=draw(inputs), device=draw(devices))
        node.attr["w"].s = bytes(draw(st.sampled_from([0, 1, 2000])))
    for name in draw(st.lists(st.sampled_from(["f", "Const/f"]) | ANY_NAME, max_size=2)):
        function = graph.library.function.add()
        function.signature.name = name
        function.node_def.add(name=draw(ANY_NAME), op=draw(ANY_OP), input=draw(inputs))
    return graph


@settings(deadline=None)
@given(any_graphs())
def test_once_is_enough(graph: GraphDef) -> None:
    """What came out once comes out equal, and the graph that was given is as it was."""
    before = graph.SerializeToString(deterministic=True)

    once = for_page(graph)

    assert once == for_page(once)
    assert before == graph.SerializeToString(deterministic=True)


@settings(deadline=None)
@given(any_graphs())
def test_edges_between_nodes_stay(graph: GraphDef) -> None:
    """Names come out unique and good, and exact inputs lead to the same nodes as before."""
    page = for_page(graph)
    new = [node.name for node in page.node]
    old = [node.name for node in graph.node]
    first = {name: new[i] for i, name in reversed(list(enumerate(old)))}

    assert len(new) == len(set(new))
    assert new == [page_name(name) for name in new]
    for before, after in zip(graph.node, page.node, strict=True):
        exact = [first[r] for r in before.input if r in first and not r.startswith("^")]
        assert exact == [r for r in after.input if r in exact]


SAFE_NAMES = st.lists(
    st.sampled_from(["a", "b", "layer_0", "a b", "größe", "x.y"]), min_size=1, max_size=3
).map("/".join)


@settings(deadline=None)
@given(st.data())
def test_good_graph_stays(data: st.DataObject) -> None:
    """A graph that the page can take comes out equal, field by field."""
    names = data.draw(st.lists(SAFE_NAMES, min_size=1, max_size=6, unique=True))
    graph = GraphDef()
    graph.versions.producer = 22
    for name in names:
        node = graph.node.add(
            name=name,
            op=data.draw(st.sampled_from(["Relu", "f", "", "NoOp"])),
            device=data.draw(st.sampled_from(["", "/device:GPU:0"])),
        )
        for source in data.draw(st.lists(st.sampled_from(names), max_size=3)):
            node.input.append(data.draw(st.sampled_from(["{}", "^{}", "{}:1"])).format(source))
        node.attr["_output_shapes"].list.shape.add().dim.add(size=-1)
        node.attr["s"].s = data.draw(st.binary(max_size=100))
    graph.library.function.add().signature.name = "f"

    assert graph == for_page(graph)
