"""The nodes that a torch model becomes: parameters, operations, inputs, results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.builder import GraphBuilder, Output
from eventwriter.graphs.limits import MAX_BOXES, MAX_SHOWN_ELEMENTS
from eventwriter.graphs.unique_names import UniqueNames
from eventwriter.integrations.torch._model import named_leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventwriter.graphs.attributes import Shape
    from eventwriter.integrations.torch._model import Structure

# A node says these of its result.
_OF_THE_RESULT = ("dtype", "device", "layout", "pin_memory")


@dataclass(frozen=True)
class Tensor:
    """What a graph shows of a tensor, or of a number that is only known when the model runs.

    Attributes:
        shape: None for a size that is only known when the model runs, or for all of it.
        dtype: None where it is unknown.
        device: "" where it is unknown.
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
    """A value with a `Tensor` for each tensor and symbolic number in it; the rest as it is."""
    return pytree.tree_map(_described_leaf, value)


def _described_leaf(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor):
        shape = [size if isinstance(size, int) else None for size in leaf.shape]
        return Tensor(shape, leaf.dtype, str(leaf.device))
    return _SYMBOLS.get(type(leaf), leaf)


class ModelNodes:
    """Puts a model's nodes into a graph, each in the scope of its module.

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
        """The scope of a module, "layers/0" for "layers.0", said to be a layer.

        Args:
            module: Any name that the module has.
            within: A module and a scope in it (a branch) in which modules have scopes again.
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
        """A scope of its own for one call of a branch or loop."""
        return self._subscopes.claim(_join(scope, name))

    def tensor(self, name: str) -> Output | None:
        """The node of a parameter or buffer, added when it is first asked for; None for no such."""
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
        """Nodes of all parameters and buffers of a module."""
        module = self._structure.first_names.get(module, module)
        return [self._tensor(name) for name in self._structure.owned_by(module)]

    def _tensor(self, name: str) -> Output:
        found = self.tensor(name)
        assert found is not None
        return found

    def unused_tensors(self) -> None:
        """Adds the parameters and buffers that no operation took."""
        self.owned_by("")

    def constant(self, scope: str, name: str, value: torch.Tensor | None) -> Output:
        """A tensor that is neither input nor parameter; with its value if it is small."""
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
        """Placeholders for each tensor of a described value; the rest as it is."""
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
        """A node for each tensor that the model returns.

        Args:
            sources: What was returned, with an Output in the place of each tensor.
            values: The same, described.
            after: What has to be done before the model returns, as "^name".
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
        """A node that does something; its value with an Output in the place of each tensor.

        Args:
            scope: Where it stands.
            name: Of the operation; the node is called so as well.
            inputs: What it takes; a source that comes twice gives two edges.
            value: What it returns, described.
            attrs: Its other arguments.
        """
        leaves, spec = pytree.tree_flatten(value)
        infos = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        dtypes = {info.dtype for info in infos}
        known = None not in dtypes and dtypes
        output = self.graph.node(
            _join(scope, name),
            name,
            list(inputs),
            dtype=(dtypes.pop() if len(dtypes) == 1 else [info.dtype for info in infos])
            if known
            else None,
            device=infos[0].device if infos else "",
            attrs=attrs,
            shapes=[info.shape for info in infos],
        )
        numbered = iter(range(len(infos)))
        found = [
            output.output(next(numbered)) if isinstance(leaf, Tensor) else leaf for leaf in leaves
        ]
        # Nothing comes out of it, yet its order may count.
        return pytree.tree_unflatten(found, spec) if infos else output


def attributes(named: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as attributes: numbers and text as they are, other things as they print."""
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
    # Values of the tracer's stand-ins for tensors, and of sparse ones, cannot be had.
    if value is None or value.numel() > MAX_SHOWN_ELEMENTS:
        return None
    try:
        return as_numpy(value, "constant")
    except ArgumentTypeError:
        return None
