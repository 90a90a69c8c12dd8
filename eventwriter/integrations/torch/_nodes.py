"""Adds the nodes of a torch model to a graph: parameters, operations, inputs, results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.attributes import one_for_all
from eventwriter.graphs.builder import GraphBuilder, Output
from eventwriter.graphs.limits import MAX_BOXES, MAX_SHOWN_ELEMENTS
from eventwriter.graphs.unique_names import UniqueNames
from eventwriter.integrations.torch._model import named_leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventwriter.graphs.attributes import Shape
    from eventwriter.integrations.torch._model import Structure

# Arguments that describe the result. The node shows these of its result.
_OF_THE_RESULT = ("dtype", "device", "layout", "pin_memory")


@dataclass(frozen=True)
class Tensor:
    """Describes a tensor, or a number that is only known when the model runs.

    Attributes:
        shape: The shape. A size of None is only known when the model runs. None means unknown.
        dtype: The dtype, or None if unknown.
        device: The device, or "" if unknown.
    """

    shape: Shape = None
    dtype: Any = None
    device: str = ""


_SYMBOLS = {
    torch.SymInt: Tensor((), torch.int64),
    torch.SymFloat: Tensor((), torch.float64),
    torch.SymBool: Tensor((), torch.bool),
}


def described(value: Any) -> Any:
    """Return a value with a `Tensor` for each tensor and each symbolic number in it."""
    return pytree.tree_map(_described_leaf, value)


def _described_leaf(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        shape = [size if isinstance(size, int) else None for size in leaf.shape]
        return Tensor(shape, leaf.dtype, str(leaf.device))
    return _SYMBOLS.get(type(leaf), leaf)


class ModelNodes:
    """Adds the nodes of a model to a graph, each in the scope of its module.

    Args:
        structure: The parts of the model.
        class_name: The class of the model. It is the scope of everything if the model has too many
            modules directly in it for the page.

    Attributes:
        graph: The graph so far.
    """

    def __init__(self, structure: Structure, class_name: str) -> None:
        self.graph = GraphBuilder()
        self._structure = structure
        children = {name.partition(".")[0] for name in structure.layers if name}
        self._root = class_name if len(children) > MAX_BOXES else ""
        self._entered: dict[str, str] = {}
        self._tensors: dict[str, Output] = {}
        self._subscopes = UniqueNames()

    def scope(self, module: str, within: tuple[str, str] = ("", "")) -> str:
        """Return the scope of a module, such as "layers/0" for "layers.0", and note the layer.

        Args:
            module: Any of the names of the module.
            within: A module and a scope in it, such as a branch, in which modules have scopes of
                their own again.
        """
        outer, inside = within
        module = self._structure.first_names.get(module, module)
        if inside:
            module = "" if module == outer else module.removeprefix(f"{outer}.")
        else:
            inside, outer = self._root, ""
        key = f"{inside}:{module}"
        if key not in self._entered:
            self._entered[key] = self._enter(module, inside, outer)
        return self._entered[key]

    def _enter(self, module: str, inside: str, outer: str) -> str:
        scope, path = inside, outer
        for part in module.split(".") if module else ():
            scope = f"{scope}/{part}" if scope else part
            path = f"{path}.{part}" if path else part
            with self.graph.scope(scope, layer=self._structure.layers.get(path)):
                pass
        return scope

    def subscope(self, scope: str, name: str) -> str:
        """Return a new scope for one call of a branch or loop."""
        return self._subscopes.claim(_join(scope, name))

    def tensor(self, name: str) -> Output | None:
        """Return the node of a parameter or buffer, added when first needed. None if unknown."""
        structure = self._structure
        name = structure.first_names.get(name, name)
        if name not in self._tensors:
            kind = "Parameter" if name in structure.parameters else "Buffer"
            value = structure.parameters.get(name, structure.buffers.get(name))
            if value is None:
                return None
            module, _, own = name.rpartition(".")
            info = described(value)
            self._tensors[name] = self.graph.node(
                _join(self.scope(module), own),
                kind,
                shape=info.shape,
                dtype=info.dtype,
                device=info.device,
                attrs={"trainable": value.requires_grad},
            )
        return self._tensors[name]

    def owned_by(self, module: str) -> list[Output]:
        """Return the nodes of all parameters and buffers of a module."""
        module = self._structure.first_names.get(module, module)
        return [self._tensor(name) for name in self._structure.owned_by(module)]

    def _tensor(self, name: str) -> Output:
        found = self.tensor(name)
        assert found is not None
        return found

    def unused_tensors(self) -> None:
        """Add the parameters and buffers that no operation took."""
        self.owned_by("")

    def constant(self, scope: str, name: str, value: torch.Tensor | None) -> Output:
        """Add a tensor that is neither input nor parameter, with its value if it is small."""
        info = described(value) if value is not None else Tensor()
        return self.graph.node(
            _join(scope, name),
            "Const",
            shape=info.shape,
            dtype=info.dtype,
            device=info.device,
            attrs={"value": _small_value(value)},
        )

    def placeholder(self, name: str, value: Any) -> Any:
        """Add a placeholder for each tensor of a described value. Return the value with them."""
        leaves, spec = pytree.tree_flatten(value)
        names = [leaf_name for leaf_name, _ in named_leaves(value, name)]
        found = [
            self.graph.placeholder(
                f"input/{leaf_name}", shape=leaf.shape, dtype=leaf.dtype, device=leaf.device
            )
            if isinstance(leaf, Tensor)
            else leaf
            for leaf_name, leaf in zip(names, leaves, strict=True)
        ]
        return pytree.tree_unflatten(found, spec)

    def results(self, sources: Any, values: Any, after: Iterable[Output | str] = ()) -> None:
        """Add a node for each tensor that the model returns.

        Args:
            sources: The returned value, with an Output instead of each tensor.
            values: The returned value, described.
            after: Nodes that must run before the model returns, as "^name".
        """
        infos = pytree.tree_leaves(values)
        for (name, source), info in zip(named_leaves(sources), infos, strict=True):
            if isinstance(source, Output):
                self.graph.node(
                    f"output/{name or 0}",
                    "Output",
                    [source, *after],
                    shape=info.shape,
                    dtype=info.dtype,
                    device=info.device,
                )

    def operation(
        self,
        scope: str,
        name: str,
        inputs: Sequence[Output | str],
        value: Any,
        attrs: Mapping[str, Any],
    ) -> Any:
        """Add the node of an operation.

        Args:
            scope: The scope of the node.
            name: The name of the operation, and of the node.
            inputs: The inputs of the node. A source that comes twice gives two edges.
            value: The result of the operation, described.
            attrs: The other arguments of the operation.

        Returns:
            The result, with an Output instead of each tensor. Of an operation without a result, the
            node.
        """
        leaves, spec = pytree.tree_flatten(value)
        infos = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        output = self.graph.node(
            _join(scope, name),
            name,
            list(inputs),
            dtype=one_for_all([info.dtype for info in infos]),
            device=infos[0].device if infos else "",
            attrs=attrs,
            shapes=[info.shape for info in infos],
        )
        numbered = iter(range(len(infos)))
        found = [
            output.output(next(numbered)) if isinstance(leaf, Tensor) else leaf for leaf in leaves
        ]
        # An operation without a result may still have to run before another.
        return pytree.tree_unflatten(found, spec) if infos else output


def attributes(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as attributes: numbers and text unchanged, other values as text."""
    return {
        name: value if isinstance(value, (bool, int, float, str)) else _printed(value)
        for name, value in named.items()
        if value is not None and name not in _OF_THE_RESULT
    }


def _printed(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and all(type(item) in (int, float) for item in value):
        return list(value)
    return str(value)


def _join(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name


def _small_value(value: torch.Tensor | None) -> Any:
    # Stand-ins of the tracer have no values, and sparse tensors cannot be converted.
    if value is None or value.numel() > MAX_SHOWN_ELEMENTS:
        return None
    try:
        return as_numpy(value, "constant")
    except ArgumentTypeError:
        return None
