"""What callbacks ask of a model in JAX: a pytree of parameters, or a module of Flax or Equinox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from eventwriter._values.arrays import as_numpy
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.sources import build_graph
from eventwriter.integrations._paths import path_parts
from eventwriter.integrations.jax import _state
from eventwriter.integrations.jax._layers import layer_outputs
from eventwriter.integrations.jax._modules import is_instance
from eventwriter.integrations.jax._nnx import NnxObject, in_form_of, plain
from eventwriter.integrations.jax._state import State, is_array
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

    A module of Equinox cannot be changed, and neither can a `TrainState`: each step makes a new
    one. `get` returns the one of now. It may return the state of the optimizer too, which is then
    part of checkpoints and backups:

        JaxView(get=lambda: (model, opt_state), apply=lambda both, x: jax.vmap(both[0])(x))

    No object of JAX holds gradients. Call `loop.record_gradients(gradients)` with a pytree that has
    the structure of the parameters.

    Args:
        model: A Flax NNX module, or dicts and lists of arrays that training changes in place:
            `params["dense"]["kernel"] = new`. For all else pass `get`.
        optimizer: An `nnx.Optimizer`; or an object with a number `learning_rate`, or a dict with
            that key. A learning rate that `optax.inject_hyperparams` keeps is found in an
            `nnx.Optimizer`, and in what `get` returns.
        get: A function that returns the parameters as they are now: a pytree of arrays, such as
            the variables of linen, a `TrainState`, or a tuple (parameters, state of optax).
        set: A function that takes what `get` returns, with other arrays in it. Without it nothing
            can be restored or loaded.
        apply: `apply(params, inputs)`, the forward pass of the model, for activations and the
            graph. It gets what `get` returns. Its layers are modules of Flax and Equinox, and each
            `jax.named_scope`. An NNX module needs no `apply`, because it is called itself.
        activations: `activations(params, inputs)` returns the outputs of the layers by name. It is
            used instead of the layers in `apply`.
        embeddings: The names of the weights that are embeddings, `[rows, width]`. The embedding
            modules of Flax NNX and Equinox are found without it.
        random_keys: Whether the random keys of an NNX module, such as those of its dropout, are
            saved and restored too. By default a training that continues draws other numbers.

    Attributes:
        model: The module. Without one, what `get` returns now.

    Raises:
        ArgumentTypeError: `model` cannot be changed and there is no `get`, or the optimizer has no
            learning rate.
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
        random_keys: bool = False,
    ) -> None:
        is_nnx = is_instance(model, "flax.nnx")
        if get is None and not is_nnx:
            _check_changes(model)
        self._nnx = NnxObject(model, random_keys=random_keys) if is_nnx and get is None else None
        self._nnx_optimizer: NnxObject | None = None
        if is_instance(optimizer, "flax.nnx", "Optimizer"):
            self._nnx_optimizer = NnxObject(optimizer, random_keys=random_keys)
            optimizer = None
        elif _state.is_optax(optimizer):
            raise ArgumentTypeError(
                "JaxView: optimizer: expected an nnx.Optimizer, or an object or a dict with a "
                f"learning_rate, got {type_name(optimizer)} of optax, which no step changes. "
                "Return the state of optax from get=, beside the parameters: "
                "get=lambda: (params, opt_state)."
            )
        super().__init__(optimizer)
        self._module = model
        self._get = get
        self._apply = apply
        self._activations = activations
        self._embeddings = embeddings
        self._set = self._put_in if set is None and get is None else set

    @property
    def model(self) -> Any:
        """The module. Without one, what `get` returns now."""
        stays = self._get is None or is_instance(self._module, "flax.linen")
        return self._module if stays else self._parameters()

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`. The names are the paths in the pytree of the parameters."""
        return _state.weights_of(plain(self._parameters()))

    def filters_first(self) -> bool | None:
        """See `ModelView.filters_first`. None for parameters that belong to no module."""
        if is_instance(_state.trained_part(self.model), "equinox"):
            return True
        is_flax = any(is_instance(self.model, f"flax.{part}") for part in ("nnx", "linen"))
        return False if is_flax else None

    def names(self, tree: Any) -> Mapping[str, Any]:
        """See `ModelView.names`."""
        return _state.weights_of(plain(tree))

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

    def get_learning_rate(self) -> float | None:
        """Return the first learning rate of the optimizer.

        None if no state holds one, and if it cannot be set: without `set`, and where a schedule of
        optax sets it at each step.
        """
        tree = self._optimizer_tree()
        rates = _state.learning_rates(tree)
        if not rates:
            return super().get_learning_rate()
        return float(next(iter(rates.values()))) if self._can_set_rates(tree) else None

    def get_learning_rates(self) -> Mapping[str, float] | None:
        """See `ModelView.get_learning_rates`. The names are the paths of their states.

        A single one that cannot be set is here too.
        """
        tree = self._optimizer_tree()
        rates = _state.learning_rates(tree)
        if len(rates) < 2 and self._can_set_rates(tree):
            return None
        end = "/".join(_state.LEARNING_RATE)
        names = {name: name.removesuffix(end).removesuffix("/") or "optimizer" for name in rates}
        return {names[name]: float(rate) for name, rate in rates.items()} or None

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the first learning rate of the optimizer; the others keep their ratio to it."""
        tree = self._optimizer_tree()
        rates = _state.learning_rates(tree)
        if not rates:
            super().set_learning_rate(learning_rate)
            return
        if not self._can_set_rates(tree):
            self._refuse("set_learning_rate")
        first = float(next(iter(rates.values())))
        new = {
            name: learning_rate * (float(rate) / first if first else 1.0)
            for name, rate in rates.items()
        }
        if self._nnx_optimizer is not None:
            self._nnx_optimizer.update(_state.replaced(tree, new))
        else:
            self._replace(new)

    def _can_set_rates(self, tree: Any) -> bool:
        can_change = self._nnx_optimizer is not None or self._set is not None
        return can_change and not _state.has_schedule(tree)

    def get_state(self) -> Any:
        """Return copies of the model's state: a training step may donate the originals' memory.

        The state is all arrays that `get` returns, or every Variable of an NNX module: the
        statistics of BatchNorm too, but not what `sow` collects, nor random keys without
        `random_keys`. The state of the optimizer is not in it.

        Without `set` the answer is None, because nothing could be put back.
        """
        if self._set is None:
            return None
        return {name: _state.copied(leaf) for name, leaf in self._whole_state().model.items()}

    def set_state(self, state: Any) -> None:
        """See `ModelView.set_state`."""
        if self._set is None:
            self._refuse("set_state")
        self._replace(state)

    def suffix(self, weights_only: bool) -> str:  # noqa: ARG002
        """See `ModelView.suffix`."""
        return ".npz"

    def save(self, path: str, weights_only: bool) -> None:
        """Write the state of the model and of the optimizer by name as npz, without pickle.

        A name of the optimizer begins with "optimizer:". Its state is that of an `nnx.Optimizer`,
        or the state of optax in what `get` returns. A dtype that npz does not have is written as
        float32.
        """
        _state.save(path, self._whole_state(), weights_only=weights_only)

    def can_load(self) -> bool:
        """See `ModelView.can_load`: True with `set`."""
        return self._set is not None

    def load(self, path: str) -> None:
        """Read a file of `save`.

        Raises:
            ArgumentValueError: The file is of another model or of another optimizer.
        """
        if self._set is None:
            self._refuse("load")
        found = _state.load(path, self._whole_state())
        if self._nnx_optimizer is None:
            self._replace({**found.model, **found.optimizer})
            return
        self.set_state(found.model)
        tree = self._nnx_optimizer.state()
        self._nnx_optimizer.update(_state.replaced(tree, found.optimizer))

    def version(self) -> Any:
        """See `ModelView.version`. None if there are arrays of numpy, which keep their place."""
        arrays = list(self.weights().values())
        if not arrays or not all(isinstance(array, jax.Array) for array in arrays):
            return None
        return _state.Identities(arrays)

    def _whole_state(self) -> State:
        state = _state.state_of(self._tree())
        if self._nnx_optimizer is None:
            return state
        of_optimizer = _state.state_of(self._nnx_optimizer.state())
        return State(state.model, {**of_optimizer.model, **of_optimizer.optimizer})

    def _optimizer_tree(self) -> Any:
        """Return the pytree that holds the state of the optimizer."""
        return self._tree() if self._nnx_optimizer is None else self._nnx_optimizer.state()

    def _put_in(self, tree: Any) -> None:
        """Change a model that `get` does not return."""
        if self._nnx is not None:
            self._nnx.update(tree)
        else:
            _state.replace_in_place(self._module, tree)

    def _replace(self, new: Mapping[str, Any]) -> None:
        """Exchange arrays of `_tree`, by name."""
        assert self._set is not None
        tree = _state.replaced(self._tree(), new)
        self._set(tree if self._get is None else in_form_of(self._get(), tree))

    def _tree(self) -> Any:
        """Return all that is saved: the parameters, and what stands beside them."""
        return plain(self._parameters()) if self._nnx is None else self._nnx.state()

    def _has_forward_pass(self) -> bool:
        return self._apply is not None or self._nnx is not None

    def _parameters(self) -> Any:
        if self._get is not None:
            return self._get()
        return self._module if self._nnx is None else self._nnx.parameters()

    def _layers(self) -> list[tuple[str, Any]]:
        """Return the modules inside the model, with their paths."""
        if self._nnx is not None:
            return self._nnx.modules()
        found: list[tuple[str, Any]] = []

        def visit(keys: Any, node: Any) -> None:
            children, _ = jax.tree_util.tree_flatten_with_path(node, lambda part: part is not node)
            for more, child in children:
                if child is not node and not is_array(child):
                    found.append(("/".join(path_parts((*keys, *more))), child))
                    visit((*keys, *more), child)

        visit((), _state.trained_part(plain(self._parameters())))
        return found

    def _call(self, inputs: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return a function and its arguments for a forward pass in evaluation mode."""
        inputs = jax.tree_util.tree_map(_as_jax, inputs)
        if self._apply is not None:
            return self._apply, (self._parameters(), inputs)
        assert self._nnx is not None
        return self._nnx.in_evaluation(), inputs if isinstance(inputs, tuple) else (inputs,)


