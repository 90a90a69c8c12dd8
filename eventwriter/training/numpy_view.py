"""A model that is a dict of numpy arrays, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._file.whole_file import atomic_file
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping


class NumpyView:
    """Answers callbacks for arrays that are changed in place.

    Args:
        weights: Arrays by name; "embed/kernel" and the like make scopes.
        optimizer: An object with a number `learning_rate`, or a dict with that key.
        activations: A function from a batch of inputs to the layers' outputs by name.
        embeddings: Names of those weights that are embeddings, `[rows, width]`.
        graph: A function from a batch of inputs to what `SummaryWriter.add_graph` takes.

    Attributes:
        model: The weights.
    """

    def __init__(
        self,
        weights: MutableMapping[str, Any],
        optimizer: Any = None,
        *,
        activations: Callable[[Any], Mapping[str, Any]] | None = None,
        embeddings: tuple[str, ...] = (),
        graph: Callable[[Any], Any] | None = None,
    ) -> None:
        for name, value in weights.items():
            if not isinstance(name, str) or not isinstance(value, np.ndarray):
                raise ArgumentTypeError(
                    "model: expected a dict of numpy arrays by name, got "
                    f"{name!r}: {type(value).__name__}."
                )
        missing = [name for name in embeddings if name not in weights]
        if missing:
            raise ArgumentValueError(
                f"NumpyView: embeddings: there is no weight {missing[0]!r}, but {list(weights)}."
            )
        self.model = weights
        self._embeddings = embeddings
        # A part that was not given is not there: see `ModelView`.
        if activations is not None:
            self.activations = activations
        if graph is not None:
            self.graph = graph
        if optimizer is not None:
            self.get_learning_rate, self.set_learning_rate = learning_rate_of(optimizer)

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`."""
        return self.model

    def embeddings(self) -> Mapping[str, Any]:
        """See `ModelView.embeddings`."""
        return {name: self.model[name] for name in self._embeddings}

    def get_state(self) -> dict[str, Any]:
        """See `ModelView.get_state`."""
        return {name: value.copy() for name, value in self.model.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """See `ModelView.set_state`; the arrays are changed in place."""
        for name, value in self.model.items():
            value[...] = state[name]

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002 - ModelView's
        """See `ModelView.suffix`."""
        return ".npz"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002 - ModelView's
        """Writes the arrays as npz, without pickle; there is no optimizer's state."""
        save_npz(path, self.model)

    def load(self, path: str) -> None:
        """Reads back what `save` wrote, in place.

        Raises:
            ArgumentValueError: The file holds other names or shapes.
        """
        self.set_state(load_npz(path, self.model))

    def names(self, tree: Any) -> Mapping[str, Any]:
        """Flattens nested dicts and lists, their keys joined by slashes."""
        return dict(_leaves(tree, ""))


def learning_rate_of(
    optimizer: Any,
) -> tuple[Callable[[], float], Callable[[float], None]]:
    """How to get and to set the learning rate of an optimizer of no framework.

    Args:
        optimizer: An object with a number `learning_rate`, or a dict with that key.

    Raises:
        ArgumentTypeError: It has none.
    """
    in_dict = isinstance(optimizer, dict)
    if not ("learning_rate" in optimizer if in_dict else hasattr(optimizer, "learning_rate")):
        raise ArgumentTypeError(
            "optimizer: expected an object with a number `learning_rate`, or a dict with that key, "
            f"got {type(optimizer).__name__}."
        )

    def get() -> float:
        return float(optimizer["learning_rate"] if in_dict else optimizer.learning_rate)

    def set_(learning_rate: float) -> None:
        if in_dict:
            optimizer["learning_rate"] = learning_rate
        else:
            optimizer.learning_rate = learning_rate

    return get, set_


def save_npz(path: str, arrays: Mapping[str, Any]) -> None:
    """Writes arrays by name as one npz file, at once: a reader sees the old file or the new."""
    with atomic_file(path) as file:
        np.savez(file, **arrays)


def load_npz(path: str, like: Mapping[str, Any]) -> dict[str, Any]:
    """Reads arrays back, and compares their names and shapes with those that are expected.

    Raises:
        ArgumentValueError: A name is missing or additional, or a shape differs.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    found = {name: array.shape for name, array in arrays.items()}
    expected = {name: tuple(np.shape(array)) for name, array in like.items()}
    if found != expected:
        raise ArgumentValueError(f"{path}: expected arrays {expected}, got {found}.")
    return arrays


def _leaves(tree: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(tree, dict):
        pairs = tree.items()
    elif isinstance(tree, (list, tuple)):
        pairs = {str(index): value for index, value in enumerate(tree)}.items()
    else:
        return [(name, tree)]
    return [
        leaf
        for key, value in pairs
        for leaf in _leaves(value, f"{name}/{key}" if name else str(key))
    ]
