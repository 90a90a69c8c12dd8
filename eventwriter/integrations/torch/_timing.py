"""Measures the time and the memory of each node of a model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import fx
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventwriter.graphs.call_arguments import Arguments


class NodeTime(NamedTuple):
    """One node in one pass.

    Attributes:
        name: The name of the node in the graph.
        start_us: The start, in whole microseconds since 1970.
        end_us: The time when its device had finished it.
        bytes: The size of its results, without results that share memory with its inputs.
    """

    name: str
    start_us: int
    end_us: int
    bytes: int


def timed(call: Callable[[], Any], taken: Any) -> tuple[Any, tuple[int, int, int]]:
    """Return the result of `call` on the tensors in `taken`, and its start, end and bytes."""
    shared = {_memory(tensor) for tensor in _tensors(taken)}
    _synchronize()
    # perf_counter measures durations well, but its zero is at no known date.
    started, start = time.time_ns(), time.perf_counter_ns()
    value = call()
    _synchronize()
    took = time.perf_counter_ns() - start
    new = {
        memory: tensor.nbytes
        for tensor in _tensors(value)
        if (memory := _memory(tensor)) not in shared
    }
    start_us = started // 1000
    return value, (start_us, start_us + max(1, took // 1000), sum(new.values()))


def run_timed(
    module: fx.GraphModule, names: Mapping[fx.Node, str], taken: Sequence[Any]
) -> list[NodeTime]:
    """Time the nodes that have names, in the second of two passes: the first pass warms up."""
    with torch.no_grad():
        fx.Interpreter(module).run(*taken)
        pass_ = _TimedPass(module, names)
        pass_.run(*taken)
    return pass_.times


def lifted(program: torch.export.ExportedProgram, arguments: Arguments) -> list[Any]:
    """Return the inputs of a program's graph: parameters, buffers, constants, then arguments."""
    given = iter(pytree.tree_leaves(arguments))
    held = {**program.constants, **program.state_dict}
    return [
        next(given) if spec.kind is InputKind.USER_INPUT else held[spec.target]
        for spec in program.graph_signature.input_specs
    ]


class _TimedPass(fx.Interpreter):  # type: ignore[misc, unused-ignore]  # untyped without torch
    def __init__(self, module: fx.GraphModule, names: Mapping[fx.Node, str]) -> None:
        super().__init__(module)
        self.times: list[NodeTime] = []
        self._names = names

    def run_node(self, n: fx.Node) -> Any:
        if n not in self._names:
            return super().run_node(n)
        taken = [self.env[node] for node in n.all_input_nodes]
        value, measured = timed(lambda: super(_TimedPass, self).run_node(n), taken)
        self.times.append(NodeTime(self._names[n], *measured))
        return value


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _memory(tensor: torch.Tensor) -> int:
    try:
        return int(tensor.untyped_storage().data_ptr())
    except NotImplementedError:  # sparse tensors have no storage of their own
        return id(tensor)


def _synchronize() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
