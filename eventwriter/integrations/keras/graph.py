"""Graphs of Keras models, on any backend.

    in Keras                               in the graph
    layer                                  a scope of its name, with its weights and an operation
                                           of its class; one for each call where it is shared
    operation, such as x * 0.5             an operation; numbers and arrays are constants
    nested model, own layer of layers      a scope with its own graph inside
    Input                                  input/NAME
    result                                 output/NAME

Functional and Sequential models keep their graph. That of a subclassed model, and of layers outside
of Keras that are made of others, is found by calling them with symbolic tensors; nothing is
computed.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.graphs.builder import GraphBuilder, Layer, Output
from eventwriter.graphs.limits import MAX_SHOWN_ELEMENTS
from eventwriter.integrations.keras._folds import Scope, folds_of
from eventwriter.integrations.keras._models import (
    dtype,
    forgotten,
    fresh,
    function_of,
    in_order,
    is_composed,
    layers_below,
    made_by,
    maker,
    nodes_before,
    symbolic_inputs,
    tensors_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def build_graph(model: Any, inputs: Any = None, *, strict: bool = True) -> GraphBuilder:  # noqa: ARG001 - every source has it
    """The graph of a Keras model.

    Where a model or a nested one has more than 40 operations, they are folded: by the beginnings of
    their names (`conv2_block1_bn` into `conv2`) if these follow one another, else by what repeats:
    the layers of a transformer into `blocks/block_0`, `blocks/block_1` and so on.

    Args:
        model: A Functional, Sequential or subclassed model, or a layer. It must be built, and is
            left as it was.
        inputs: For a subclassed model, what it is called with: one array, a tuple for several
            arguments, or a dict for keyword arguments; only shapes and dtypes matter. None: the
            shapes that it was built with. Functional and Sequential models know their inputs.
        strict: Has no meaning here.

    Raises:
        ArgumentTypeError: `model` is no Keras model or layer.
        ArgumentValueError: It was never built or called, or `inputs` do not fit its `call`.

    Warns:
        EventWriterWarning: A subclassed model cannot be called with symbolic tensors; its graph is
            the tree of its layers, without edges.
    """
    where = f"graph of {type(model).__module__}.{type(model).__qualname__}"
    if not isinstance(model, keras.Layer):
        raise ArgumentTypeError(f"{where}: it is no Keras model; expected a keras.Model or a layer")
    function = function_of(model)
    if function is None and (not model.built or isinstance(model, keras.Sequential)):
        raise ArgumentValueError(
            f"{where}: {model.name!r} was never built, so that its shapes are unknown. Build it "
            "with model.build(input_shape), or call it once on data"
        )
    translation = _Translation()
    if function is not None:
        translation.model(function)
        return translation.graph
    reason = translation.subclassed(model, *symbolic_inputs(model, inputs, where))
    if reason is not None:
        warnings.warn(
            f"{where}: {model.name!r} cannot be called with symbolic tensors, so its graph is the "
            f"tree of its layers, without edges. {reason}",
            EventWriterWarning,
            stacklevel=2,
        )
        translation = _Translation()
        translation.tree(model, ())
    return translation.graph


class _Translation:
    """Keras's nodes into a graph."""

    def __init__(self) -> None:
        self.graph = GraphBuilder()
        self._parameters: dict[int, Output] = {}

    def model(self, function: Any) -> None:
        """A Functional model, from its inputs to its outputs."""
        values = {
            id(tensor): self._placeholder(made_by(tensor), tensor) for tensor in function.inputs
        }
        self._walk(function.outputs, values, ())
        names = _names(function.output, function.output_names)
        for name, tensor in zip(names, function.outputs, strict=True):
            self._output(name, tensor, values)

    def subclassed(
        self, model: Any, named: dict[str, Any], call: Callable[[], Any] | None
    ) -> str | None:
        """A model that is called; or the reason why it cannot be."""
        if call is None:
            return "Pass what it is called with as inputs"
        unbuilt = [layer.name for layer in layers_below(model) if not layer.built]
        if unbuilt:
            return f"These of its layers are not built: {', '.join(unbuilt)}; call it once on data"
        with forgotten(model):
            try:
                returned = call()
            except Exception as error:  # noqa: BLE001 - the user's code may raise anything
                return f"It raised {type(error).__name__}: {error}"
            tensors = tensors_in(returned)
            values = {id(tensor): self._placeholder(name, tensor) for name, tensor in named.items()}
            self._own_parameters(model, ())
            self._walk(tensors, values, ())
            names = _names(returned, [made_by(tensor) for tensor in tensors])
            for name, tensor in zip(names, tensors, strict=True):
                self._output(name, tensor, values)
        return None

    def tree(self, layer: Any, scope: Scope) -> None:
        """A layer's operation and weights, and the layers below it; nothing is known of edges."""
        below = list(layers_below(layer, recursive=False))
        for child in below:
            self._remember((*scope, child.name), child)
            self.tree(child, (*scope, child.name))
        if below:
            self._own_parameters(layer, scope)
        else:
            self._node(scope, layer, self._parameters_of(layer, scope), [])

    def _placeholder(self, name: str, tensor: Any) -> Output:
        return self.graph.placeholder(
            f"input/{name}", shape=tensor.shape, dtype=dtype(tensor.dtype)
        )

    def _output(self, name: str, tensor: Any, values: dict[int, Output]) -> None:
        taken = [values[id(tensor)]] if id(tensor) in values else []
        self.graph.node(
            f"output/{name}", "Output", taken, shape=tensor.shape, dtype=dtype(tensor.dtype)
        )

    def _walk(self, outputs: Sequence[Any], values: dict[int, Output], scope: Scope) -> None:
        """The nodes that lead to `outputs` from the tensors in `values`, which it completes."""
        nodes = nodes_before(outputs, values)
        folds = folds_of([node.operation for node in nodes])
        for node in nodes:
            operation = node.operation
            place = scope + folds.get(id(operation), ())
            if isinstance(operation, keras.Layer):
                place = (*place, operation.name)
                self._remember(place, operation)
                results = self._layer(node, values, place)
            else:
                inputs = self._operands(node, values, place)
                results = self._node(place, operation, inputs, node.output_tensors)
            for tensor, result in zip(node.output_tensors, results, strict=True):
                values[id(tensor)] = result

    def _layer(self, node: Any, values: dict[int, Output], scope: Scope) -> list[Output]:
        """One call of a layer, within its scope."""
        layer = node.operation
        function = function_of(layer)
        if function is not None:
            return self._nested(function, node, values, scope)
        if is_composed(layer):
            results = self._called(node, values, scope)
            if results is not None:
                return results
        inputs = [values[id(tensor)] for tensor in node.input_tensors if id(tensor) in values]
        inputs += self._parameters_of(layer, scope)
        return self._node(scope, layer, inputs, node.output_tensors, node.arguments.kwargs)

    def _nested(
        self, function: Any, node: Any, values: dict[int, Output], scope: Scope
    ) -> list[Output]:
        given = next(iter((*node.arguments.args, *node.arguments.kwargs.values())))
        inner = {}
        for own, tensor in zip(function.inputs, in_order(given, function.inputs), strict=True):
            if id(tensor) in values:
                inner[id(own)] = values[id(tensor)]
        self._walk(function.outputs, inner, scope)
        return [inner[id(tensor)] for tensor in function.outputs]

    def _called(self, node: Any, values: dict[int, Output], scope: Scope) -> list[Output] | None:
        """The inside of a layer that is made of others; None if it cannot be called again."""
        layer = node.operation
        if not all(below.built for below in layers_below(layer)):
            return None
        made: dict[int, Any] = {}
        args, kwargs = keras.tree.map_structure(
            lambda leaf: fresh(leaf, made), (node.arguments.args, node.arguments.kwargs)
        )
        with forgotten(layer):
            try:
                tensors = tensors_in(layer.call(*args, **kwargs))
            except Exception:  # noqa: BLE001 - the user's code may raise anything
                return None
            inner = {id(new): values[old] for old, new in made.items() if old in values}
            known = [id(tensor) in inner or maker(tensor) is not None for tensor in tensors]
            if not all(known) or len(known) != len(node.output_tensors):
                return None
            self._own_parameters(layer, scope)
            self._walk(tensors, inner, scope)
            return [inner[id(tensor)] for tensor in tensors]

    def _operands(self, node: Any, values: dict[int, Output], scope: Scope) -> list[Output]:
        """What an operation computes with: tensors, variables, numbers and arrays."""
        operands = []
        for value in keras.tree.flatten((node.arguments.args, node.arguments.kwargs)):
            if isinstance(value, keras.KerasTensor):
                operands += [values[id(value)]] if id(value) in values else []
            elif isinstance(value, keras.Variable):
                operands.append(self._parameter(value, value.name, scope))
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                kind = "int32" if isinstance(value, int) else "float32"
                operands.append(self._constant(scope, (), kind, {"value": value}))
            elif hasattr(value, "shape") and hasattr(value, "dtype"):
                attrs: dict[str, Any] = {}
                if np.prod(value.shape) <= MAX_SHOWN_ELEMENTS:
                    attrs["value"] = keras.ops.convert_to_numpy(value)
                operands.append(self._constant(scope, value.shape, dtype(value.dtype), attrs))
        return operands

    def _constant(self, scope: Scope, sizes: Any, kind: str, attrs: dict[str, Any]) -> Output:
        name = "/".join((*scope, "const"))
        return self.graph.node(name, "Const", shape=sizes, dtype=kind, attrs=attrs)

    def _own_parameters(self, layer: Any, scope: Scope) -> None:
        """The weights of a layer that are in none of the layers below it."""
        below = {id(weight) for child in layers_below(layer) for weight in child.weights}
        for weight in layer.weights:
            if id(weight) not in below:
                self._parameter(weight, weight.name, scope)

    def _parameters_of(self, layer: Any, scope: Scope) -> list[Output]:
        """All weights of a layer, by their paths below it."""
        parameters = []
        for weight in layer.weights:
            path = weight.path.split("/")
            below = path[path.index(layer.name) + 1 :] if layer.name in path[:-1] else path[-1:]
            parameters.append(self._parameter(weight, "/".join(below), scope))
        return parameters

    def _parameter(self, weight: Any, name: str, scope: Scope) -> Output:
        """A weight's node, made where it is first seen."""
        found = self._parameters.get(id(weight))
        if found is None:
            found = self._parameters[id(weight)] = self.graph.node(
                "/".join((*scope, name)),
                "Parameter",
                shape=weight.shape,
                dtype=dtype(weight.dtype),
            )
        return found

    def _node(
        self,
        scope: Scope,
        operation: Any,
        inputs: Sequence[Output],
        outputs: Sequence[Any],
        arguments: dict[str, Any] | None = None,
    ) -> list[Output]:
        """An operation's node, named by its class: Keras numbers names across all models."""
        op = type(operation).__name__
        dtypes = [dtype(tensor.dtype) for tensor in outputs]
        node = self.graph.node(
            "/".join((*scope, op)),
            op,
            list(inputs),
            shapes=[tensor.shape for tensor in outputs],
            dtype=dtypes[0] if len(set(dtypes)) == 1 else dtypes or None,
            attrs=_simple(_config(operation)) | _simple(arguments or {}),
        )
        return [node.output(k) for k in range(len(outputs))]

    def _remember(self, scope: Scope, layer: Any) -> None:
        """What a scope is."""
        trainable = bool(layer.trainable) if layer.weights else None
        shown = Layer(type(layer).__name__, _activation(layer), trainable)
        with self.graph.scope("/".join(scope), layer=shown):
            pass


def _names(structure: Any, otherwise: Sequence[str]) -> list[str]:
    """Keys of a dict of tensors; where there are none, other names."""
    if not isinstance(structure, dict):
        return list(otherwise)
    return [
        "/".join(str(key) for key in path)
        for path, leaf in keras.tree.flatten_with_path(structure)
        if isinstance(leaf, keras.KerasTensor)
    ]


def _activation(layer: Any) -> str | None:
    activation = getattr(layer, "activation", None)
    if activation is None:
        return None
    return getattr(activation, "__name__", type(activation).__name__)


def _config(operation: Any) -> dict[str, Any]:
    try:
        config = operation.get_config()
    except Exception:  # noqa: BLE001 - a layer of the user's own need not have one
        return {}
    return {
        key: value for key, value in config.items() if key not in {"name", "dtype", "trainable"}
    }


def _simple(values: dict[str, Any]) -> dict[str, Any]:
    """Those that a node can show."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if isinstance(value, (bool, int, float, str))
        or (isinstance(value, (list, tuple)) and all(isinstance(item, int) for item in value))
    }
