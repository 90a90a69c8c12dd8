"""Graphs of Keras models, on any backend.

    in Keras                               in the graph
    layer                                  a scope of its name, with its weights and an operation
                                           of its class for each call
    operation, such as x * 0.5             an operation; numbers and arrays are constants
    nested model, layer made of layers     a scope with its own graph inside
    Input                                  input/NAME
    result                                 output/NAME

Functional and Sequential models keep their graph. A subclassed model, and a layer of the user's own
that is made of other layers, are called with symbolic tensors to find it. Nothing is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.attributes import one_for_all
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


def build_graph(model: Any, inputs: Any = None, *, strict: bool = True) -> GraphBuilder:  # noqa: ARG001
    """Return the graph of a Keras model.

    More than 40 operations in a model, or in a nested model, are folded. Operations that follow
    each other and whose names begin alike become one box: `conv2_block1_bn` is in `conv2`. If that
    leaves too many boxes, blocks that repeat become one box: the layers of a transformer are in
    `blocks/block_0`, `blocks/block_1` and so on.

    Args:
        model: A Functional, Sequential or subclassed model, or a layer. It must be built. It is not
            changed.
        inputs: The arguments of a subclassed model: one array, a tuple of positional arguments, or
            a dict of keyword arguments. Only shapes and dtypes matter. None means the shapes with
            which the model was built. Functional and Sequential models know their inputs.
        strict: Not used: Keras has one way of tracing.

    Raises:
        ArgumentTypeError: `model` is no Keras model or layer.
        ArgumentValueError: The model was never built or called, or `inputs` do not fit its `call`.

    Warns:
        EventWriterWarning: A subclassed model cannot be called with symbolic tensors. Its graph is
            the tree of its layers, without edges.
    """
    where = f"graph of {type_name(model)}"
    if not isinstance(model, keras.Layer):
        raise ArgumentTypeError(
            f"{where}: expected a keras.Model or a layer of Keras, got {type_name(model)}."
        )
    function = function_of(model)
    if function is None and (not model.built or isinstance(model, keras.Sequential)):
        raise ArgumentValueError(
            f"{where}: expected a model that is built, got {model.name!r}, which was never built, "
            "so its shapes are unknown. Call model.build(input_shape), or call the model once on "
            "data."
        )
    translation = _Translation()
    if function is not None:
        translation.model(function)
        return translation.graph
    reason = translation.subclassed(model, *symbolic_inputs(model, inputs, where))
    if reason is not None:
        warn_caller(
            f"{where}: {model.name!r} cannot be called with symbolic tensors, so its graph is the "
            f"tree of its layers, without edges. {reason}."
        )
        translation = _Translation()
        translation.tree(model, ())
    return translation.graph


class _Translation:
    """Translates the nodes of Keras into a graph."""

    def __init__(self) -> None:
        self.graph = GraphBuilder()
        self._parameters: dict[int, Output] = {}

    def model(self, function: Any) -> None:
        """Add a Functional model, from its inputs to its outputs."""
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
        """Add a model by calling it. Return None, or the reason why it cannot be called."""
        if call is None:
            return "Pass its arguments as inputs"
        unbuilt = [layer.name for layer in layers_below(model) if not layer.built]
        if unbuilt:
            return f"These layers are not built: {', '.join(unbuilt)}. Call it once on data"
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
        """Add the operation and the weights of a layer, and the layers below it, without edges."""
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
        """Add the nodes between the tensors in `values` and `outputs`. Note them in `values`."""
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
        """Add one call of a layer, inside the scope of the layer."""
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
        """Add the inside of a layer that is made of layers; None if it cannot be called again."""
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
        """Return the inputs of an operation: tensors, variables, numbers and arrays."""
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
        """Add the weights of a layer that belong to none of the layers below it."""
        below = {id(weight) for child in layers_below(layer) for weight in child.weights}
        for weight in layer.weights:
            if id(weight) not in below:
                self._parameter(weight, weight.name, scope)

    def _parameters_of(self, layer: Any, scope: Scope) -> list[Output]:
        """Add all weights of a layer. Their names are their paths below the layer."""
        parameters = []
        for weight in layer.weights:
            path = weight.path.split("/")
            below = path[path.index(layer.name) + 1 :] if layer.name in path[:-1] else path[-1:]
            parameters.append(self._parameter(weight, "/".join(below), scope))
        return parameters

    def _parameter(self, weight: Any, name: str, scope: Scope) -> Output:
        """Return the node of a weight. It is added when the weight is first seen."""
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
        """Add the node of an operation. Return its outputs.

        The name is that of the class, because Keras numbers the names of operations across all
        models.
        """
        op = type(operation).__name__
        dtypes = [dtype(tensor.dtype) for tensor in outputs]
        node = self.graph.node(
            "/".join((*scope, op)),
            op,
            list(inputs),
            shapes=[tensor.shape for tensor in outputs],
            dtype=one_for_all(dtypes),
            attrs=_simple(_config(operation)) | _simple(arguments or {}),
        )
        return [node.output(k) for k in range(len(outputs))]

    def _remember(self, scope: Scope, layer: Any) -> None:
        """Tell the graph which layer a scope is."""
        trainable = bool(layer.trainable) if layer.weights else None
        shown = Layer(type(layer).__name__, _activation(layer), trainable)
        with self.graph.scope("/".join(scope), layer=shown):
            pass


def _names(structure: Any, otherwise: Sequence[str]) -> list[str]:
    """Return the keys of a dict of tensors, or other names if it is no dict."""
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
    except Exception:  # noqa: BLE001 - a layer of the user's own may have no config
        return {}
    return {
        key: value for key, value in config.items() if key not in {"name", "dtype", "trainable"}
    }


def _simple(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that a node can show."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if isinstance(value, (bool, int, float, str))
        or (isinstance(value, (list, tuple)) and all(isinstance(item, int) for item in value))
    }
