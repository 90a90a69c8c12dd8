"""How long each node of a model takes, and how much memory it gives out."""

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
        name: As in the graph.
        start_us: When it started, in whole microseconds since the epoch.
        end_us: When its device was done with it.
        bytes: Of the tensors that it gave, without those that share memory with what it took.
    """

    name: str
    start_us: int
    end_us: int
    bytes: int


def timed(call: Callable[[], Any], taken: Any) -> tuple[Any, tuple[int, int, int]]:
    """What `call` gives for the tensors in `taken`; its start, end and bytes as in `NodeTime`."""
    shared = {_memory(tensor) for tensor in _tensors(taken)}
    _synchronize()
    # The clock that measures has no date.
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
    """Times the nodes that have names, in the second of two passes: the first one warms up."""
    with torch.no_grad():
        fx.Interpreter(module).run(*taken)
        pass_ = _TimedPass(module, names)
        pass_.run(*taken)
    return pass_.times


def lifted(program: torch.export.ExportedProgram, arguments: Arguments) -> list[Any]:
    """What the graph of a program takes: parameters, buffers, constants, then the arguments."""
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
    except NotImplementedError:  # Sparse tensors have no storage of their own.
        return id(tensor)


def _synchronize() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
