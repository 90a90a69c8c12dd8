"""The graph of a torch model.

What is tried, in this order, until one way can read the model:

    1. torch.export            every operation, by tracing with tensors that hold no data
    2. torch.export, strict    the same by reading bytecode, if it may be (`use_strict_trace`)
    3. torch.fx                modules of torch.nn and functions; shapes from one run of that graph
    4. one forward pass        every function of torch that the model calls, in the module that
                               calls it; branches of Python are taken as these inputs have it

A warning says which it was, if it was not the first, and why. Without inputs there is torch.fx,
without shapes, and then the tree of modules.

The strict mode of export takes fewer models, is slower, and throws away what torch.compile made in
this process, which is then compiled again. So it comes second: there are models that only it takes,
such as those that assert something of their values or go through NumPy.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.integrations.torch._forward import ForwardPass
from eventwriter.integrations.torch._fx import from_exported, from_symbolic
from eventwriter.integrations.torch._model import (
    Structure,
    advice,
    bound_arguments,
    left_as_it_was,
    own_tensors,
    quiet,
    structure_of,
    structure_of_program,
)
from eventwriter.integrations.torch._nodes import ModelNodes, Tensor
from eventwriter.integrations.torch._timing import NodeTime, lifted, run_timed

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter.graphs.builder import GraphBuilder
    from eventwriter.graphs.call_arguments import Arguments

_MAX_REASON = 200


def build_graph(model: Any, inputs: Any = None, *, strict: bool = True) -> GraphBuilder:
    """The graph of a torch model.

    Modules are scopes ("layers/0" for `layers.0`), with their parameters and buffers in them, used
    or not. What is shared is there once, by the first of its names. An operation is called as in
    torch, without its namespace; its attribute `target` has all of it. What `torch.cond` and the
    like may run is a scope for each branch. Whoever reads what was written through a view comes
    after the write, by an edge of order. A model with very many modules directly in it is in one
    scope, named as its class.

    The model is left as it was; see `_model.left_as_it_was`. Its hooks do run, with tensors that
    hold no data. Inputs are not written to.

    Args:
        model: A torch.nn.Module, compiled or not, or an ExportedProgram, which needs no inputs and
            shows the sizes that were declared dynamic as unknown.
        inputs: What it is called with: a tensor, a tuple of positional arguments or a dict of
            keyword arguments, with tensors nested in dicts, lists and tuples, None, numbers and
            text. A dict that `forward` does not take as keywords is its only argument. None:
            shapes are unknown.
        strict: Whether torch.export's strict mode may be tried; see this module.

    Returns:
        The graph; inputs are "input/NAME" and results "output/NAME".

    Raises:
        ArgumentTypeError: `model` is no torch model, or cannot be called with `inputs`.
        ArgumentValueError: It has lazy parameters that have no shape yet, or fails for `inputs`.
    """
    if isinstance(model, torch.export.ExportedProgram):
        structure = structure_of_program(model)
        return _finished(structure, "Model", lambda nodes: from_exported(nodes, model))
    model = plain_module(model)
    structure = structure_of(model)
    if inputs is None:
        graph, used = _without_inputs(model, structure)
        warn_caller(
            f"{type_name(model)}: without inputs, the graph has no shapes and is {used}. "
            f"{advice(model)}"
        )
        return graph
    return read(model, structure, inputs, strict=strict)


def read(
    model: torch.nn.Module,
    structure: Structure,
    inputs: Any,
    *,
    strict: bool,
    times: list[NodeTime] | None = None,
) -> GraphBuilder:
    """The graph, read in the first way that works; with the nodes' times if they are asked for."""
    name = type(model).__name__
    arguments = bound_arguments(model, inputs)
    reasons: dict[str, Exception] = {}
    for way, read in _ways(model, structure, times, strict=strict).items():
        try:
            with left_as_it_was(model), quiet(), torch.inference_mode(mode=False):
                graph = _finished(structure, name, partial(read, arguments=arguments))
        except Exception as error:  # noqa: BLE001  # whatever a model or a tracer raises
            reasons[way] = error
            continue
        if reasons:
            warn_caller(f"{type_name(model)}: the graph is from {way}, since {_told(reasons)}")
        return graph
    last = list(reasons.values())[-1]
    kind = ArgumentTypeError if isinstance(last, TypeError) else ArgumentValueError
    raise kind(
        f"{type_name(model)}: its graph could not be read: {_told(reasons)}. {advice(model)}"
    ) from last


