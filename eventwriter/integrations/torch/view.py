"""What callbacks ask of a torch module."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from eventwriter._file.whole_file import whole_file
from eventwriter._values.arrays import is_torch_tensor
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.call_arguments import call_arguments
from eventwriter.graphs.sources import build_graph
from eventwriter.graphs.unique_names import UniqueNames
from eventwriter.integrations.torch._gradients import LatestGradients
from eventwriter.integrations.torch._model import left_as_it_was
from eventwriter.integrations.torch._wrappers import inside, run_uncompiled, unwrapped
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class TorchView(ModelView):
    """The view of a torch.nn.Module.

    A module that torch.compile or DataParallel wraps has the same names and files as the module
    itself, and so have modules in it that are wrapped.

    Gradients are from the latest step of the optimizer. Without an optimizer they are what the
    parameters hold now. Names are torch's own, with slashes instead of dots: "conv1/weight".

    Args:
        model: The module.
        optimizer: A torch.optim.Optimizer, or a dict or list of several. It is needed for the
            gradients of the latest step, for the learning rate, and for checkpoints from which
            training can continue.

    Attributes:
        model: The module.

    Raises:
        ArgumentTypeError: `model` is no module, or `optimizer` is no optimizer.
    """

    def __init__(self, model: torch.nn.Module, optimizer: Any = None) -> None:
        if not isinstance(model, torch.nn.Module):
            raise ArgumentTypeError(
                f"TorchView: expected a torch.nn.Module, got {type_name(model)}."
            )
        self.model = model
        self._plain = inside(model)
        self._optimizers = _named(optimizer)
        for each in self._optimizers.values():
            if not isinstance(each, torch.optim.Optimizer):
                raise ArgumentTypeError(
                    "TorchView: optimizer: expected a torch.optim.Optimizer, or a dict or list of "
                    f"several, got {type_name(each)}."
                )
        self._gradients = LatestGradients(self._plain, list(self._optimizers.values()))

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`."""
        with unwrapped(self._plain):
            return {_path(name): value.detach() for name, value in self._plain.named_parameters()}

    def filters_first(self) -> bool:
        """See `ModelView.filters_first`."""
        return True

    def gradients(self, batch: Any) -> Mapping[str, Any]:  # noqa: ARG002
        """See `ModelView.gradients`. Of a sparse gradient, the values are returned."""
        return {
            _path(name): gradient.coalesce().values() if gradient.is_sparse else gradient
            for name, gradient in self._gradients.now().items()
        }

    def activations(self, inputs: Any) -> Mapping[str, Any]:
        """Return the outputs of all modules that have no modules inside, in evaluation mode.

        A TorchScript module is one module: what is inside runs out of Python's sight.

        Args:
            inputs: A tensor or array, a tuple or list of several arguments, or a dict of keyword
                arguments. Arrays and tensors are moved to the device of the module.

        Returns:
            Tensors by the name of the module. A module that is called again, or that returns
            several tensors, gets further names with "_1", "_2" and so on.
        """
        found: dict[str, Any] = {}
        names = UniqueNames()

        def keep(name: str, output: Any) -> None:
            for tensor in _tensors(output):
                found[names.claim(name)] = tensor.detach()

        handles = []
        with unwrapped(self._plain), left_as_it_was(self._plain), torch.no_grad():
            leaves = _leaves(self._plain)
            try:
                for name, module in leaves:
                    # A TorchScript module refuses hooks by its own method, but calls them.
                    handles.append(
                        torch.nn.Module.register_forward_hook(
                            module, lambda _module, _args, output, name=name: keep(name, output)
                        )
                    )
                self._plain.eval()
                args, kwargs = call_arguments(self._arguments(inputs))
                run_uncompiled(self._plain, *args, **kwargs)
            finally:
                for handle in handles:
                    handle.remove()
        return found

    def embeddings(self) -> Mapping[str, Any]:
        """See `ModelView.embeddings`."""
        with unwrapped(self._plain):
            return {
                _path(name): module.weight.detach()
                for name, module in self._plain.named_modules()
                if isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag))
            }

    def graph(self, inputs: Any) -> Any:
        """See `ModelView.graph`."""
        if inputs is not None:
            inputs = self._arguments(inputs)
        return build_graph(self.model, inputs)

    def get_learning_rate(self) -> float | None:
        """Return the learning rate of the first parameter group; None without an optimizer."""
        return next((float(group["lr"]) for group in self._groups().values()), None)

    def get_learning_rates(self) -> Mapping[str, float] | None:
        """See `ModelView.get_learning_rates`. A group without a "name" is named by its number."""
        groups = self._groups()
        if len(groups) < 2:
            return None
        return {name: float(group["lr"]) for name, group in groups.items()}

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the first parameter group; the others keep their ratio to it."""
        first = self.get_learning_rate()
        if first is None:
            self._refuse("set_learning_rate")
        for group in self._groups().values():
            ratio = float(group["lr"]) / first if first else 1.0
            if is_torch_tensor(group["lr"]):
                group["lr"].fill_(learning_rate * ratio)
            else:
                group["lr"] = learning_rate * ratio

    def get_state(self) -> dict[str, Any]:
        """See `ModelView.get_state`."""
        return {
            name: value.detach().clone() if is_torch_tensor(value) else value
            for name, value in self._state_dict().items()
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See `ModelView.set_state`."""
        with unwrapped(self._plain):
            self._plain.load_state_dict(state)

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002
        """See `ModelView.suffix`."""
        return ".pt"

    def save(self, path: str, weights_only: bool) -> None:
        """Write {"model": state_dict, "optimizer": state_dict}.

        Of several optimizers, "optimizer" has the state_dict of each by its name or number.
        `torch.load(path, weights_only=True)` reads the file. A reader sees the whole old file or
        the whole new file.
        """
        content = {"model": self._state_dict()}
        if self._optimizers and not weights_only:
            states = {name: each.state_dict() for name, each in self._optimizers.items()}
            content["optimizer"] = states.get("", states)
        with whole_file(path) as file:
            torch.save(content, file)

    def can_load(self) -> bool:
        """See `ModelView.can_load`."""
        return True

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        content = torch.load(path, map_location=self._device(), weights_only=True)
        self.set_state(content["model"])
        if not self._optimizers or "optimizer" not in content:
            return
        states = content["optimizer"]
        states = {"": states} if "param_groups" in states else states
        if states.keys() != self._optimizers.keys():
            raise ArgumentValueError(
                f"{path}: expected states of the optimizers {list(self._optimizers)}, got "
                f"{list(states)}. Load a file of the same training."
            )
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(states[name])

    def close(self) -> None:
        """Remove the hooks from the optimizers."""
        self._gradients.close()

    def _groups(self) -> dict[str, dict[str, Any]]:
        """Return the parameter groups of all optimizers by name."""
        names = UniqueNames()
        found = {}
        for optimizer_name, optimizer in self._optimizers.items():
            for number, group in enumerate(optimizer.param_groups):
                name = str(group.get("name", number))
                if optimizer_name:
                    alone = len(optimizer.param_groups) == 1
                    name = optimizer_name if alone else f"{optimizer_name}/{name}"
                found[names.claim(name)] = group
        return found

    def _state_dict(self) -> dict[str, Any]:
        with unwrapped(self._plain):
            state: dict[str, Any] = self._plain.state_dict()
            return state

    def _device(self) -> torch.device:
        parameter = next(self.model.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def _arguments(self, inputs: Any) -> Any:
        """Return the inputs on the device of the module. A list means the same as a tuple.

        A dict is keyword arguments. Only those that `forward` has are passed, because a batch of a
        DataLoader also holds targets. If it has none of them, it takes the dict itself.
        """
        if isinstance(inputs, dict):
            parameters = inspect.signature(self._plain.forward).parameters
            if all(each.kind is not each.VAR_KEYWORD for each in parameters.values()):
                taken = {name: value for name, value in inputs.items() if name in parameters}
                inputs = taken or (inputs,)
        inputs = self._on_device(inputs)
        return tuple(inputs) if isinstance(inputs, list) else inputs

    def _on_device(self, inputs: Any) -> Any:
        if isinstance(inputs, dict):
            return {name: self._on_device(value) for name, value in inputs.items()}
        if isinstance(inputs, (tuple, list)):
            return type(inputs)([self._on_device(value) for value in inputs])
        return torch.as_tensor(inputs, device=self._device())


def _named(optimizer: Any) -> dict[str, Any]:
    """Return optimizers by name or number. One that stands alone has the name ""."""
    if isinstance(optimizer, dict):
        return {str(name): each for name, each in optimizer.items()}
    if isinstance(optimizer, (list, tuple)):
        return {str(number): each for number, each in enumerate(optimizer)}
    return {} if optimizer is None else {"": optimizer}


def _path(name: str) -> str:
    return name.replace(".", "/")


def _leaves(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Return the modules whose outputs can be seen one by one, with their names."""
    found = []
    below: list[str] = []
    for name, module in model.named_modules():
        if name.startswith(tuple(below)):
            continue
        is_script = isinstance(module, torch.jit.ScriptModule)
        if is_script:
            below.append(f"{name}." if name else "")
        if is_script or not any(True for _ in module.children()):
            found.append((_path(name) or type(module).__name__, module))
    return found


def _tensors(output: Any) -> Iterator[Any]:
    if is_torch_tensor(output):
        yield output
    elif isinstance(output, dict):
        for each in output.values():
            yield from _tensors(each)
    elif isinstance(output, (tuple, list)):
        for each in output:
            yield from _tensors(each)


View = TorchView
