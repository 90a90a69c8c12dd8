"""A model that is a dict of numpy arrays, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._file.whole_file import whole_file
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.optimizer_view import OptimizerView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping


class NumpyView(OptimizerView):
    """The view of a dict of numpy arrays, which training changes in place.

    Args:
        model: Arrays by name. Dicts and lists may be nested in it: their keys and indices make
            names such as "embed/kernel", and so do slashes in a name.
        optimizer: An object with a number `learning_rate`, or a dict with that key.
        activations: A function that takes a batch of inputs and returns the outputs of the layers
            by name.
        embeddings: The names of the weights that are embeddings, `[rows, width]`.
        graph: A function that takes a batch of inputs and returns a graph that
            `SummaryWriter.add_graph` takes.

    Attributes:
        model: The arrays.

    Raises:
        ArgumentTypeError: `model` is no dict of arrays, or the optimizer has no learning rate.
        ArgumentValueError: An embedding is no name in `model`.
    """

    def __init__(
        self,
        model: MutableMapping[str, Any],
        optimizer: Any = None,
        *,
        activations: Callable[[Any], Mapping[str, Any]] | None = None,
        embeddings: tuple[str, ...] = (),
        graph: Callable[[Any], Any] | None = None,
    ) -> None:
        arrays = named_leaves(model)
        wrong = {name: value for name, value in model.items() if not isinstance(name, str)}
        wrong |= {name: part for name, part in arrays.items() if not isinstance(part, np.ndarray)}
        for name, value in wrong.items():
            raise ArgumentTypeError(
                f"model: expected a dict of numpy arrays by name, got {name!r}: {type_name(value)}."
            )
        missing = [name for name in embeddings if name not in arrays]
        if missing:
            raise ArgumentValueError(
                f"NumpyView: embeddings: expected names among {list(arrays)}, got {missing[0]!r}."
            )
        super().__init__(optimizer)
        self.model: MutableMapping[str, Any] = model
        self._embeddings = embeddings
        self._activations = activations
        self._graph = graph

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`."""
        return named_leaves(self.model)

    def embeddings(self) -> Mapping[str, Any]:
        """See `ModelView.embeddings`."""
        weights = self.weights()
        return {name: weights[name] for name in self._embeddings}

    def activations(self, inputs: Any) -> Mapping[str, Any] | None:
        """See `ModelView.activations`."""
        return None if self._activations is None else self._activations(inputs)

    def graph(self, inputs: Any) -> Any:
        """See `ModelView.graph`."""
        return None if self._graph is None else self._graph(inputs)

    def get_state(self) -> dict[str, Any]:
        """See `ModelView.get_state`."""
        return {name: value.copy() for name, value in self.weights().items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put the values back into the arrays, in place."""
        for name, value in self.weights().items():
            value[...] = state[name]

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002
        """See `ModelView.suffix`."""
        return ".npz"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002
        """Write the arrays as npz, without pickle. The state of the optimizer is not saved."""
        save_npz(path, self.weights())

    def can_load(self) -> bool:
        """See `ModelView.can_load`."""
        return True

    def load(self, path: str) -> None:
        """Read a file of `save` into the arrays, in place.

        Raises:
            ArgumentValueError: The file holds other names or shapes.
        """
        self.set_state(load_npz(path, self.weights()))

    def names(self, tree: Any) -> Mapping[str, Any]:
        """Flatten nested dicts and lists. Keys and indices are joined by slashes."""
        return named_leaves(tree)


def save_npz(path: str, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name as one npz file. A reader sees the whole old or new file."""
    with whole_file(path) as file:
        np.savez(file, **arrays)


def load_npz(path: str, like: Mapping[str, Any]) -> dict[str, Any]:
    """Read the arrays of an npz file.

    Args:
        path: The file.
        like: Arrays with the names and shapes that are expected.

    Raises:
        ArgumentValueError: A name is missing or additional, or a shape differs.
    """
    arrays = read_npz(path)
    check_arrays(path, arrays, like)
    return arrays


def read_npz(path: str) -> dict[str, Any]:
    """Read the arrays of an npz file by name, whichever they are."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def check_arrays(path: str, arrays: Mapping[str, Any], like: Mapping[str, Any]) -> None:
    """Raise an ArgumentValueError if a file has not the names and shapes of other arrays."""
    found = {name: tuple(np.shape(array)) for name, array in arrays.items()}
    expected = {name: tuple(np.shape(array)) for name, array in like.items()}
    if found != expected:
        raise ArgumentValueError(
            f"{path}: expected arrays {expected}, got {found}. Load a file of the same model."
        )


def named_leaves(tree: Any) -> dict[str, Any]:
    """Return the leaves of nested dicts, lists and tuples. Keys and indices make their names."""
    return dict(_leaves(tree, ""))


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
