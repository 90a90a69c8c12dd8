"""Translates graphs of torch.fx, which torch.export and symbolic tracing make, node by node."""

from __future__ import annotations

import inspect
import operator
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import fx
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from eventwriter.graphs.builder import Output
from eventwriter.integrations.torch._fx_nodes import (
    aliased,
    bodies_of,
    checks_in,
    has_tensors,
    named_arguments,
    names_of,
    outputs_in,
    value_of,
)
from eventwriter.integrations.torch._model import bound
from eventwriter.integrations.torch._nodes import ModelNodes, attributes, described

if TYPE_CHECKING:
    from eventwriter.graphs.call_arguments import Arguments

# `torch.no_grad()` and similar contexts are nodes with a body. The body belongs to the module.
_TRANSPARENT = "wrap_with_"
# Operations that tracing puts behind a constant.
_UNCHANGED = ("lift_fresh", "lift_fresh_copy", "detach_")
# "true_graph_0", "while_loop_body_graph_0", "submod_1"
_BODY_NAME = re.compile(r"(?:_graph)?_\d+$")


@dataclass
class Walk:
    """Translates one graph of torch.fx.

    Attributes:
        nodes: The nodes of the model, to which this adds.
        scope: The scope of nodes that name no module: a branch, or the whole model.
        module: The module that a branch belongs to.
        sources: The value of each node, with an Output instead of each tensor.
        names: The name in the graph of each node that is an operation.
    """

    nodes: ModelNodes
    scope: str = ""
    module: str = ""
    sources: dict[fx.Node, Any] = field(default_factory=dict)
    names: dict[fx.Node, str] = field(default_factory=dict)
    _written: dict[fx.Node, fx.Node] = field(default_factory=dict)
    _viewed: dict[fx.Node, fx.Node] = field(default_factory=dict)

    def run(self, graph: fx.Graph) -> Any:
        """Add every node except placeholders, which `sources` has already. Return the result."""
        unshown = checks_in(graph)
        for node in graph.nodes:
            if node.op == "output":
                return self._filled(node.args[0])
            if node in unshown or node.op == "placeholder":
                continue
            if node.op == "get_attr":
                self._attribute(node)
            elif node.op == "call_module":
                self._module(node)
            elif not self._selected(node):
                bodies = bodies_of(node)
                if bodies:
                    self._control_flow(node, bodies)
                else:
                    self._call(node)
        return None

    def values(self, graph: fx.Graph) -> Any:
        """Return a description of the graph's result."""
        return fx.node.map_arg(graph.output_node().args[0], value_of)

    def _filled(self, arguments: Any) -> Any:
        return fx.node.map_arg(arguments, self._source)

    def _source(self, node: fx.Node) -> Any:
        source = self.sources.get(node)
        return source() if isinstance(source, _Later) else source

    def _scope(self, node: fx.Node) -> str:
        return self.nodes.scope(self._path(node), (self.module, self.scope))

    def _path(self, node: fx.Node) -> str:
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        if not stack:
            return self.module
        path = str(stack[-1][0]).partition("@")[0]
        return path.removeprefix("_export_root").removeprefix(".")

    def _attribute(self, node: fx.Node) -> None:
        name = str(node.target)
        value = operator.attrgetter(name)(node.graph.owning_module)
        if isinstance(value, torch.Tensor):
            self.sources[node] = self.nodes.tensor(name) or self.nodes.constant(
                self._scope(node), name.rpartition(".")[2], value
            )

    def _module(self, node: fx.Node) -> None:
        """Add a module that was not traced into: one node, which takes its parameters."""
        path = str(node.target)
        module = node.graph.owning_module.get_submodule(path)
        arguments = self._filled((node.args, node.kwargs))
        self.sources[node] = self._add(
            node,
            self.nodes.scope(path),
            type(module).__name__,
            [*outputs_in(arguments), *self.nodes.owned_by(path)],
            {"target": f"{type(module).__module__}.{type(module).__qualname__}"},
        )

    def _call(self, node: fx.Node) -> None:
        value = value_of(node)
        if not has_tensors(value) and "value" in node.meta and node.users:
            # A number or a size that was known when the model was traced.
            self.sources[node] = value
            return
        name, target = names_of(node.target)
        arguments = self._filled((node.args, node.kwargs))
        if name in _UNCHANGED:
            self.sources[node] = arguments[0][0]
            return
        inputs = [*outputs_in(arguments), *self.order(node)]
        attrs = {"target": target, **attributes(named_arguments(node, arguments))}
        self.sources[node] = self._add(node, self._scope(node), name, inputs, attrs)
        self._note_writes(node)

    def _add(
        self, node: fx.Node, scope: str, name: str, inputs: list[Output | str], attrs: Any
    ) -> Any:
        value = self.nodes.operation(scope, name, inputs, value_of(node), attrs)
        for output in pytree.tree_leaves(value):
            if isinstance(output, Output):
                self.names[node] = output.name
                break
        return value

    def _selected(self, node: fx.Node) -> bool:
        """Return whether the node only picks one of several values. Such a node is not drawn."""
        if node.target is not operator.getitem:
            return False
        source, key = self._filled(node.args)
        if isinstance(source, Output) or not hasattr(source, "__getitem__"):
            return False
        self.sources[node] = source[key]
        return True

    def _control_flow(self, node: fx.Node, bodies: list[fx.Node]) -> None:
        """Add a branch or a loop: a scope for each graph that may run, and one node after them."""
        name, target = names_of(node.target)
        leaves = pytree.tree_leaves(node.args)
        first = min(leaves.index(body) for body in bodies)
        last = max(leaves.index(body) for body in bodies)
        before = [*leaves[:first], *leaves[first:last]]
        operands = leaves[last + 1 :]
        transparent = name.startswith(_TRANSPARENT)
        scope = self._scope(node)
        inside = self.scope if transparent else self.nodes.subscope(scope, name)
        inputs = [*outputs_in(self._filled(before))]
        result = None
        for body in bodies:
            graph = getattr(node.graph.owning_module, str(body.target)).graph
            branch = _BODY_NAME.sub("", str(body.target)).removeprefix(f"{name}_")
            walk = Walk(
                self.nodes,
                inside if transparent else f"{inside}/{branch}",
                self.module if transparent else self._path(node),
                names=self.names,
            )
            bound = walk.bind(graph, operands, self)
            result = walk.run(graph)
            inputs += [*outputs_in(result), *walk.order(graph.output_node())]
            if not bound:
                inputs += outputs_in(self._filled(operands))
        if transparent:
            self.sources[node] = result
            return
        base, _, own = inside.rpartition("/")
        self.sources[node] = self._add(
            node, base, own, inputs + self.order(node), {"target": target}
        )

    def constant(self, node: fx.Node, name: str, program: Any) -> Output:
        """Add a constant of an exported program, beside the first node that takes it."""
        user = next(iter(node.users))
        own = name.rpartition(".")[2]
        return self.nodes.constant(
            self._scope(user),
            "constant" if own.startswith("lifted_tensor") else own,
            program.constants.get(name),
        )

    def bind(self, graph: fx.Graph, operands: list[Any], outer: Walk) -> bool:
        """Give the placeholders of a body the values that the outer graph passes.

        Return whether the outer graph passes a value for each placeholder.
        """
        placeholders = [node for node in graph.nodes if node.op == "placeholder"]
        if len(operands) != len(placeholders):
            operands = [operand for operand in operands if isinstance(operand, fx.Node)]
        bound = len(operands) == len(placeholders)
        passed = outer._filled(operands) if bound else [None] * len(placeholders)
        for placeholder, source in zip(placeholders, passed, strict=True):
            self.sources[placeholder] = source
        return bound

    def order(self, node: fx.Node) -> list[Output | str]:
        """Return edges of order, from writes to the inputs of a node.

        There is no such edge from a write whose result the node takes.
        """
        found: dict[str, None] = {}
        for taken in node.all_input_nodes:
            write = self._written.get(self._base(taken))
            if write is not None and write is not taken and write in self.names:
                found[f"^{self.names[write]}"] = None
        return list(found)

    def _note_writes(self, node: fx.Node) -> None:
        """Note which nodes share memory, and which node wrote to it last."""
        for value, is_write in aliased(node):
            base = self._viewed[node] = self._base(value)
            if is_write:
                self._written[base] = node

    def _base(self, node: fx.Node) -> fx.Node:
        if node.target is operator.getitem and isinstance(node.args[0], fx.Node):
            node = node.args[0]
        return self._viewed.get(node, node)


