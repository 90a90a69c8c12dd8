"""Graphs of ONNX models: operations, scopes, bodies of control flow, and functions.

    in the model                          in the graph
    input x                               Placeholder `input/x`
    output y                              Output `output/y`
    node "/layer1/conv/Conv"              `layer1/conv/Conv`: slashes are scopes
    node from the exporter of torch       in the scopes of its modules, which are layers
    node without a name, the fourth       `Conv_3`
    operation of another domain           op `com.microsoft.FusedConv`
    initializer                           Parameter, beside the first operation that takes it
    Constant                              Const
    If, Loop, Scan "/step/Loop"           `step/Loop`, its body in `step/Loop/body`, where the
                                          body's own inputs are nodes `input/NAME`, op Input
    call "enc" of a local function        the function's nodes in the scope `enc`, a layer

Format: https://onnx.ai/onnx/repo-docs/IR.html
"""

from __future__ import annotations

import ast
import contextlib
import math
import os
from collections import ChainMap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import onnx
from google.protobuf.message import DecodeError
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    helper,
)

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.attributes import one_for_all
from eventwriter.graphs.builder import GraphBuilder, Layer, Output
from eventwriter.integrations.onnx._values import (
    shape_and_dtype,
    shown_attribute,
    small_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventwriter.typing import PathLike

# Shape inference needs the values of shapes, axes and sizes, which are never larger than this.
_INFERENCE_ELEMENTS = 1024
_FLOATS = frozenset({
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16,
})  # fmt: skip
# The exporter of torch notes at each node the names and the classes of the modules around it. They
# are Python lists in text, from the model itself ("") to the operation.
_TORCH_NAMES = "pkg.torch.onnx.name_scopes"
_TORCH_CLASSES = "pkg.torch.onnx.class_hierarchy"

_INFERENCE_ERRORS = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    RuntimeError,
    ValueError,
)
# The layer of a scope whose class is not in the model.
_UNKNOWN = Layer("")

_Values: TypeAlias = "ChainMap[str, Output]"
_Types: TypeAlias = "ChainMap[str, TypeProto]"


class _Place(NamedTuple):
    """The place of a node in the graph.

    Attributes:
        layers: The modules around the node, the outermost first, with the name of each inside the
            module before it.
        name: The name of the node inside the last module.
    """

    layers: tuple[tuple[str, Layer], ...]
    name: str

    @property
    def parameter_scope(self) -> str:
        """The scope of the node's parameters: its module, or without a module the node itself."""
        return "/".join(name for name, _ in self.layers) or self.name


def build_graph(
    model: ModelProto | PathLike | bytes,
    inputs: Any = None,  # noqa: ARG001
    *,
    strict: bool = True,  # noqa: ARG001
) -> GraphBuilder:
    """Return the graph of an ONNX model. The model is not run, and it is not changed.

    Shapes that the model does not contain are inferred. Weights in separate files are not read.

    Args:
        model: The model, the path of its file, or the bytes of its file.
        inputs: Not used: the model contains its shapes.
        strict: Not used: ONNX has one way of reading.

    Raises:
        ArgumentTypeError: `model` is none of these.
        ArgumentValueError: The file cannot be read, or contains no valid ONNX model.

    Warns:
        EventWriterWarning: Shapes cannot be inferred. Only the shapes in the model are shown.
    """
    return _Reader(_with_shapes(_without_weights(_load(model)))).read()


def _load(model: Any) -> ModelProto:
    if isinstance(model, ModelProto):
        loaded = model
    elif isinstance(model, (str, os.PathLike, bytes)):
        name = f"{len(model)} bytes" if isinstance(model, bytes) else os.fspath(model)
        try:
            content = model if isinstance(model, bytes) else Path(model).read_bytes()
            loaded = ModelProto.FromString(content)
        except OSError as error:
            raise ArgumentValueError(
                f"ONNX model: expected a file that can be read, got {name!r}: {error}. Pass the "
                "path of an ONNX file."
            ) from error
        except DecodeError as error:
            raise ArgumentValueError(
                f"ONNX model: expected a serialised ModelProto, got {name!r}: {error}. Pass a file "
                "of onnx.save."
            ) from error
    else:
        raise ArgumentTypeError(
            "ONNX model: expected an onnx.ModelProto, a path, or the bytes of a file, got "
            f"{type_name(model)}."
        )
    if not (loaded.graph.node or loaded.graph.input or loaded.graph.output):
        raise ArgumentValueError(
            "ONNX model: expected a graph, got a ModelProto whose graph has no nodes, inputs or "
            "outputs. Pass a whole model."
        )
    return loaded


