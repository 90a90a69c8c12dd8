"""The state in a pytree of JAX: the names of its arrays, and how they are saved and put back."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eventwriter.errors import ArgumentValueError
from eventwriter.graphs.unique_names import UniqueNames
from eventwriter.integrations._paths import path_parts
from eventwriter.integrations.jax._modules import is_instance
from eventwriter.training.numpy_view import check_arrays, read_npz, save_npz

if TYPE_CHECKING:
    from collections.abc import Iterator

LEARNING_RATE = ("hyperparams", "learning_rate")
"""The end of the path of a learning rate that `optax.inject_hyperparams` keeps as state."""
_SCHEDULE = ("hyperparams_states", "learning_rate")
_OF_OPTIMIZER = "optimizer:"
"""The names of an optimizer's state begin with this in a file."""


class State(NamedTuple):
    """Arrays and numbers by their names, which are the paths in their pytree.

    Attributes:
        model: The arrays of the model. Training may change only some of them.
        optimizer: The arrays and numbers of the optimizer.
    """

    model: dict[str, Any]
    optimizer: dict[str, Any]


def state_of(tree: Any) -> State:
    """Return the state in a pytree.

    The states of optax, and the `opt_state` and `step` of a `TrainState`, belong to the optimizer.
    Numbers of Python are state only there: a `TrainState` begins with the step 0 as an int.
    """
    state = State({}, {})
    for name, _, leaf, of_optimizer in _leaves(tree):
        if is_array(leaf):
            (state.optimizer if of_optimizer else state.model)[name] = leaf
        elif of_optimizer and _is_number(leaf):
            state.optimizer[name] = leaf
    return state


def trained_part(tree: Any) -> Any:
    """Return the part of a pytree that training changes by gradients.

    These are the `params` of a `TrainState` and of a dict with that key, such as the variables of
    linen; or the one part of a tuple, list or dict that is beside the state of an optimizer.
    """
    if _is_train_state(tree):
        return trained_part(tree.params)
    if isinstance(tree, Mapping) and "params" in tree:
        return tree["params"]
    if isinstance(tree, (tuple, list, dict)):
        states = [
            (part, state_of(part)) for part in (tree.values() if isinstance(tree, dict) else tree)
        ]
        models = [part for part, state in states if state.model]
        if len(models) == 1 and any(state.optimizer for _, state in states):
            return trained_part(models[0])
    return tree


def weights_of(tree: Any) -> dict[str, Any]:
    """Return the arrays in the trained part of a pytree, without random keys."""
    found = state_of(trained_part(tree)).model
    return {name: leaf for name, leaf in found.items() if not is_key(leaf)}


def replaced(tree: Any, new: Mapping[str, Any]) -> Any:
    """Return a pytree with other values in it, each of the dtype and on the devices of the old one.

    Args:
        tree: A pytree.
        new: Values by the names of `state_of`. The other leaves stay.
    """
    definition = jax.tree_util.tree_structure(tree)
    return jax.tree_util.tree_unflatten(
        definition,
        [_like(leaf, new[name]) if name in new else leaf for name, _, leaf, _ in _leaves(tree)],
    )


def replace_in_place(container: Any, new: Any) -> None:
    """Put the parts of another pytree into nested dicts and lists. Other parts are exchanged."""
    keys = container if isinstance(container, dict) else range(len(container))
    for key in list(keys):
        part = container[key]
        if isinstance(part, (dict, list)):
            replace_in_place(part, new[key])
        else:
            container[key] = new[key]


def learning_rates(tree: Any) -> dict[str, Any]:
    """Return the learning rates that are state of an optimizer, by name."""
    return {
        name: leaf
        for name, path, leaf, _ in _leaves(tree)
        if path[-2:] == LEARNING_RATE and (is_array(leaf) or _is_number(leaf))
    }


def has_schedule(tree: Any) -> bool:
    """Return whether a schedule sets a learning rate at each step."""
    return any(
        path[place : place + 2] == _SCHEDULE
        for _, path, _, _ in _leaves(tree)
        for place in range(len(path))
    )