def _check_changes(model: Any) -> None:
    """Raise an error if a training step cannot change a model, but must make a new one."""
    if model is None:
        raise ArgumentTypeError(
            "JaxView: expected a module or get=, got neither. Pass get=, a function that "
            "returns the parameters."
        )
    if is_instance(model, "flax.linen"):
        raise ArgumentTypeError(
            f"JaxView: expected parameters, got {type_name(model)}, a linen module, which "
            "holds none. Pass get=, a function that returns the parameters, and apply=."
        )
    if not _state.state_of(model).model:
        raise ArgumentTypeError(
            f"JaxView: expected a module or other parameters, got {type_name(model)}, "
            "which holds no arrays. Pass get=, a function that returns the parameters, and "
            "apply=."
        )
    if not isinstance(model, (dict, list)):
        raise ArgumentTypeError(
            f"JaxView: expected a model that training changes in place, got {type_name(model)}, "
            "which cannot be changed: each step makes a new one, and this one stays untrained. "
            "Pass view=JaxView(get=lambda: model, set=..., apply=...), where `model` is the name "
            "to which the training step assigns."
        )


def _as_jax(value: Any) -> Any:
    return (
        value if isinstance(value, jax.Array) else jnp.asarray(as_numpy(value, "JaxView: inputs"))
    )


View = JaxView