def _without_weights(model: ModelProto) -> ModelProto:
    """Return a copy without the data of large initializers.

    Shape inference copies and serialises the model, so large data would cost time and memory. The
    copy says that the data is in another file, which shape inference accepts.
    """
    light = ModelProto()
    _copy_fields(model, light, but="graph")
    _copy_fields(model.graph, light.graph, but="initializer")
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _INFERENCE_ELEMENTS:
            light.graph.initializer.append(tensor)
        else:
            light.graph.initializer.add(
                name=tensor.name,
                dims=tensor.dims,
                data_type=tensor.data_type,
                data_location=TensorProto.EXTERNAL,
            )
    return light


def _copy_fields(source: Any, target: Any, *, but: str) -> None:
    for field, value in source.ListFields():
        if field.name == but:
            continue
        if field.is_repeated:
            getattr(target, field.name).extend(value)
        elif field.message_type is not None:
            getattr(target, field.name).CopyFrom(value)
        else:
            setattr(target, field.name, value)


def _with_shapes(model: ModelProto) -> ModelProto:
    """Return the model with the types of all values that ONNX can infer."""
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except _INFERENCE_ERRORS as error:
        warn_caller(
            f"ONNX model: onnx.shape_inference failed ({error}), so only the shapes in the model "
            "itself are shown. Run onnx.checker.check_model to find the reason."
        )
        return model


