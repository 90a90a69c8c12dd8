"""Facts about one node of a graph of torch.fx."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from eventwriter.graphs.builder import Output
from eventwriter.integrations.torch._nodes import Tensor, described

if TYPE_CHECKING:
    from collections.abc import Mapping

# Checks that tracing adds. The model does not compute them.
_CHECK = re.compile(r"_assert|sym_constrain_range|_check")


def aliased(node: fx.Node) -> list[tuple[fx.Node, bool]]:
    """Return the arguments that share memory with the result, and whether each is written to."""
    schema = getattr(node.target, "_schema", None)
    if schema is not None:
        return [
            (value, argument.alias_info.is_write)
            for argument, value in zip(schema.arguments, node.args, strict=False)
            if argument.alias_info is not None and isinstance(value, fx.Node)
        ]
    name, _ = names_of(node.target)
    writes = name == "setitem" or (name.endswith("_") and not name.endswith("__"))
    return [(node.args[0], True)] if writes and isinstance(node.args[0], fx.Node) else []


def value_of(node: fx.Node) -> Any:
    """Return the description of a node's value, from torch.export or from a recorded run."""
    meta: Mapping[str, Any] = node.meta
    if "value" not in meta and "val" in meta:
        node.meta["value"] = described(meta["val"])
    return meta.get("value", Tensor())


def has_tensors(value: Any) -> bool:
    """Return whether a described value contains a tensor."""
    return any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(value))


def outputs_in(sources: Any) -> list[Output | str]:
    """Return the outputs of nodes in a nested value."""
    return [leaf for leaf in pytree.tree_leaves(sources) if isinstance(leaf, Output)]


def bodies_of(node: fx.Node) -> list[fx.Node]:
    """Return the graphs that a node may run: the branches of `torch.cond`, the body of a loop."""
    return [
        taken
        for taken in node.all_input_nodes
        if taken.op == "get_attr"
        and isinstance(getattr(node.graph.owning_module, str(taken.target), None), fx.GraphModule)
    ]


def checks_in(graph: fx.Graph) -> set[fx.Node]:
    """Return the checks that tracing added, and the numbers that are computed only for them."""
    checks: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if node.op in ("placeholder", "output", "get_attr"):
            continue
        only_checked = node.users and checks.issuperset(node.users)
        if _CHECK.match(names_of(node.target)[0]) or (
            only_checked and not isinstance(node.meta.get("val"), torch.Tensor)
        ):
            checks.add(node)
    return checks


def names_of(target: Any) -> tuple[str, str]:
    """Return the short and the full name of an operation: ("conv2d", "aten.conv2d.default")."""
    if isinstance(target, str):
        return target, f"torch.Tensor.{target}"
    packet = getattr(target, "overloadpacket", target)
    name = str(getattr(packet, "__name__", type(target).__name__))
    if hasattr(target, "_schema") or isinstance(target, torch._ops.HigherOrderOperator):
        return name, str(target)
    return name, f"{getattr(target, '__module__', None) or 'torch'}.{name}"


def named_arguments(node: fx.Node, filled: tuple[Any, Any]) -> dict[str, Any]:
    """Return the arguments that are no tensors, by their names in the operation."""
    args, kwargs = filled
    schema = getattr(node.target, "_schema", None)
    known = [argument.name for argument in schema.arguments] if schema else []
    named = {known[k] if k < len(known) else f"argument_{k}": value for k, value in enumerate(args)}
    named.update(kwargs)
    return {name: value for name, value in named.items() if not outputs_in(value)}
