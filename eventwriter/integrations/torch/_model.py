"""Prepares a torch model for reading: its arguments, its names, and how it is restored."""

from __future__ import annotations

import copy
import inspect
import io
import logging
import operator
import random
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import torch
from torch.utils import _pytree as pytree

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.builder import Layer
from eventwriter.integrations._paths import path_parts

if TYPE_CHECKING:
    from eventwriter.graphs.call_arguments import Arguments


def bound_arguments(model: torch.nn.Module, inputs: Any) -> Arguments:
    """Return `inputs` as positional and keyword arguments, with a tensor of its own for each.

    A tensor that was given twice becomes two tensors that share the memory of the caller's tensor.
    torch.export would take both for the last one, and the first input would have no edges.

    Args:
        model: The model. Its `forward` decides which meaning of `inputs` is right.
        inputs: A tuple means positional arguments. A list means the same, or one argument. A dict
            means keyword arguments, or one argument. Any other value is one argument.

    Raises:
        ArgumentTypeError: `forward` accepts none of these meanings.
    """
    readings: list[Arguments] = [((inputs,), {})]
    if isinstance(inputs, Mapping):
        keywords = {str(key): value for key, value in inputs.items()}
        readings.insert(0, ((), keywords))
    elif isinstance(inputs, (list, tuple)) and not hasattr(inputs, "_fields"):
        # A tuple has only this meaning. Otherwise nobody would notice a missing argument.
        readings = [(tuple(inputs), {}), *readings[: isinstance(inputs, list)]]
    signature = forward_signature(model)
    reasons = [_refusal(signature, reading) for reading in readings]
    if all(reasons):
        raise ArgumentTypeError(
            f"{type_name(model)}: expected inputs for its forward, got "
            f"{type_name(inputs)} ({reasons[0]}). {advice(model)}"
        )
    own: Arguments = pytree.tree_map_only(torch.Tensor, _alias, readings[reasons.index("")])
    return own


def _refusal(signature: inspect.Signature | None, arguments: Arguments) -> str:
    """Return why a function with this signature cannot be called so; "" if it can."""
    try:
        if signature is not None:
            signature.bind(*arguments[0], **arguments[1])
    except TypeError as error:
        return str(error)
    return ""


def advice(model: torch.nn.Module) -> str:
    """Return how inputs are passed, for the end of a message."""
    return (
        f"Pass input_to_model for forward{forward_signature(model) or ''}: one tensor, a tuple of "
        "positional arguments, or a dict of keyword arguments."
    )


def forward_signature(model: torch.nn.Module) -> inspect.Signature | None:
    """Return the signature of `forward`; None for TorchScript, where only the call can tell."""
    try:
        return inspect.signature(model.forward)
    except (TypeError, ValueError):
        return None


def bound(model: torch.nn.Module, arguments: Arguments) -> dict[str, Any]:
    """Return the arguments by their names in `forward`, with `*args` and `**kwargs`."""
    args, kwargs = arguments
    signature = forward_signature(model)
    if signature is None:
        return {"args": args, "kwargs": kwargs}
    return dict(signature.bind(*args, **kwargs).arguments)


