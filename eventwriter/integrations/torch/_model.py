"""A torch model before it is read: its inputs, its names, and how it is left as it was."""

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
    """`inputs` as positional and keyword arguments of the model, each tensor on its own.

    A tensor that was given twice becomes two: torch.export would take both for the last one, and
    the first input would have no edges. They share their memory with the caller's.

    Args:
        model: Its `forward` says which reading of `inputs` is right.
        inputs: A tuple: positional arguments. A list: the same, or else one argument. A dict:
            keyword arguments, or else one argument. Anything else: one argument.

    Raises:
        ArgumentTypeError: `forward` takes none of these.
    """
    readings: list[Arguments] = [((inputs,), {})]
    if isinstance(inputs, Mapping):
        keywords = {str(key): value for key, value in inputs.items()}
        readings.insert(0, ((), keywords))
    elif isinstance(inputs, (list, tuple)) and not hasattr(inputs, "_fields"):
        # A tuple has this one meaning, or an argument that is missing would go unnoticed.
        readings = [(tuple(inputs), {}), *readings[: isinstance(inputs, list)]]
    signature = forward_signature(model)
    reasons = [_refusal(signature, reading) for reading in readings]
    if all(reasons):
        raise ArgumentTypeError(
            f"{type_name(model)}: cannot be called with these inputs of type "
            f"{type(inputs).__qualname__} ({reasons[0]}). {advice(model)}"
        )
    own: Arguments = pytree.tree_map_only(torch.Tensor, _alias, readings[reasons.index("")])
    return own


def _refusal(signature: inspect.Signature | None, arguments: Arguments) -> str:
    """Why a function with this signature cannot be called so; empty if it can."""
    try:
        if signature is not None:
            signature.bind(*arguments[0], **arguments[1])
    except TypeError as error:
        return str(error)
    return ""


def advice(model: torch.nn.Module) -> str:
    """How inputs are passed, for the end of a message."""
    return (
        f"Pass input_to_model as forward{forward_signature(model) or ''} takes it: one tensor, a "
        "tuple of positional arguments, or a dict of keyword arguments"
    )


def forward_signature(model: torch.nn.Module) -> inspect.Signature | None:
    """What `forward` takes; None where only the call can tell (TorchScript)."""
    try:
        return inspect.signature(model.forward)
    except (TypeError, ValueError):
        return None


def bound(model: torch.nn.Module, arguments: Arguments) -> dict[str, Any]:
    """The arguments by their names in `forward`, `*args` and `**kwargs` included."""
    args, kwargs = arguments
    signature = forward_signature(model)
    if signature is None:
        return {"args": args, "kwargs": kwargs}
    return dict(signature.bind(*args, **kwargs).arguments)


def named_leaves(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested containers with their keys joined: ("opts_b_0", tensor)."""
    leaves, _ = pytree.tree_flatten_with_path(tree)
    return [("_".join([name, *path_parts(path)]).strip("_"), leaf) for path, leaf in leaves]


def _alias(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


def own_tensors(arguments: Arguments) -> Arguments:
    """The arguments with copies of their tensors, for a pass that may write to them."""
    copies: Arguments = pytree.tree_map_only(torch.Tensor, torch.clone, arguments)
    return copies


@dataclass(frozen=True)
class Structure:
    """What a model is made of, by the names it has in the model.

    What is shared has one name, the first; `first_names` leads there from every other.

    Attributes:
        parameters: Name -> parameter: "layers.0.weight".
        buffers: Name -> buffer.
        layers: Name -> what is known of a module: "layers.0".
        first_names: Another name of a module, parameter or buffer -> its first.
    """

    parameters: dict[str, torch.Tensor]
    buffers: dict[str, torch.Tensor]
    layers: dict[str, Layer]
    first_names: dict[str, str]

    def owned_by(self, module: str) -> list[str]:
        """Parameters, then buffers, of a module and the modules within."""
        prefix = f"{module}." if module else ""
        return [name for name in [*self.parameters, *self.buffers] if name.startswith(prefix)]


def structure_of(model: torch.nn.Module) -> Structure:
    """The structure of a module.

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
            f"{type_name(model)}: {lazy[0]!r} has no shape yet, as lazy modules get theirs in the "
            "first call; call the model once with real inputs, then log its graph"
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
    """The structure of an exported program, which has names and class names left of its modules."""
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
    """Module -> whether any of the parameters in it is trained."""
    trainable: dict[str, bool] = {}
    for name, parameter in parameters:
        module = name
        while module:
            module = module.rpartition(".")[0]
            trainable[module] = trainable.get(module, False) or parameter.requires_grad
    return trainable


def _activation(module: torch.nn.Module) -> str | None:
    """Name of a layer's activation: "relu" of a TransformerEncoderLayer, "tanh" of an RNN."""
    found = getattr(module, "activation", getattr(module, "nonlinearity", None))
    if isinstance(found, str):
        return found
    name = getattr(found, "__name__", None)
    return type(found).__name__ if name is None and callable(found) else name


@contextmanager
def left_as_it_was(model: torch.nn.Module) -> Iterator[None]:
    """Whatever is run inside, the model and all random states are as before afterwards.

    Put back are the attributes of every module (training mode, hooks, which parameters, buffers
    and modules it has), one level of lists and dicts among them, and what buffers hold. What
    parameters hold is not copied, since that would take the model's memory twice: nothing here
    runs an optimizer, and a `forward` that writes to its own parameters keeps what it wrote.
    """
    containers: list[Any] = []
    for module in model.modules():
        attributes = module.__dict__
        # In place, since the handles of hooks refer to the very dicts.
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
                # Written only where it changed: a write would spoil a pending backward pass.
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
    """What torch warns, logs and prints while a model is tried is not the user's to read.

    Other threads keep their logs and prints.
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
    """A stream without what one thread writes."""

    def __init__(self, stream: TextIO, thread: int) -> None:
        self._stream = stream
        self._thread = thread

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()