def from_exported(nodes: ModelNodes, program: torch.export.ExportedProgram) -> dict[fx.Node, str]:
    """Add an exported program.

    Returns:
        The names in the graph of the nodes of the program.
    """
    walk = Walk(nodes)
    kinds = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
    for node in program.graph.nodes:
        if node.op != "placeholder":
            continue
        spec = kinds[node.name]
        if spec.kind is InputKind.USER_INPUT:
            walk.sources[node] = nodes.placeholder(str(node.target), value_of(node))
        elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            walk.sources[node] = _Later(partial(nodes.tensor, spec.target))
        elif spec.kind is InputKind.CONSTANT_TENSOR:
            walk.sources[node] = _Later(partial(walk.constant, node, spec.target, program))
    returned = walk.run(program.graph)
    values = walk.values(program.graph)
    shown = [
        (source, value)
        for spec, source, value in zip(
            program.graph_signature.output_specs, returned, values, strict=True
        )
        if spec.kind is OutputKind.USER_OUTPUT
    ]
    spec = program.call_spec.out_spec
    nodes.results(
        pytree.tree_unflatten([source for source, _ in shown], spec),
        pytree.tree_unflatten([value for _, value in shown], spec),
        walk.order(program.graph.output_node()),
    )
    return walk.names


class _Later:
    """A node that is added when another node first takes it."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._made: Output | None = None

    def __call__(self) -> Output | None:
        if self._made is None:
            self._made = self._make()
        return self._made


def from_symbolic(
    nodes: ModelNodes, model: torch.nn.Module, arguments: Arguments | None
) -> tuple[fx.GraphModule, dict[fx.Node, str], list[Any]]:
    """Add what torch.fx traces. If there are arguments, one run gives shapes and dtypes.

    Returns:
        The traced module, the names in the graph of its nodes, and its arguments.
    """
    values = {**_defaults(model), **(bound(model, arguments) if arguments is not None else {})}
    # A mask of None must be traced as None, because a stand-in for it would not be None.
    known = {
        name: value
        for name, value in values.items()
        if value is None or isinstance(value, (bool, int, float, str))
    }
    traced = fx.symbolic_trace(model, concrete_args=known)
    # torch.fx numbers the names of arguments that are known.
    names = list(inspect.signature(model.forward).parameters)
    taken: list[Any] = []
    if arguments is not None:
        for node, name in zip(_placeholders(traced.graph), names, strict=True):
            taken += values[name] if str(node.target).startswith("*") else [values[name]]
        Recorder(traced).run(*taken)
    walk = Walk(nodes)
    for node, name in zip(_placeholders(traced.graph), names, strict=True):
        value = known[name] if name in known else value_of(node)
        walk.sources[node] = nodes.placeholder(name, value)
    returned = walk.run(traced.graph)
    order = walk.order(traced.graph.output_node())
    nodes.results(returned, walk.values(traced.graph), order)
    return traced, walk.names, taken


def _defaults(model: torch.nn.Module) -> dict[str, Any]:
    """Return the default of each argument of `forward` that has one."""
    return {
        name: () if parameter.kind is inspect.Parameter.VAR_POSITIONAL else parameter.default
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.default is not inspect.Parameter.empty
        or parameter.kind is inspect.Parameter.VAR_POSITIONAL
    }


def _placeholders(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.op == "placeholder"]


class Recorder(fx.Interpreter):  # type: ignore[misc, unused-ignore]  # untyped without torch
    """Runs a graph and keeps the description of each node's value, as `meta["value"]`."""

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        n.meta["value"] = described(value)
        return value
