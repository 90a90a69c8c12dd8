"""The state of an object of Flax NNX: a module or an optimizer."""

from __future__ import annotations

import sys
from typing import Any

import jax

from eventwriter.integrations.jax._modules import is_instance


class NnxObject:
    """Reads and changes the Variables of an object, as nested dicts of arrays.

    Args:
        held: A module or an `nnx.Optimizer`.
        random_keys: Whether the states of random keys belong to its state.
    """

    def __init__(self, held: Any, *, random_keys: bool) -> None:
        self._nnx = sys.modules["flax.nnx"]
        self._held = held
        # What a call leaves behind is no state: a new module does not have it.
        left_out = [self._nnx.Intermediate, self._nnx.Perturbation]
        left_out += [] if random_keys else [self._nnx.RngState]
        self._filter = self._nnx.Not(self._nnx.Any(*left_out))

    def state(self) -> Any:
        """Return the arrays of all Variables that are state."""
        return self._nnx.to_pure_dict(self._nnx.state(self._held, self._filter))

    def parameters(self) -> Any:
        """Return the trained Variables, as a state of Flax NNX."""
        return self._nnx.state(self._held, self._nnx.Param)

    def update(self, arrays: Any) -> None:
        """Put in arrays, nested as `state` returns them."""
        state = self._nnx.state(self._held, self._filter)
        self._nnx.replace_by_pure_dict(state, arrays)
        self._nnx.update(self._held, state)

    def modules(self) -> list[tuple[str, Any]]:
        """Return the modules inside, with their paths."""
        return [
            ("/".join(map(str, path)), module)
            for path, module in self._nnx.iter_modules(self._held)
        ]

    def in_evaluation(self) -> Any:
        """Return a copy of the module in evaluation mode."""
        module = self._nnx.clone(self._held)
        module.eval()
        return module


def plain(tree: Any) -> Any:
    """Return a state of Flax NNX as nested dicts, and any other tree unchanged."""
    if is_instance(tree, "flax.nnx", "State"):
        return sys.modules["flax.nnx"].to_pure_dict(tree)
    return tree


def in_form_of(original: Any, arrays: Any) -> Any:
    """Return what `plain` made of a tree in the form of that tree."""
    if not is_instance(original, "flax.nnx", "State"):
        return arrays
    state = jax.tree_util.tree_map(lambda leaf: leaf, original)
    sys.modules["flax.nnx"].replace_by_pure_dict(state, arrays)
    return state
