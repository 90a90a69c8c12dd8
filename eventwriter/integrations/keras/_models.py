"""Reads what Keras knows of a model: its nodes, its layers, and calls with symbolic tensors.

Only this file uses names of Keras that are not public. `keras.utils.model_to_dot` uses the same.
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
    """Return the layer as a Functional model; None if it keeps no graph."""
    if isinstance(layer, keras.Sequential):
        return layer._functional
    is_functional = isinstance(layer, keras.Model) and hasattr(layer, "operations")
    return layer if is_functional else None


def maker(tensor: Any) -> Any:
    """Return the node that made a tensor: one call of one operation. None for an input."""
    operation, index, _ = getattr(tensor, "_keras_history", (None, 0, 0))
    return None if operation is None else operation._inbound_nodes[index]


def layers_below(layer: Any, *, recursive: bool = True) -> Iterator[Any]:
    """Return the layers inside a layer, at any depth or only directly inside."""
    return layer._flatten_layers(include_self=False, recursive=recursive)  # type: ignore[no-any-return]


def fresh(leaf: Any, made: dict[int, Any]) -> Any:
    """Return a new symbolic tensor for a symbolic tensor: with its mask, but with no maker."""
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
    """Undo what calls inside leave behind: nodes, state and losses of layers, names given out."""
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
    """Return the nodes between given tensors and `outputs`, each after the nodes that it needs.

    Args:
        outputs: The tensors to reach.
        given: The ids of the tensors to start from.
    """
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
    """Return whether a layer is made of other layers. A layer of Keras itself is one operation."""
    keras_own = type(layer).__module__.partition(".")[0] == "keras"
    return not keras_own and any(True for _ in layers_below(layer))


def symbolic_inputs(
    model: Any, inputs: Any, where: str
) -> tuple[dict[str, Any], Callable[[], Any] | None]:
    """Return symbolic inputs by name, and the call with them; None if the inputs are unknown."""
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
        if inputs is None:  # Keras may keep the shape of the first argument only
            return {}, None
        raise ArgumentValueError(
            f"{where}: expected inputs for call{signature}: {error}. Pass one array, a tuple of "
            "positional arguments, or a dict of keyword arguments."
        ) from error
    named = {
        "/".join(str(key) for key in path): tensor
        for path, tensor in keras.tree.flatten_with_path(dict(arguments))
        if isinstance(tensor, keras.KerasTensor)
    }
    return named, lambda: model.call(*args, **kwargs)


def from_shapes(shapes: Any) -> Any:
    """Return symbolic tensors for the shapes with which a model was built. No dtypes are kept."""
    if isinstance(shapes, dict):
        return {name: from_shapes(shape) for name, shape in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return keras.KerasTensor(tuple(shapes), keras.config.floatx(), name="input")
    return [from_shapes(shape) for shape in shapes]


def symbolic(value: Any) -> Any:
    """Return a symbolic tensor for an array, and any other value unchanged."""
    if isinstance(value, keras.KerasTensor) or not hasattr(value, "shape"):
        return value
    # Without a name, Keras would give out one of its numbered names.
    return keras.KerasTensor(tuple(value.shape), dtype(value.dtype), name="input")


def tensors_in(structure: Any) -> list[Any]:
    """Return the symbolic tensors in a nested structure."""
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]


def in_order(given: Any, inputs: Sequence[Any]) -> list[Any]:
    """Return the tensors with which a nested model was called, in the order of its inputs."""
    names = [tensor.name for tensor in inputs]
    if isinstance(given, dict) and set(names) <= set(given):
        return [given[name] for name in names]
    return tensors_in(given)


def made_by(tensor: Any) -> str:
    """Return the name of the layer, or the class of the operation, that made a tensor."""
    node = maker(tensor)
    if node is None:
        return "input"
    operation = node.operation
    return str(operation.name if isinstance(operation, keras.Layer) else type(operation).__name__)


def dtype(dtype: Any) -> str:
    """Return the name of a dtype of any backend."""
    return str(keras.backend.standardize_dtype(dtype))
