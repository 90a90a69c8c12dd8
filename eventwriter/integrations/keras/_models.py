"""What Keras knows of a model: its nodes, the layers in it, and calls with symbolic tensors.

All of Keras that has no public name is used here. `keras.utils.model_to_dot` relies on the same.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any

import keras
from keras.src.backend.common import global_state

from eventwriter.errors import ArgumentValueError
from eventwriter.graphs.call_arguments import call_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence


def function_of(layer: Any) -> Any:
    """The layer as a Functional model; None if it keeps no graph."""
    if isinstance(layer, keras.Sequential):
        return layer._functional
    is_functional = isinstance(layer, keras.Model) and hasattr(layer, "operations")
    return layer if is_functional else None


def maker(tensor: Any) -> Any:
    """The node, one call of one operation, that made a tensor; None for what is given."""
    operation, index, _ = getattr(tensor, "_keras_history", (None, 0, 0))
    return None if operation is None else operation._inbound_nodes[index]


def layers_below(layer: Any, *, recursive: bool = True) -> Iterator[Any]:
    return layer._flatten_layers(include_self=False, recursive=recursive)  # type: ignore[no-any-return]


def fresh(leaf: Any, made: dict[int, Any]) -> Any:
    """A tensor in place of a symbolic one, with its mask but unknown to what made it."""
    if not isinstance(leaf, keras.KerasTensor):
        return leaf
    if id(leaf) not in made:
        made[id(leaf)] = new = keras.KerasTensor(leaf.shape, leaf.dtype, name=leaf.name)
        mask = getattr(leaf, "_keras_mask", None)
        if mask is not None:
            new._keras_mask = fresh(mask, made)
    return made[id(leaf)]


@contextlib.contextmanager
def forgotten(layer: Any) -> Iterator[None]:
    """Calls within leave no trace: no nodes, state or losses in layers, no names given out."""
    layers = [layer, *layers_below(layer)]
    numbers = global_state.get_global_attribute("object_name_uids", {})
    kept_numbers = dict(numbers)
    kept = [
        (nodes, len(nodes))
        for below in layers
        for nodes in (below._inbound_nodes, below._outbound_nodes)
    ]
    try:
        with keras.StatelessScope():
            yield
    finally:
        for nodes, count in kept:
            del nodes[count:]
        numbers.clear()
        numbers.update(kept_numbers)


def nodes_before(outputs: Sequence[Any], given: Container[int]) -> list[Any]:
    """The nodes that lead to `outputs` from the tensors with the ids `given`, in order of need."""
    ordered: dict[int, Any] = {}
    entered = set()
    stack = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, complete = stack.pop()
        node = None if id(tensor) in given else maker(tensor)
        if node is None or id(node) in ordered:
            continue
        if complete:
            ordered[id(node)] = node
        elif id(node) not in entered:
            entered.add(id(node))
            stack.append((tensor, True))
            stack.extend((before, False) for before in reversed(node.input_tensors))
    return list(ordered.values())


def is_composed(layer: Any) -> bool:
    """Whether a layer is made of others outside of Keras, whose own are one operation each."""
    keras_own = type(layer).__module__.partition(".")[0] == "keras"
    return not keras_own and any(True for _ in layers_below(layer))


def symbolic_inputs(
    model: Any, inputs: Any, where: str
) -> tuple[dict[str, Any], Callable[[], Any] | None]:
    """Symbolic inputs by their names, and the call with them; None if nothing tells them."""
    args, kwargs = call_arguments(inputs)
    if inputs is None:
        shapes = model.get_build_config() or {}
        if "input_shape" in shapes:
            args = (from_shapes(shapes["input_shape"]),)
        else:
            for name, shape in shapes.get("shapes_dict", {}).items():
                kwargs[name.removesuffix("_shape")] = from_shapes(shape)
        if not args and not kwargs:
            return {}, None
    args, kwargs = keras.tree.map_structure(symbolic, (args, kwargs))
    signature = inspect.signature(model.call)
    try:
        arguments = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        if inputs is None:  # Keras may keep the shape of the first argument alone.
            return {}, None
        raise ArgumentValueError(
            f"{where}: inputs do not fit call{signature}: {error}. Pass one array, a tuple for "
            "several arguments, or a dict for keyword arguments"
        ) from error
    named = {
        "/".join(str(key) for key in path): tensor
        for path, tensor in keras.tree.flatten_with_path(dict(arguments))
        if isinstance(tensor, keras.KerasTensor)
    }
    return named, lambda: model.call(*args, **kwargs)


def from_shapes(shapes: Any) -> Any:
    """Symbolic tensors of the shapes that a model was built with, which tell no dtype."""
    if isinstance(shapes, dict):
        return {name: from_shapes(shape) for name, shape in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return keras.KerasTensor(tuple(shapes), keras.config.floatx(), name="input")
    return [from_shapes(shape) for shape in shapes]


def symbolic(value: Any) -> Any:
    if isinstance(value, keras.KerasTensor) or not hasattr(value, "shape"):
        return value
    # A name of its own would be one that Keras gives out.
    return keras.KerasTensor(tuple(value.shape), dtype(value.dtype), name="input")


def tensors_in(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]


def in_order(given: Any, inputs: Sequence[Any]) -> list[Any]:
    """The tensors that a nested model was called with, in the order of its own inputs."""
    names = [tensor.name for tensor in inputs]
    if isinstance(given, dict) and set(names) <= set(given):
        return [given[name] for name in names]
    return tensors_in(given)


def made_by(tensor: Any) -> str:
    """The name of the layer, or the class of the operation, that made a tensor."""
    node = maker(tensor)
    if node is None:
        return "input"
    operation = node.operation
    return str(operation.name if isinstance(operation, keras.Layer) else type(operation).__name__)


def dtype(dtype: Any) -> str:
    return str(keras.backend.standardize_dtype(dtype))
