"""Watches one forward pass, to get the graph of a model that cannot be traced."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakIdKeyDictionary

from eventwriter.graphs.builder import Output
from eventwriter.integrations.torch._model import bound
from eventwriter.integrations.torch._nodes import ModelNodes, attributes, described
from eventwriter.integrations.torch._timing import NodeTime, timed
from eventwriter.integrations.torch._wrappers import run_uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventwriter.graphs.call_arguments import Arguments
    from eventwriter.integrations.torch._model import Structure


class ForwardPass(TorchFunctionMode):  # type: ignore[misc, unused-ignore]  # untyped without torch
    """Adds a node for each function of torch that a model calls while it runs.

    Hooks tell which module makes the call. The values of the inputs decide which branches run. A
    tensor that no function of torch returned (TorchScript, other libraries) gets one node for the
    module that returned it.

    Attributes:
        times: The time of each function, in order.
    """

    def __init__(self, nodes: ModelNodes, model: torch.nn.Module, structure: Structure) -> None:
        super().__init__()
        self.times: list[NodeTime] = []
        self._nodes = nodes
        self._model = model
        # Keys are compared by identity, and no tensor is kept alive for longer than the model does.
        self._sources = WeakIdKeyDictionary()
        for name, tensor in [*structure.parameters.items(), *structure.buffers.items()]:
            self._sources[tensor] = name
        self._names = {module: name for name, module in model.named_modules()}
        self._thread = threading.get_ident()
        self._modules: list[str] = [""]

    def run(self, arguments: Arguments) -> None:
        """Run the model once, without gradients.

        Raises:
            Exception: Any exception that the model raises.
        """
        for name, value in bound(self._model, arguments).items():
            self._give(value, self._nodes.placeholder(name, described(value)))
        handles: list[Any] = []
        try:
            for module in self._names:
                handles += self._watch(module)
            with torch.no_grad(), self:
                args, kwargs = arguments
                returned = run_uncompiled(self._model, *args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
        sources = pytree.tree_map_only(torch.Tensor, self._source, returned)
        self._nodes.results(sources, described(returned))

    def _watch(self, module: torch.nn.Module) -> list[Any]:
        """Put hooks on a module of the model. Return their handles.

        Torch has hooks for the modules of all models too. But it keeps a part of such a hook that
        was removed, and then warns at each call of a compiled module. And if a module fails, torch
        calls the hook with fewer arguments.
        """

        # A model that copies a module copies its hooks. A copy of a function is the function; a
        # copy of a bound method would be another pass.
        def entering(module: torch.nn.Module, _args: Any) -> None:
            self._entering(module)

        def leaving(module: torch.nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            self._leaving(module, args, kwargs, result)

        # A TorchScript module refuses hooks by its own methods, but calls the hooks that it has.
        kind = torch.nn.Module
        return [
            kind.register_forward_pre_hook(module, entering, prepend=True),
            kind.register_forward_hook(module, leaving, with_kwargs=True, always_call=True),
        ]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`, and add a node for it if it returns a tensor or writes to one."""
        result, measured = timed(lambda: func(*args, **(kwargs or {})), (args, kwargs))
        name = _name(func)
        taken = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        given = result
        if name == "setitem":
            given = args[0]
        elif not name.endswith("_") and any(result is tensor for tensor in taken):
            return result
        if any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(given)):
            known = {f"argument_{k}": value for k, value in enumerate(args)} | dict(kwargs or {})
            attrs = {"target": resolve_name(func) or name} | attributes(
                {
                    key: value
                    for key, value in known.items()
                    if not any(isinstance(leaf, torch.Tensor) for leaf in _leaves(value))
                }
            )
            added = self._add(name, [self._source(tensor) for tensor in taken], given, attrs)
            self.times.append(NodeTime(added, *measured))
        return result

    def _add(
        self, name: str, inputs: Sequence[Output | str], value: Any, attrs: dict[str, Any]
    ) -> str:
        """Add the node whose result is `value`. Return the name of the node."""
        scope = self._nodes.scope(self._modules[-1])
        sources = self._nodes.operation(scope, name, inputs, described(value), attrs)
        self._give(value, sources)
        return next(leaf.name for leaf in _leaves(sources) if isinstance(leaf, Output))

    def _give(self, value: Any, sources: Any) -> None:
        for tensor, source in zip(
            pytree.tree_leaves(value), pytree.tree_leaves(sources), strict=True
        ):
            if isinstance(tensor, torch.Tensor):
                self._sources[tensor] = source

    def _source(self, tensor: torch.Tensor) -> Any:
        """Return the output of a node that a tensor is."""
        found = self._sources.get(tensor)
        if isinstance(found, str):
            found = self._nodes.tensor(found)
        elif found is None:
            found = self._nodes.constant(self._nodes.scope(self._modules[-1]), "constant", tensor)
        self._sources[tensor] = found
        return found

    def _is_ours(self, module: torch.nn.Module) -> bool:
        return module in self._names and threading.get_ident() == self._thread

    def _entering(self, module: torch.nn.Module) -> None:
        if self._is_ours(module):
            self._modules.append(self._names[module])

    def _leaving(self, module: torch.nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        if not self._is_ours(module):
            return
        leaves = [leaf for leaf in _leaves(result) if isinstance(leaf, torch.Tensor)]
        if any(leaf not in self._sources for leaf in leaves):
            taken = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            class_name = type(module).__name__
            inputs = [*map(self._source, taken), *self._nodes.owned_by(self._names[module])]
            self._add(class_name, inputs, result, {"target": class_name})
        self._modules.pop()


def _leaves(tree: Any) -> list[Any]:
    return list(pytree.tree_leaves(tree))


def _name(func: Callable[..., Any]) -> str:
    """Return the short name of a function: "add" for Tensor.__add__, "T" for Tensor.T."""
    name = str(getattr(func, "__name__", type(func).__name__))
    if name in ("__get__", "__set__"):
        name = str(getattr(getattr(func, "__self__", None), "__name__", name))
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
    return name
