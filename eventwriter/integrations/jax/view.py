"""What callbacks ask of a model in JAX: a pytree of parameters, or a module of Flax or Equinox."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from eventwriter._values.arrays import as_numpy
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.sources import build_graph
from eventwriter.integrations._paths import path_parts
from eventwriter.integrations.jax._layers import layer_outputs
from eventwriter.integrations.jax._modules import is_instance
from eventwriter.training.numpy_view import load_npz, save_npz
from eventwriter.training.optimizer_view import OptimizerView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EMBEDDINGS = (("flax.nnx", "Embed", "embedding"), ("equinox.nn", "Embedding", "weight"))
"""Embedding modules: package, class, and the attribute that holds the matrix."""


class JaxView(OptimizerView):
    """The view of parameters in JAX.

        params = init(key)

        def set_params(new):
            nonlocal params
            params = new

        JaxView(get=lambda: params, set=set_params, apply=predict, embeddings=("embed/table",))

    No object of JAX holds gradients. Call `loop.record_gradients(gradients)` with a pytree that has
    the structure of the parameters.

    Args:
        model: A Flax NNX module, which holds its parameters; or an Equinox module. An Equinox
            module cannot be changed, so training makes a new one: pass `get` and `set` then.
        optimizer: An object with a number `learning_rate`, or a dict with that key.
        get: A function that returns the parameters as they are now, a pytree of arrays.
        set: A function that takes new parameters. Without it nothing can be restored or loaded.
        apply: `apply(params, inputs)`, the forward pass of the model, for activations and the
            graph. Its layers are modules of Flax and Equinox, and each `jax.named_scope`. An NNX
            module needs no `apply`, because it is called itself.
        activations: `activations(params, inputs)` returns the outputs of the layers by name. It is
            used instead of the layers in `apply`.
        embeddings: The names of the weights that are embeddings, `[rows, width]`. The embedding
            modules of Flax NNX and Equinox are found without it.

    Attributes:
        model: The module. Without one, the parameters as they are now.

    Raises:
        ArgumentTypeError: There is neither a module nor `get`, or the optimizer has no learning
            rate.
    """

    def __init__(
        self,
        model: Any = None,
        optimizer: Any = None,
        *,
        get: Callable[[], Any] | None = None,
        set: Callable[[Any], Any] | None = None,  # noqa: A002 - get's counterpart
        apply: Callable[[Any, Any], Any] | None = None,
        activations: Callable[[Any, Any], Mapping[str, Any]] | None = None,
        embeddings: tuple[str, ...] = (),
    ) -> None:
        self._nnx = sys.modules["flax.nnx"] if is_instance(model, "flax.nnx") else None
        if model is None and get is None:
            raise ArgumentTypeError(
                "JaxView: expected a module or get=, got neither. Pass get=, a function that "
                "returns the parameters."
            )
        if is_instance(model, "flax.linen") and get is None:
            raise ArgumentTypeError(
                f"JaxView: expected parameters, got {type_name(model)}, a linen module, which "
                "holds none. Pass get=, a function that returns the parameters, and apply=."
            )
        if get is None and jax.tree_util.all_leaves([model]) and not _is_array(model):
            raise ArgumentTypeError(
                f"JaxView: expected a module or other parameters, got {type_name(model)}, "
                "which holds no arrays. Pass get=, a function that returns the parameters, and "
                "apply=."
            )
        super().__init__(optimizer)
        self._module = model
        self._get = get
        self._apply = apply
        self._activations = activations
        self._embeddings = embeddings
        updates_itself = self._nnx is not None and get is None
        self._set = self._update_module if set is None and updates_itself else set

    @property
    def model(self) -> Any:
        """The module. Without one, the parameters as they are now."""
        return self._parameters() if self._module is None else self._module

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`. The names are the paths in the pytree."""
        return self.names(self._parameters())

    def filters_first(self) -> bool | None:
        """See `ModelView.filters_first`. None for parameters that belong to no module."""
        if is_instance(self.model, "equinox"):
            return True
        is_flax = any(is_instance(self.model, f"flax.{part}") for part in ("nnx", "linen"))
        return False if is_flax else None

    def names(self, tree: Any) -> Mapping[str, Any]:
        """See `ModelView.names`."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(self._plain(tree))
        return {"/".join(path_parts(keys)): leaf for keys, leaf in leaves if _is_array(leaf)}

    def embeddings(self) -> Mapping[str, Any]:
        """See `ModelView.embeddings`."""
        weights = self.weights()
        missing = [name for name in self._embeddings if name not in weights]
        if missing:
            raise ArgumentTypeError(
                f"JaxView: embeddings: expected names among {list(weights)}, got {missing[0]!r}."
            )
        found = {name: weights[name] for name in self._embeddings}
        for path, layer in self._layers():
            for package, name, table in _EMBEDDINGS:
                if is_instance(layer, package, name) and f"{path}/{table}" in weights:
                    found[path] = weights[f"{path}/{table}"]
        return found

    def graph(self, inputs: Any) -> Any:
        """See `ModelView.graph`. None without a forward pass or without inputs."""
        if inputs is None or not self._has_forward_pass():
            return None
        function, arguments = self._call(inputs)
        return build_graph(function, arguments)

    def activations(self, inputs: Any) -> Mapping[str, Any] | None:
        """See `ModelView.activations`. None without a forward pass."""
        if self._activations is not None:
            return self._activations(self._parameters(), jax.tree_util.tree_map(_as_jax, inputs))
        if not self._has_forward_pass():
            return None
        function, arguments = self._call(inputs)
        return layer_outputs(function, arguments)

    def get_state(self) -> Any:
        """Return copies of the parameters: a training step may donate the memory of the originals.

        Without `set` the answer is None, because nothing could be put back.
        """
        if self._set is None:
            return None
        return [jnp.copy(leaf) for leaf in self.weights().values()]

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002
        """See `ModelView.suffix`."""
        return ".npz"

    def save(self, path: str, weights_only: bool) -> None:  # noqa: ARG002
        """Write the parameters by name as npz, without pickle.

        A dtype that npz does not have is written as float32. The view does not know the state of
        the optimizer: to save it, return it from `get` with the parameters.
        """
        save_npz(path, {name: _storable(leaf) for name, leaf in self.weights().items()})

    def can_load(self) -> bool:
        """See `ModelView.can_load`: True with `set`."""
        return self._set is not None

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        self.set_state(list(load_npz(path, self.weights()).values()))

    def set_state(self, state: Any) -> None:
        """See `ModelView.set_state`."""
        if self._set is None:
            self._refuse("set_state")
        parameters = self._plain(self._parameters())
        leaves, definition = jax.tree_util.tree_flatten(parameters)
        new = iter(state)
        leaves = [
            jnp.array(next(new), dtype=leaf.dtype) if _is_array(leaf) else leaf for leaf in leaves
        ]
        self._set(jax.tree_util.tree_unflatten(definition, leaves))

    def _update_module(self, parameters: Any) -> None:
        assert self._nnx is not None
        state = self._nnx.state(self._module, self._nnx.Param)
        self._nnx.replace_by_pure_dict(state, parameters)
        self._nnx.update(self._module, state)

    def _has_forward_pass(self) -> bool:
        return self._apply is not None or self._nnx is not None

    def _parameters(self) -> Any:
        if self._get is not None:
            return self._get()
        if self._nnx is not None:
            return self._nnx.state(self._module, self._nnx.Param)
        return self._module

    def _plain(self, tree: Any) -> Any:
        """Return a state of Flax NNX as nested dicts, and any other tree unchanged."""
        if self._nnx is not None and isinstance(tree, self._nnx.State):
            return self._nnx.to_pure_dict(tree)
        return tree

    def _layers(self) -> list[tuple[str, Any]]:
        """Return the modules inside the model, with their paths."""
        if self._nnx is not None:
            return [
                ("/".join(map(str, path)), module)
                for path, module in self._nnx.iter_modules(self._module)
            ]
        found: list[tuple[str, Any]] = []

        def visit(keys: Any, node: Any) -> None:
            children, _ = jax.tree_util.tree_flatten_with_path(node, lambda part: part is not node)
            for more, child in children:
                if child is not node and not _is_array(child):
                    found.append(("/".join(path_parts((*keys, *more))), child))
                    visit((*keys, *more), child)

        visit((), self._parameters())
        return found

    def _call(self, inputs: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return a function and its arguments for a forward pass in evaluation mode."""
        inputs = jax.tree_util.tree_map(_as_jax, inputs)
        if self._apply is not None:
            return self._apply, (self._parameters(), inputs)
        assert self._nnx is not None
        module = self._nnx.clone(self._module)
        module.eval()
        return module, inputs if isinstance(inputs, tuple) else (inputs,)


def _is_array(value: Any) -> bool:
    return isinstance(value, (jax.Array, np.ndarray))


def _as_jax(value: Any) -> Any:
    return (
        value if isinstance(value, jax.Array) else jnp.asarray(as_numpy(value, "JaxView: inputs"))
    )


def _storable(leaf: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(leaf)
    return array if array.dtype.kind in "biufc" else array.astype(np.float32)


View = JaxView
