"""One graph with every trap of TensorBoard's Graphs page in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventwriter._proto.graph_pb2 import GraphDef
from eventwriter._proto.tensor_pb2 import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventwriter._proto.graph_pb2 import NodeDef

# Names that the page cannot take, and the names that the page gets instead.
NAMES = {
    "": "unnamed",
    "/lead/a": "lead/a",
    "trail/b/": "trail/b",
    "double//c": "double/c",
    "^caret": "caret",
    "colon:0": "colon_0",
    "tensor:out:1": "tensor_out_1",
    "quote'\"\\\n": "quote____",
    "__function_library__mine/d": "function_library__mine/d",
    "__proto__": "__proto___",
    "__root__": "__root___",
    "constructor": "constructor_",
    "hasOwnProperty/e": "hasOwnProperty_/e",
    "length": "length_",
    "toString": "toString_",
    "valueOf/f/g": "valueOf_/f/g",
}
# Operations that hide their node, or break the page.
OPS = {
    "ConstantPad2d": "constantPad2d",
    "ScalarSummary": "Scalarsummary",
    "constructor": "constructor_",
    "onnx::ConstantOfShape": "onnx::constantOfShape",
    "toString": "toString_",
}
DEVICES = {
    "cpu": "/device:CPU:0",
    "cuda:1": "/device:GPU:1",
    "TFRT_CPU_0": "/device:CPU:0",
    "/job:worker/task:0/gpu:2": "/job:worker/task:0/device:GPU:2",
}


def add(
    graph: GraphDef,
    name: str,
    op: str,
    inputs: Iterable[str] = (),
    shape: Iterable[int] | None = (-1, 8),
    device: str = "",
) -> NodeDef:
    """A node with one output."""
    node = graph.node.add(name=name, op=op, input=inputs, device=device)
    if shape is not None:
        sizes = node.attr["_output_shapes"].list.shape.add()
        for size in shape:
            sizes.dim.add(size=size)
    return node


def trap_graph() -> GraphDef:
    """A chain through all of `NAMES`, `OPS` and `DEVICES`, and beside it each other trap.

    As it is, the page draws nothing of it. Made fit for the page, it shows all nodes: constants
    that a node takes beside that node, the others as boxes.
    """
    graph = GraphDef()
    add(graph, "input/x", "Placeholder", shape=(-1, 3))
    previous = "input/x"
    for name in NAMES:
        add(graph, name, "Relu", [previous])
        previous = name
    for op in OPS:
        name = f"ops/{op.replace(':', '')}"
        add(graph, name, op, [previous])
        previous = name
    for k, device in enumerate(DEVICES):
        name = f"devices/{'abcd'[k]}"
        add(graph, name, "Relu", [previous], device=device)
        previous = name

    # One node is also the scope of others.
    add(graph, "block", "Tanh", [previous])
    add(graph, "block/inner", "MatMul", ["block", "colon:0"])
    # A renamed node must not take the place of one that has the name already.
    add(graph, "lead/a", "Tanh", ["block/inner"])
    # Two nodes of one name.
    add(graph, "twin", "Tanh", ["lead/a"])
    add(graph, "twin", "Sigmoid", ["twin"])

    # Several outputs, of which 1 is unknown, 2 a scalar; an input for order alone.
    split = add(graph, "split", "Split", ["twin", "^constructor"], shape=(-1, 4))
    split.attr["_output_shapes"].list.shape.add(unknown_rank=True)
    split.attr["_output_shapes"].list.shape.add()
    for k in range(3):
        add(graph, f"use/{'xyz'[k]}", "Neg", [f"split:{k}" if k else "split"])

    # Inputs that name nothing, one of them a name that JavaScript finds in every object.
    add(graph, "dangling", "Neg", ["nowhere", "hasOwnProperty", "^valueOf:0", "use/z"])

    # A constant that is taken, one that is not, and weights.
    taken = add(graph, "const/taken", "Const", shape=())
    taken.attr["value"].tensor.dtype = DataType.DT_FLOAT
    taken.attr["value"].tensor.float_val.append(0.5)
    add(graph, "const/alone", "Const", shape=())
    weights = add(graph, "weights", "VariableV2", shape=(256, 256))
    weights.attr["value"].tensor.tensor_content = bytes(4 * 256 * 256)
    weights.attr["list"].list.i.extend(range(2000))
    weights.attr["text"].s = b"{\n}" * 1000
    weights.attr["kept"].s = b'\xff"{\n'
    add(graph, "sum", "AddN", ["dangling", "const/taken", "weights"])

    # A function whose name would hide its calls, with unsafe names inside.
    function = graph.library.function.add()
    function.signature.name = "Const:fn/1"
    function.signature.input_arg.add(name="in:put", type=DataType.DT_FLOAT)
    function.signature.output_arg.add(name="out", type=DataType.DT_FLOAT)
    function.node_def.add(name="/body:0", op="Relu", input=["in:put"])
    function.node_def.add(name="out", op="ConstantPad2d", input=["/body:0:output:0"])
    function.ret["out"] = "out:output:0"
    call = add(graph, "call", "Const:fn/1", ["sum"])
    call.attr["f"].func.name = "Const:fn/1"
    return graph