def save(path: str, state: State, *, weights_only: bool) -> None:
    """Write a state as npz, without pickle. A dtype that npz does not have becomes float32."""
    arrays = {name: _storable(leaf) for name, leaf in state.model.items()}
    if not weights_only:
        arrays |= {
            f"{_OF_OPTIMIZER}{name}": _storable(leaf) for name, leaf in state.optimizer.items()
        }
    save_npz(path, arrays)


def load(path: str, like: State) -> State:
    """Read a file of `save`.

    Args:
        path: The file.
        like: A state of the same model.

    Returns:
        The state in the file. It has no state of an optimizer if the file or `like` has none.

    Raises:
        ArgumentValueError: The file is of another model or of another optimizer.
    """
    arrays = read_npz(path)
    optimizer = {
        name.removeprefix(_OF_OPTIMIZER): arrays.pop(name)
        for name in list(arrays)
        if name.startswith(_OF_OPTIMIZER)
    }
    check_arrays(path, arrays, {name: _as_stored(leaf) for name, leaf in like.model.items()})
    if not optimizer or not like.optimizer:
        return State(arrays, {})
    try:
        expected = {name: _as_stored(leaf) for name, leaf in like.optimizer.items()}
        check_arrays(path, optimizer, expected)
    except ArgumentValueError as error:
        raise ArgumentValueError(f"the state of the optimizer: {error}") from error
    return State(arrays, optimizer)


def copied(leaf: Any) -> Any:
    """Return a copy of a leaf: a training step may donate the memory of the original."""
    if isinstance(leaf, jax.Array):
        return jnp.copy(leaf)
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


class Identities:
    """Which arrays there are. It equals a later one if all arrays are still the same objects.

    It does not keep the arrays alive.
    """

    def __init__(self, arrays: list[jax.Array]) -> None:
        self._arrays = [weakref.ref(array) for array in arrays]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identities) or len(self._arrays) != len(other._arrays):
            return False
        pairs = zip(self._arrays, other._arrays, strict=True)
        return all(one() is two() is not None for one, two in pairs)

    __hash__ = None  # type: ignore[assignment] # arrays come and go


def is_array(value: Any) -> bool:
    """Return whether a value is an array of JAX or of numpy."""
    return isinstance(value, (jax.Array, np.ndarray))


def is_key(value: Any) -> bool:
    """Return whether a value is an array of random keys, whose dtype numpy does not have."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _leaves(tree: Any) -> Iterator[tuple[str, tuple[str, ...], Any, bool]]:
    """Yield the name, path and value of each leaf, and whether it belongs to an optimizer."""
    names = UniqueNames()
    parts, _ = jax.tree_util.tree_flatten_with_path(tree, is_optax)
    for keys, part in parts:
        path = path_parts(keys)
        in_state = _is_train_state(tree) and path[0] in {"opt_state", "step"}
        of_optimizer = in_state or is_optax(part)
        for more, leaf in jax.tree_util.tree_flatten_with_path(part)[0]:
            full = (*path, *path_parts(more))
            yield names.claim("/".join(full)), full, leaf, of_optimizer


def is_optax(node: Any) -> bool:
    """Return whether an object is of optax: a state or a transformation of gradients."""
    return type(node).__module__.partition(".")[0] == "optax"


def _is_train_state(tree: Any) -> bool:
    return is_instance(tree, "flax.training.train_state", "TrainState")


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, (int, float, np.generic)) and not isinstance(leaf, bool)


def _as_stored(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def _storable(leaf: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(_as_stored(leaf))
    return array if array.dtype.kind in "biufc" else array.astype(np.float32)


def _like(leaf: Any, value: Any) -> Any:
    """Return a value in the form of a leaf, in memory of its own."""
    if is_key(leaf):
        if is_key(value):
            return jnp.copy(value)
        return jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(leaf))
    if isinstance(leaf, np.ndarray):
        return np.array(value, dtype=leaf.dtype)
    if not isinstance(leaf, jax.Array):
        return type(leaf)(value)
    if leaf.weak_type and not leaf.shape:
        # Numbers of optax are weakly typed, so that they leave the dtype of parameters as it is.
        return jnp.asarray(np.asarray(value).item())
    array = jnp.array(value, dtype=leaf.dtype)
    spread = len(leaf.sharding.device_set) > 1
    return jax.device_put(array, leaf.sharding) if spread else array