class _Reader:
    """Reads one model, with the graphs inside its graph."""

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self._graph = GraphBuilder()
        self._functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        # The functions whose nodes are being added now, the outermost first.
        self._calls: list[FunctionProto] = []

    def read(self) -> GraphBuilder:
        """Return the graph of the model."""
        main = self._model.graph
        weights = {tensor.name for tensor in main.initializer}
        weights |= {tensor.values.name for tensor in main.sparse_initializer}
        values: _Values = ChainMap()
        for info in main.input:
            # Up to IR version 3 each initializer is also an input, whose default it is.
            if info.name not in weights:
                shape, dtype = shape_and_dtype(info.type)
                values[info.name] = self._graph.placeholder(
                    f"input/{info.name}", shape=shape, dtype=dtype
                )
        types = self._nodes(main, values, ChainMap())
        for info in main.output:
            shape, dtype = shape_and_dtype(types.get(info.name))
            value = _found(values, info.name, "outputs of the model")
            self._graph.node(f"output/{info.name}", "Output", value, shape=shape, dtype=dtype)
        return self._graph

    def _nodes(self, graph: GraphProto, values: _Values, outer: _Types) -> _Types:
        """Add the nodes of `graph` to the current scope, and its values to `values`."""
        types = outer.new_child()
        types.update((i.name, i.type) for i in (*graph.input, *graph.value_info, *graph.output))
        places = [_place(node, index) for index, node in enumerate(graph.node)]
        scopes: dict[str, str] = {}
        for node, place in zip(graph.node, places, strict=True):
            for value in node.input:
                scopes.setdefault(value, place.parameter_scope)
        sparse = [
            TensorProto(name=t.values.name, dims=t.dims, data_type=t.values.data_type)
            for t in graph.sparse_initializer
        ]
        for tensor in (*graph.initializer, *sparse):
            types[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
            values[tensor.name] = self._parameter(tensor, scopes.get(tensor.name, "unused"))
        for node, place in zip(graph.node, places, strict=True):
            with contextlib.ExitStack() as scope:
                for name, layer in place.layers:
                    scope.enter_context(self._graph.scope(name, layer=layer))
                self._node(node, place.name, values, types)
        return types

    def _parameter(self, tensor: TensorProto, scope: str) -> Output:
        name = tensor.name.replace("/", ".").rstrip(".").rpartition(".")[2]
        # Shapes, axes and numbers such as an epsilon are no weights.
        constant = not tensor.dims or tensor.data_type not in _FLOATS
        attrs = {"initializer": tensor.name, "value": small_value(tensor) if constant else None}
        shape, dtype = shape_and_dtype(helper.make_tensor_type_proto(tensor.data_type, tensor.dims))
        return self._graph.node(
            f"{scope}/{name}", "Parameter", shape=shape, dtype=dtype, attrs=attrs
        )

    def _node(self, node: NodeProto, name: str, values: _Values, types: _Types) -> None:
        where = f"node {name!r} ({node.op_type})"
        inputs = [_found(values, value, where) for value in node.input if value]
        function = self._functions.get((node.domain, node.op_type, node.overload))
        if function is not None:
            with self._graph.scope(name, layer=Layer(node.op_type)):
                results = self._call(function, node, values, types)
            # A result that the caller does not use has no name.
            values.update(zip(node.output, results, strict=False))
            return
        for attribute in node.attribute:
            single = attribute.type == AttributeProto.GRAPH
            for body in [attribute.g] if single else attribute.graphs:
                with (
                    self._graph.scope(name, layer=Layer(node.op_type)),
                    self._graph.scope(attribute.name, layer=_UNKNOWN),
                ):
                    inputs += self._body(body, node, values, types)
        builtin = node.domain in {"", "ai.onnx"}
        op = "Const" if builtin and node.op_type == "Constant" else node.op_type
        outputs = [shape_and_dtype(types.get(value)) for value in node.output]
        dtypes = [dtype for _, dtype in outputs]
        first = self._graph.node(
            name,
            op if builtin else f"{node.domain}.{op}",
            inputs,
            shapes=[shape for shape, _ in outputs],
            dtype=one_for_all(dtypes),
            attrs=dict(filter(None, map(shown_attribute, node.attribute))),
        )
        values.update({value: first.output(k) for k, value in enumerate(node.output) if value})

    def _body(
        self, body: GraphProto, node: NodeProto, values: _Values, types: _Types
    ) -> list[Output]:
        """Add a body, which sees the values around it. Its inputs are the node's, by position."""
        inner = values.new_child()
        for info, value in zip(body.input, [*node.input, *[""] * len(body.input)], strict=False):
            known = info.type if info.type.WhichOneof("value") else types.get(value)
            shape, dtype = shape_and_dtype(known)
            inner[info.name] = self._graph.node(
                f"input/{info.name}",
                "Input",
                [values[value]] if value else [],
                shape=shape,
                dtype=dtype,
            )
        self._nodes(body, inner, types)
        return [_found(inner, info.name, f"outputs of {body.name!r}") for info in body.output]

    def _call(
        self, function: FunctionProto, node: NodeProto, values: _Values, types: _Types
    ) -> list[Output]:
        """Add the nodes of a function. They see only the arguments of the function."""
        if function in self._calls:
            raise ArgumentValueError(
                "ONNX model: expected functions that do not call themselves, got "
                f"{function.name!r}, which does. Run onnx.checker.check_model to find the error."
            )
        given = dict(zip(function.input, node.input, strict=False))
        inner: _Values = ChainMap({name: values[v] for name, v in given.items() if v})
        attributes = {a.name: a for a in (*function.attribute_proto, *node.attribute)}
        body = GraphProto(name=function.name, node=function.node)
        for inside in body.node:
            _bind_attributes(inside, attributes)
        for name in function.input:
            body.input.add(name=name, type=types.get(given.get(name, "")))
        for name in function.output:
            body.output.add(name=name)
        called = ModelProto(
            ir_version=self._model.ir_version,
            opset_import=function.opset_import,
            functions=self._model.functions,
            graph=body,
        )
        self._calls.append(function)
        self._nodes(_with_shapes(called).graph, inner, ChainMap())
        self._calls.pop()
        where = f"outputs of function {function.name!r}"
        return [_found(inner, name, where) for name in function.output]


def _place(node: NodeProto, index: int) -> _Place:
    *modules, name = (
        filter(None, node.name.split("/")) if node.name.strip("/") else (f"{node.op_type}_{index}",)
    )
    layers = [*_torch_modules(node), *((module, _UNKNOWN) for module in modules)]
    return _Place(tuple(layers), name)


def _torch_modules(node: NodeProto) -> Iterator[tuple[str, Layer]]:
    """Yield the modules around a node from the exporter of torch, without the model itself."""
    noted = {entry.key: entry.value for entry in node.metadata_props}
    try:
        names = ast.literal_eval(noted[_TORCH_NAMES])[:-1]
        classes = ast.literal_eval(noted[_TORCH_CLASSES])[:-1]
        pairs = [(str(a), str(b)) for a, b in zip(names, classes, strict=True) if a]
    except (KeyError, SyntaxError, TypeError, ValueError):
        return
    outer = ""
    for name, class_name in pairs:
        yield name.removeprefix(f"{outer}.").replace(".", "/"), Layer(class_name.rpartition(".")[2])
        outer = name


def _found(values: _Values, name: str, where: str) -> Output:
    if name not in values:
        raise ArgumentValueError(
            f"ONNX model: {where}: expected a value that an earlier node gives, got {name!r}. "
            "Run onnx.checker.check_model to find the error."
        )
    return values[name]


def _bind_attributes(node: NodeProto, given: Mapping[str, AttributeProto]) -> None:
    """Replace references to attributes of a function with the attributes of the call."""
    for position in reversed(range(len(node.attribute))):
        attribute = node.attribute[position]
        if attribute.ref_attr_name in given:
            name = attribute.name
            attribute.CopyFrom(given[attribute.ref_attr_name])
            attribute.name = name
        elif attribute.ref_attr_name:
            del node.attribute[position]  # an optional attribute that the call leaves out
        for body in (attribute.g, *attribute.graphs):
            for inside in body.node:
                _bind_attributes(inside, given)
