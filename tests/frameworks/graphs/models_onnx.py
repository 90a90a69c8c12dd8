"""ONNX models that the tests show, of each kind that the format has; each function returns one."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser


def residual_convnet() -> ModelProto:
    """Slashes in names are modules, as torch's older exporter writes them; weights, a skip."""
    random = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["image", "stem.weight"], ["a"], "/stem/Conv", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "/stem/Relu"),
        helper.make_node(
            "Conv", ["b", "block.conv.weight", "block.conv.bias"], ["c"], "/block/conv/Conv",
            pads=[1] * 4,
        ),
        helper.make_node("Add", ["b", "c"], ["d"], "/block/Add"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], "/pool/GlobalAveragePool"),
        helper.make_node("Constant", [], ["shape"], "/head/Constant", value_ints=[-1, 8]),
        helper.make_node("Reshape", ["e", "shape"], ["f"], "/head/Reshape"),
        helper.make_node("Gemm", ["f", "head.weight", "head.bias"], ["logits"], "/head/Gemm"),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "main_graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])],
        [
            weight("stem.weight", 8, 3, 3, 3),
            weight("block.conv.weight", 8, 8, 3, 3),
            weight("block.conv.bias", 8),
            weight("head.weight", 8, 4),
            weight("head.bias", 4),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def control_flow() -> ModelProto:
    """If, Loop and Scan, whose bodies take values from around them."""
    model: ModelProto = parser.parse_model("""
    <ir_version: 9, opset_import: ["" : 18]>
    control (float[n, 3] x, bool flag, int64 times) => (float[n, 3] chosen, float[n, 3] total,
                                                        float[3] sum, float[n, 3] sums)
    <float[3] scale = {1.0, 2.0, 3.0}, float[3] start = {0.0, 0.0, 0.0}>
    {
        scaled = Mul(x, scale)
        [choose] chosen = If (flag) <
            then_branch = positive () => (float[n, 3] p) { p = Relu(scaled) },
            else_branch = negative () => (float[n, 3] m) { m = Neg(scaled) }
        >
        always = Constant <value = bool {1}> ()
        [repeat] total = Loop (times, always, x) <
            body = step (int64 i, bool go, float[n, 3] sofar) => (bool on, float[n, 3] more) {
                on = Identity(go)
                more = Add(sofar, scaled)
            }
        >
        [running] sum, sums = Scan <num_scan_inputs = 1,
            body = add (float[3] before, float[3] row) => (float[3] after, float[3] seen) {
                after = Add(before, row)
                seen = Identity(after)
            }
        > (start, x)
    }
    """)
    onnx.checker.check_model(model)
    return model


def functions() -> ModelProto:
    """A local function with an attribute, which calls another; an operation of another domain."""
    model: ModelProto = parser.parse_model("""
    <ir_version: 9, opset_import: ["" : 18, "local" : 1, "com.example" : 1]>
    main (float[2, 4] x) => (float[2, 4] y, float[2, 4] z)
    {
        [first] a = local.block <alpha = 0.25> (x)
        [second] y = local.block (a)
        [odd] z = com.example.Swirl <turns = 3> (y)
    }
    <domain: "local", opset_import: ["" : 18, "local" : 1]>
    block <alpha: float = 0.5> (value) => (result)
    {
        [leaky] t = LeakyRelu <alpha: float = @alpha> (value)
        [twice] result = local.twice (t)
    }
    <domain: "local", opset_import: ["" : 18]>
    twice (value) => (result)
    {
        [sum] result = Add(value, value)
    }
    """)
    onnx.checker.check_model(model)
    return model


def from_torch() -> ModelProto:
    """What torch's exporter notes at each node: the modules around it, and their classes."""
    model = residual_convnet()
    names = {
        "/stem/Conv": (["", "stem", "stem.0"], ["Net", "Sequential", "Conv2d"]),
        "/stem/Relu": (["", "stem", "stem.1"], ["Net", "Sequential", "ReLU"]),
        "/block/conv/Conv": (["", "block", "block.conv"], ["Net", "Residual", "Conv2d"]),
        "/block/Add": (["", "block"], ["Net", "Residual"]),
        "/pool/GlobalAveragePool": (["", "pool"], ["Net", "AdaptiveAvgPool2d"]),
        "/head/Constant": ([""], ["Net"]),
        "/head/Reshape": ([""], ["Net"]),
        "/head/Gemm": (["", "head"], ["Net", "Linear"]),
    }
    for index, node in enumerate(model.graph.node):
        scopes, classes = names[node.name]
        node.name = f"node_{index}"
        noted = {
            "pkg.torch.onnx.name_scopes": repr([*scopes, "op"]),
            "pkg.torch.onnx.class_hierarchy": repr(
                [*(f"torch.nn.modules.{name}" for name in classes), "aten.op.default"]
            ),
        }
        for key, value in noted.items():
            node.metadata_props.add(key=key, value=value)
    return model