def named_leaves(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of nested containers, with their keys joined: ("opts_b_0", tensor)."""
    leaves, _ = pytree.tree_flatten_with_path(tree)
    return [("_".join([name, *path_parts(path)]).strip("_"), leaf) for path, leaf in leaves]


def _alias(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


def own_tensors(arguments: Arguments) -> Arguments:
    """Return the arguments with copies of their tensors, for a pass that may write to them."""
    copies: Arguments = pytree.tree_map_only(torch.Tensor, torch.clone, arguments)
    return copies


@dataclass(frozen=True)
class Structure:
    """The parts of a model, by their names in the model.

    A shared part has several names. It is listed under the first of them.

    Attributes:
        parameters: Parameters by name: "layers.0.weight".
        buffers: Buffers by name.
        layers: Descriptions of modules by name: "layers.0".
        first_names: The first name of a shared part, by each of its other names.
    """

    parameters: dict[str, torch.Tensor]
    buffers: dict[str, torch.Tensor]
    layers: dict[str, Layer]
    first_names: dict[str, str]

    def owned_by(self, module: str) -> list[str]:
        """Return the parameters, then the buffers, of a module and of the modules in it."""
        prefix = f"{module}." if module else ""
        return [name for name in [*self.parameters, *self.buffers] if name.startswith(prefix)]


def structure_of(model: torch.nn.Module) -> Structure:
    """Return the structure of a module.

    Raises:
        ArgumentValueError: It has lazy parameters, which have no shape before the first call.
    """
    lazy = [
        name
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        if torch.nn.parameter.is_lazy(tensor)
    ]
    if lazy:
        raise ArgumentValueError(
            f"{type_name(model)}: expected parameters with shapes, got {lazy[0]!r}, which has no "
            "shape yet: a lazy module gets its shapes in the first call. First call the model once "
            "with real inputs."
        )
    first_names: dict[str, str] = {}
    parameters = _unique(model.named_parameters(remove_duplicate=False), first_names)
    buffers = _unique(model.named_buffers(remove_duplicate=False), first_names)
    modules = _unique(model.named_modules(remove_duplicate=False), first_names)
    trainable = _trainable(model.named_parameters(remove_duplicate=False))
    layers = {
        name: Layer(type(module).__name__, _activation(module), trainable.get(name))
        for name, module in modules.items()
    }
    return Structure(parameters, buffers, layers, first_names)


def structure_of_program(program: torch.export.ExportedProgram) -> Structure:
    """Return the structure of an exported program, which keeps names and classes of modules."""
    first_names: dict[str, str] = {}
    parameters = _unique(program.named_parameters(), first_names)
    buffers = _unique(program.named_buffers(), first_names)
    trainable = _trainable(program.named_parameters())
    classes: dict[str, str] = {}
    for node in program.graph.nodes:
        for path, class_name in (node.meta.get("nn_module_stack") or {}).values():
            classes.setdefault(path.partition("@")[0], str(class_name).rpartition(".")[2])
    layers = {name: Layer(found, None, trainable.get(name)) for name, found in classes.items()}
    return Structure(parameters, buffers, layers, first_names)


def _unique(named: Iterable[tuple[str, Any]], first_names: dict[str, str]) -> dict[str, Any]:
    found: dict[int, str] = {}
    kept = {}
    for name, value in named:
        first = found.setdefault(id(value), name)
        if first == name:
            kept[name] = value
        else:
            first_names[name] = first
    return kept


def _trainable(parameters: Iterable[tuple[str, torch.Tensor]]) -> dict[str, bool]:
    """Return, by the name of a module, whether any parameter in it is trained."""
    trainable: dict[str, bool] = {}
    for name, parameter in parameters:
        module = name
        while module:
            module = module.rpartition(".")[0]
            trainable[module] = trainable.get(module, False) or parameter.requires_grad
    return trainable


def _activation(module: torch.nn.Module) -> str | None:
    """Return the name of a layer's activation: "relu" of a TransformerEncoderLayer."""
    found = getattr(module, "activation", getattr(module, "nonlinearity", None))
    if isinstance(found, str):
        return found
    name = getattr(found, "__name__", None)
    return type(found).__name__ if name is None and callable(found) else name


@contextmanager
def left_as_it_was(model: torch.nn.Module) -> Iterator[None]:
    """Restore the model and all random states after the code inside has run.

    Restored are the attributes of every module (training mode, hooks, its parameters, buffers and
    modules), one level of lists and dicts in them, and the values of buffers. The values of
    parameters are not restored, because a copy would need the memory of the model again. Nothing
    here runs an optimizer. A `forward` that writes to its own parameters keeps what it wrote.
    """
    containers: list[Any] = []
    for module in model.modules():
        attributes = module.__dict__
        # They are restored in place, because the handles of hooks refer to these dicts.
        inner = [value for value in attributes.values() if isinstance(value, (dict, list))]
        containers += [attributes, *inner]
    contents = [(container, copy.copy(container)) for container in containers]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]), _accelerator_forked():
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        for container, before in contents:
            _restore(container, before)
        with torch.no_grad():
            for buffer, held in buffers:
                # Write only what changed: a write would spoil a backward pass that is pending.
                if not buffer.is_meta and not torch.equal(buffer, held):
                    buffer.copy_(held)


def _accelerator_forked() -> AbstractContextManager[None]:
    if not torch.accelerator.is_available():
        return nullcontext()
    forked: AbstractContextManager[None] = torch.random.fork_rng(
        devices=range(torch.accelerator.device_count()),
        device_type=torch.accelerator.current_accelerator().type,
    )
    return forked


def _restore(container: Any, before: Any) -> None:
    if isinstance(container, list):
        if len(container) != len(before) or any(map(operator.is_not, container, before)):
            container[:] = before
    elif container.keys() != before.keys() or any(
        container[key] is not value for key, value in before.items()
    ):
        container.clear()
        container.update(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what torch warns, logs and prints while a model is tried: users cannot act on it.

    Logs and prints of other threads stay visible.
    """
    thread = threading.get_ident()

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in ("torch", *logging.Logger.manager.loggerDict)]
    handlers = {
        handler
        for logger in loggers
        if logger.name.partition(".")[0] == "torch"
        for handler in logger.handlers
    }
    for handler in handlers:
        handler.addFilter(from_elsewhere)
    try:
        with warnings.catch_warnings(), redirect_stderr(_Elsewhere(sys.stderr, thread)):
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(from_elsewhere)


class _Elsewhere(io.TextIOBase):
    """A stream that leaves out what one thread writes."""

    def __init__(self, stream: TextIO, thread: int) -> None:
        self._stream = stream
        self._thread = thread

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()
