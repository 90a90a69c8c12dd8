"""Finds the view of a model: what answers the questions of callbacks."""

from __future__ import annotations

from typing import Any

from eventwriter import _frameworks
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.model_view import ModelView
from eventwriter.training.numpy_view import NumpyView, named_leaves
from eventwriter.training.several_view import SeveralView, optimizers_by_name


def view_of(model: Any, optimizer: Any = None, *, view: Any = None) -> ModelView:
    """Return the view of a model.

    Args:
        model: A model of a framework that has a folder in `eventwriter.integrations`, dicts of
            arrays of numpy or JAX, an object with any method of `ModelView`, or None. Or a dict of
            several models by name.
        optimizer: The framework's optimizer, for the learning rate and for checkpoints. For several
            models, a dict of optimizers by the names of the models, or one optimizer for all.
        view: An object to use instead of the view that would be found. Any of the methods of
            `ModelView` is enough.

    Raises:
        ArgumentTypeError: `model` is none of these.
    """
    if view is not None:
        return view if isinstance(view, ModelView) else PartialView(view, model)
    if isinstance(model, ModelView):
        return model
    if model is None:
        return NumpyView({}, optimizer)
    if isinstance(model, dict):
        return _view_of_dict(model, optimizer)
    module = _frameworks.find(model, "view")
    if module is not None:
        found: ModelView = module.View(model, optimizer)
        return found
    if any(hasattr(model, name) for name in METHODS):
        return PartialView(model, model)
    raise ArgumentTypeError(
        f"model: expected a model of {', '.join(_frameworks.names('view'))}, a dict of numpy "
        f"arrays, or an object with methods of ModelView ({', '.join(METHODS)}), got "
        f"{type_name(model)}. Pass view= an object with the methods that your callbacks need: see "
        "eventwriter.callbacks.ModelView."
    )


def _view_of_dict(model: dict[Any, Any], optimizer: Any) -> ModelView:
    """Return the view of several models, or of arrays in nested dicts, as the framework has it."""
    nested = all(isinstance(part, (dict, list)) for part in model.values())
    named = isinstance(optimizer, dict) and optimizer and optimizer.keys() <= model.keys()
    if any(_is_model(part) for part in model.values()) or (nested and named):
        optimizers = optimizers_by_name(model, optimizer)
        shared = optimizers is None and optimizer is not None
        views = {
            name: view_of(part, optimizer if optimizers is None else optimizers[name])
            for name, part in model.items()
        }
        return SeveralView(model, views, shared=shared)
    for part in named_leaves(model).values():
        module = _frameworks.find(part, "view")
        if module is not None:
            found: ModelView = module.View(model, optimizer)
            return found
    return NumpyView(model, optimizer)


def _is_model(part: Any) -> bool:
    """Return whether a part of a dict is a model of its own, and no array and no nest of arrays."""
    if isinstance(part, ModelView):
        return True
    is_array = isinstance(getattr(part, "shape", None), tuple)
    return not is_array and _frameworks.find(part, "view") is not None


class PartialView(ModelView):
    """The view of an object that has some methods of `ModelView`, but does not derive from it.

    A question that the object has no method for is answered with None. All other attributes of
    the object are attributes of this view too.

    Args:
        parts: The object.
        model: The model, for an object without an attribute `model`.
    """

    def __init__(self, parts: Any, model: Any) -> None:
        self._parts = parts
        self.model = getattr(parts, "model", model)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle ask for these before there is `_parts`
            raise AttributeError(name)
        return getattr(self._parts, name)

    @property
    def title(self) -> str:
        """The name of the object's class in messages."""
        return type(self._parts).__name__

    def weights(self) -> Any:
        """See `ModelView.weights`."""
        return self._call("weights")

    def filters_first(self) -> Any:
        """See `ModelView.filters_first`."""
        return self._call("filters_first")

    def gradients(self, batch: tuple[Any, ...] | None) -> Any:
        """See `ModelView.gradients`."""
        return self._call("gradients", batch)

    def activations(self, inputs: Any) -> Any:
        """See `ModelView.activations`."""
        return self._call("activations", inputs)

    def numbers(self) -> Any:
        """See `ModelView.numbers`."""
        return self._call("numbers")

    def embeddings(self) -> Any:
        """See `ModelView.embeddings`."""
        return self._call("embeddings")

    def graph(self, inputs: Any) -> Any:
        """See `ModelView.graph`."""
        return self._call("graph", inputs)

    def names(self, tree: Any) -> Any:
        """See `ModelView.names`."""
        return self._call("names", tree)

    def get_learning_rate(self) -> Any:
        """See `ModelView.get_learning_rate`."""
        return self._call("get_learning_rate")

    def get_learning_rates(self) -> Any:
        """See `ModelView.get_learning_rates`."""
        return self._call("get_learning_rates")

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`."""
        self._call("set_learning_rate", learning_rate)

    def get_state(self) -> Any:
        """See `ModelView.get_state`; None without `set_state`, which alone makes it useful."""
        return self._call("get_state") if self._has("set_state") else None

    def set_state(self, state: Any) -> None:
        """See `ModelView.set_state`."""
        self._call("set_state", state)

    def version(self) -> Any:
        """See `ModelView.version`."""
        return self._call("version")

    def suffix(self, weights_only: bool) -> Any:
        """See `ModelView.suffix`; None without `save`."""
        return self._call("suffix", weights_only) if self._has("save") else None

    def save(self, path: str, weights_only: bool) -> None:
        """See `ModelView.save`."""
        self._call("save", path, weights_only)

    def backup_suffix(self) -> Any:
        """See `ModelView.backup_suffix`."""
        return self._call("backup_suffix")

    def save_backup(self, path: str) -> None:
        """See `ModelView.save_backup`."""
        self._call("save_backup", path)

    def can_load(self) -> bool:
        """See `ModelView.can_load`."""
        return self._has("load")

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        self._call("load", path)

    def close(self) -> None:
        """See `ModelView.close`."""
        self._call("close")

    def _has(self, name: str) -> bool:
        return hasattr(self._parts, name)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call the object's method; without one, do what `ModelView` does."""
        if self._has(name):
            return getattr(self._parts, name)(*arguments)
        return getattr(super(), name)(*arguments)


METHODS = [
    name for name, part in vars(ModelView).items() if callable(part) and not name.startswith("_")
]
"""The names of all methods of `ModelView`."""
