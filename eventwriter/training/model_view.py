"""What callbacks ask of a model, and who can answer for a model of any framework."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

from eventwriter.errors import ArgumentTypeError
from eventwriter.training.numpy_view import NumpyView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ModelView(Protocol):
    """What callbacks need of a model. Each part is optional: an object has those that it can do.

    Arrays are the framework's own, on whatever device they are. Names have slashes between the
    parts of a path, as in "conv1d/kernel"; gradients are named as the weights are.

    Attributes:
        model: The model itself.
    """

    model: Any

    def weights(self) -> Mapping[str, Any]:
        """The trained arrays by name."""

    def gradients(self, batch: tuple[Any, ...] | None) -> Mapping[str, Any]:
        """The latest gradients by the weights' names, or those of the model's loss on `batch`.

        Args:
            batch: (inputs, targets) or (inputs, targets, weights), where the model's framework
                keeps no gradients.
        """

    def activations(self, inputs: Any) -> Mapping[str, Any]:
        """Every layer's output for one batch of inputs, by the layer's name.

        The model and the state of its random numbers are left as they were.
        """

    def embeddings(self) -> Mapping[str, Any]:
        """The matrices `[rows, width]` of the embedding layers, by the layer's name."""

    def graph(self, inputs: Any) -> Any:
        """What `SummaryWriter.add_graph` takes, given one batch of inputs or None."""

    def get_learning_rate(self) -> float:
        """The optimizer's learning rate now."""

    def set_learning_rate(self, learning_rate: float) -> None:
        """Changes it from the next step on."""

    def get_state(self) -> Any:
        """A copy of the model's weights, for `set_state`."""

    def set_state(self, state: Any) -> None:
        """Puts back what `get_state` returned."""

    def suffix(self, weights_only: bool) -> str:
        """How files of `save` end, with the dot: ".pt"."""

    def save(self, path: str, weights_only: bool) -> None:
        """Writes the model to a file, in the framework's own format.

        Args:
            path: The file, which is replaced.
            weights_only: Without the optimizer's state.
        """

    def load(self, path: str) -> None:
        """Reads back what `save` wrote, the optimizer's state too where it is there."""

    def names(self, tree: Any) -> Mapping[str, Any]:
        """Arrays in the framework's own nesting, named as in `weights`."""


# Whose classes a model's own class is derived from, the nearest first: Keras's layers on torch
# are both, and Keras's.
_VIEWS = {
    "keras": ("keras", "KerasView"),
    "torch": ("torch", "TorchView"),
    "flax": ("jax", "JaxView"),
    "equinox": ("jax", "JaxView"),
    "xgboost": ("xgboost", "XGBoostView"),
    "lightgbm": ("lightgbm", "LightGBMView"),
    "sklearn": ("sklearn", "SklearnView"),
}
_PARTS = [name for name, part in vars(ModelView).items() if callable(part) and name[0] != "_"]


def view_of(model: Any, optimizer: Any = None) -> Any:
    """Returns the view of a model, found by the name of its framework.

    Args:
        model: A torch.nn.Module, a Keras model, a Flax or Equinox module, a dict of numpy arrays,
            an object that has any part of `ModelView` itself, or None.
        optimizer: The framework's, for the learning rate and for checkpoints.

    Raises:
        ArgumentTypeError: No view knows such a model.
    """
    if model is None or isinstance(model, dict):
        return NumpyView(model or {}, optimizer)
    for ancestor in type(model).__mro__:
        package = ancestor.__module__.split(".")[0]
        if package in _VIEWS:
            module, name = _VIEWS[package]
            view = getattr(importlib.import_module(f"eventwriter.integrations.{module}"), name)
            return view(model, optimizer)
    if any(hasattr(model, part) for part in _PARTS):
        return model
    raise ArgumentTypeError(
        f"model: no view knows a {type(model).__module__}.{type(model).__qualname__}. Pass "
        "view= with the methods of eventwriter.callbacks.ModelView that your callbacks need "
        f"({', '.join(_PARTS)}), or a dict of numpy arrays."
    )


def part(view: Any, name: str, needed_by: str) -> Callable[..., Any]:
    """Returns the method `name` of a view.

    Args:
        view: Any object.
        name: A method of `ModelView`.
        needed_by: Who needs it, for the error: "EarlyStopping(restore_best_weights=True)".

    Raises:
        ArgumentTypeError: The view has no such part.
    """
    method = getattr(view, name, None)
    if method is None:
        there = [name for name in _PARTS if hasattr(view, name)]
        raise ArgumentTypeError(
            f"{needed_by} needs `{name}` of the model's view, which {type(view).__name__} does not "
            f"have (it has {', '.join(there) or 'none'}). Pass Loop(view=...) one that does: see "
            "eventwriter.callbacks.ModelView."
        )
    result: Callable[..., Any] = method
    return result
