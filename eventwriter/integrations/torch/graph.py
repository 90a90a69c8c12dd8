"""The graph of a torch model.

These ways of reading a model are tried, in this order, until one works:

    1. torch.export            every operation, traced with tensors that hold no data
    2. torch.export, strict    the same, traced by reading bytecode, if `use_strict_trace` is set
    3. torch.fx                modules of torch.nn and functions; shapes from one run of that graph
    4. one forward pass        every function of torch that the model calls, in the module that
                               calls it; the inputs decide which branches run

If the first way did not work, a warning says which one did, and why the others failed. Without
inputs, torch.fx is tried, which gives no shapes. If it fails, the graph is the tree of modules.

The strict mode of export takes fewer models and is slower. It also throws away what torch.compile
made in this process, which is then compiled again. But some models can be read only in strict mode,
such as models that assert something about values or that use NumPy. So it comes second.
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
from eventwriter.integrations.torch._wrappers import inside, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter.graphs.builder import GraphBuilder
    from eventwriter.graphs.call_arguments import Arguments

_MAX_REASON = 200


def build_graph(model: Any, inputs: Any = None, *, strict: bool = True) -> GraphBuilder:
    """Return the graph of a torch model.

    Modules are scopes ("layers/0" for `layers.0`) with their parameters and buffers, used or not. A
    shared module or parameter is there once, under the first of its names. An operation has its
    name in torch without the namespace. Its attribute `target` is the full name. Each branch of
    `torch.cond`, and the body of a loop, is a scope. A node that reads memory after another node
    wrote to it through a view has an edge of order from that node. A model with very many modules
    directly in it is in one scope, named by its class.

    The model is not changed: see `_model.left_as_it_was`. Its hooks run, with tensors that hold no
    data. Inputs are not written to.

    Args:
        model: A torch.nn.Module or an ExportedProgram. What torch.compile and DataParallel put
            around a module is left out. An ExportedProgram needs no inputs. Its dynamic sizes are
            shown as unknown.
        inputs: The arguments of the model: a tensor, a tuple of positional arguments or a dict of
            keyword arguments. Tensors may be nested in dicts, lists and tuples, beside None,
            numbers and text. A dict that `forward` does not take as keywords is its only argument.
            None means that shapes are unknown.
        strict: Whether the strict mode of torch.export may be tried; see this module.

    Returns:
        The graph. Inputs are "input/NAME", and results are "output/NAME".

    Raises:
        ArgumentTypeError: `model` is no torch model, or cannot be called with `inputs`.
        ArgumentValueError: The model has lazy parameters without a shape, or fails for `inputs`.
    """
    if isinstance(model, torch.export.ExportedProgram):
        structure = structure_of_program(model)
        return _finished(structure, "Model", lambda nodes: from_exported(nodes, model))
    model = plain_module(model)
    with unwrapped(model):
        structure = structure_of(model)
        if inputs is not None:
            return read(model, structure, inputs, strict=strict)
        graph, used = _without_inputs(model, structure)
        warn_caller(
            f"{type_name(model)}: without inputs, the graph has no shapes and is {used}. "
            f"{advice(model)}"
        )
        return graph


def read(
    model: torch.nn.Module,
    structure: Structure,
    inputs: Any,
    *,
    strict: bool,
    times: list[NodeTime] | None = None,
) -> GraphBuilder:
    """Return the graph, read in the first way that works. Put the times of its nodes in `times`."""
    name = type(model).__name__
    arguments = bound_arguments(model, inputs)
    reasons: dict[str, Exception] = {}
    for way, read in _ways(model, structure, times, strict=strict).items():
        try:
            with left_as_it_was(model), quiet(), torch.inference_mode(mode=False):
                graph = _finished(structure, name, partial(read, arguments=arguments))
        except Exception as error:  # noqa: BLE001  # any exception of a model or a tracer
            reasons[way] = error
            continue
        if reasons:
            warn_caller(
                f"{type_name(model)}: the graph is from {way}, because {_failures(reasons)}"
            )
        return graph
    last = list(reasons.values())[-1]
    kind = ArgumentTypeError if isinstance(last, TypeError) else ArgumentValueError
    raise kind(
        f"{type_name(model)}: expected a model whose graph can be read, but {_failures(reasons)}. "
        f"{advice(model)}"
    ) from last


def _ways(
    model: torch.nn.Module, structure: Structure, times: list[NodeTime] | None, *, strict: bool
) -> dict[str, Callable[..., None]]:
    """Return the ways to read a model with inputs, in the order in which they are tried."""

    def exported(nodes: ModelNodes, arguments: Arguments, *, strict: bool = False) -> None:
        args, kwargs = own_tensors(arguments)
        # Without gradients, torch would run a whole layer of a transformer as one operation.
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
    """Return the graph, and from what it was read."""
    name = type(model).__name__
    try:
        with left_as_it_was(model), quiet():
            graph = _finished(structure, name, lambda nodes: from_symbolic(nodes, model, None))
    except Exception as error:  # noqa: BLE001  # any exception of a model or torch.fx
        reason = _failures({"torch.fx": error})
        graph = _finished(structure, name, lambda nodes: _tree(nodes, model))
        return graph, f"the tree of modules, because {reason}"
    return graph, "from torch.fx"


def _tree(nodes: ModelNodes, model: torch.nn.Module) -> None:
    """Add a scope for each module, and a node for each module that contains no other."""
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
    """Return the module itself, without what torch.compile or DataParallel puts around it.

    Raises:
        ArgumentTypeError: `model` is no torch.nn.Module.
    """
    if not isinstance(model, torch.nn.Module):
        raise ArgumentTypeError(
            f"model: expected a torch.nn.Module or an ExportedProgram, got {type_name(model)}."
        )
    return inside(model)


def _failures(reasons: dict[str, Exception]) -> str:
    """Return each way that failed, with its reason, in one line."""
    return "; ".join(f"{way} failed ({_reason(error)})" for way, error in reasons.items())


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 3]}..."