def _ways(
    model: torch.nn.Module, structure: Structure, times: list[NodeTime] | None, *, strict: bool
) -> dict[str, Callable[..., None]]:
    """The ways to read a model that is called with inputs, in the order in which they are tried."""

    def exported(nodes: ModelNodes, arguments: Arguments, *, strict: bool = False) -> None:
        args, kwargs = own_tensors(arguments)
        # Without gradients, torch runs whole layers of a transformer as one operation.
        with torch.enable_grad():
            program = torch.export.export(model, args, kwargs, strict=strict)
        names = from_exported(nodes, program)
        if times is not None:
            taken = lifted(program, own_tensors(arguments))
            times[:] = run_timed(program.graph_module, names, taken)

    def traced(nodes: ModelNodes, arguments: Arguments) -> None:
        with torch.no_grad():
            module, names, taken = from_symbolic(nodes, model, own_tensors(arguments))
        if times is not None:
            times[:] = run_timed(module, names, taken)

    def run(nodes: ModelNodes, arguments: Arguments) -> None:
        watched = ForwardPass(nodes, model, structure)
        watched.run(own_tensors(arguments))
        if times is not None:
            times[:] = watched.times

    ways: dict[str, Callable[..., None]] = {"torch.export": exported}
    if strict:
        ways["torch.export, strict"] = partial(exported, strict=True)
    return ways | {"torch.fx": traced, "one forward pass": run}


def _without_inputs(model: torch.nn.Module, structure: Structure) -> tuple[GraphBuilder, str]:
    """The graph, and what it was read from."""
    name = type(model).__name__
    try:
        with left_as_it_was(model), quiet():
            graph = _finished(structure, name, lambda nodes: from_symbolic(nodes, model, None))
    except Exception as error:  # noqa: BLE001  # whatever a model or torch.fx raises
        reason = _told({"torch.fx": error})
        graph = _finished(structure, name, lambda nodes: _tree(nodes, model))
        return graph, f"the tree of modules, since {reason}"
    return graph, "from torch.fx"


def _tree(nodes: ModelNodes, model: torch.nn.Module) -> None:
    """A scope for each module, and a node for each that has none within."""
    for name, module in model.named_modules():
        scope = nodes.scope(name)
        if not any(True for _ in module.children()):
            class_name = type(module).__name__
            nodes.operation(scope, class_name, nodes.owned_by(name), Tensor(), {})


def _finished(
    structure: Structure, class_name: str, read: Callable[[ModelNodes], object]
) -> GraphBuilder:
    nodes = ModelNodes(structure, class_name)
    read(nodes)
    nodes.unused_tensors()
    return nodes.graph


def plain_module(model: Any) -> torch.nn.Module:
    """Return the module itself, without what torch.compile puts around it.

    Raises:
        ArgumentTypeError: `model` is no torch.nn.Module.
    """
    if not isinstance(model, torch.nn.Module):
        raise ArgumentTypeError(
            f"model: expected a torch.nn.Module or an ExportedProgram, got a {type_name(model)}."
        )
    while "_orig_mod" in model._modules:
        model = model._modules["_orig_mod"]
    return model


def _told(reasons: dict[str, Exception]) -> str:
    """Each way that failed, with its reason in one line."""
    return "; ".join(f"{way} failed ({_reason(error)})" for way, error in reasons.items())


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 3]}..."
