"""What callbacks ask of a Keras model."""

from __future__ import annotations

import contextlib
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np

from eventwriter._file.whole_file import whole_path
from eventwriter._imports import importing
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.sources import build_graph
from eventwriter.graphs.unique_names import UniqueNames
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MULTI_OPTIMIZER: Any = getattr(keras.optimizers, "MultiOptimizer", ())
"""A class for `isinstance`. Keras has it since 3.15."""


class KerasView(ModelView):
    """The view of a Keras model.

    Args:
        model: A built model.
        optimizer: None means the optimizer with which the model was compiled.

    Attributes:
        model: The model.

    Raises:
        ArgumentTypeError: `model` is no Keras model, or `optimizer` no optimizer of Keras.
    """

    def __init__(self, model: Any, optimizer: Any = None) -> None:
        if not isinstance(model, keras.Model):
            raise ArgumentTypeError(f"KerasView: expected a keras.Model, got {type_name(model)}.")
        if not isinstance(optimizer, (keras.optimizers.Optimizer, type(None))):
            raise ArgumentTypeError(
                "KerasView: optimizer: expected a keras.optimizers.Optimizer, got "
                f"{type_name(optimizer)}. Pass view= an object that knows this optimizer, derived "
                "from KerasView."
            )
        self.model = model
        self._optimizer: Any = getattr(model, "optimizer", None) if optimizer is None else optimizer

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`. The names are the paths of Keras, such as "dense/kernel"."""
        return {weight.path: weight.value for weight in self._synced().weights}

    def filters_first(self) -> bool:
        """See `ModelView.filters_first`. Keras has one layout on every backend."""
        return False

    def gradients(self, batch: tuple[Any, ...] | None) -> Mapping[str, Any]:
        """Return the gradients of the compiled loss on `batch`, outside of training mode.

        Returns:
            Arrays by the paths of the weights. They are empty without a batch, without a loss, and
            on a backend of Keras other than JAX and torch.
        """
        model = self._synced()
        function = {"jax": _jax_gradients, "torch": _torch_gradients}.get(keras.backend.backend())
        if batch is None or function is None or not model.compiled:
            return {}
        # `fit` also takes targets that are no tensors, but losses need tensors.
        inputs, targets, *weights = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)

        def loss() -> Any:
            outputs = model(inputs, training=False)
            return model.compute_loss(inputs, targets, outputs, *weights)

        variables = model.trainable_variables
        gradients = function(loss, variables)
        paths = [variable.path for variable in variables]
        found = zip(paths, gradients, strict=True)
        return {path: gradient for path, gradient in found if gradient is not None}

    def activations(self, inputs: Any) -> Mapping[str, Any]:
        """Return the outputs of all layers for one batch, outside of training mode.

        A name is the name of the layer. A layer that is called again, or that has several outputs,
        gets further names with "_1", "_2" and so on.
        """
        found: dict[str, Any] = {}
        names = UniqueNames()
        model = self._synced()
        layers = list(_layers(model))
        try:
            for name, layer in layers:
                # Keras calls `layer.call`, so an attribute of the instance comes before the method.
                object.__setattr__(layer, "call", _recorded(layer.call, name, names, found))
            model(keras.tree.map_structure(keras.ops.convert_to_tensor, inputs), training=False)
        finally:
            for _, layer in layers:
                vars(layer).pop("call", None)
        return found

    def embeddings(self) -> Mapping[str, Any]:
        """See `ModelView.embeddings`."""
        return {
            name: layer.embeddings.value
            for name, layer in _layers(self._synced())
            if isinstance(layer, keras.layers.Embedding)
        }

    def graph(self, inputs: Any) -> Any:
        """See `ModelView.graph`."""
        return build_graph(self._synced(), inputs)

    def get_state(self) -> list[Any]:
        """See `ModelView.get_state`."""
        return [np.array(weight) for weight in self._synced().get_weights()]

    def set_state(self, state: list[Any]) -> None:
        """See `ModelView.set_state`."""
        self._synced().set_weights(state)

    def suffix(self, weights_only: bool) -> str:
        """See `ModelView.suffix`."""
        return ".weights.h5" if weights_only else ".keras"

    def save(self, path: str, weights_only: bool) -> None:
        """See `ModelView.save`."""
        model = self._synced()
        with whole_path(path) as temporary:
            if weights_only:
                model.save_weights(str(temporary))
                return
            with _with_optimizer(model, self._optimizer):
                model.save(str(temporary))

    def backup_suffix(self) -> str:
        """See `ModelView.backup_suffix`."""
        return ".weights.h5"

    def save_backup(self, path: str) -> None:
        """Write the weights and the optimizer, so that any model has a backup.

        A `.keras` file also holds the code of the model. It cannot be written for some models with
        a class of the user's own, and not be read with a loss of the user's own.
        """
        model = self._synced()
        with whole_path(path) as temporary, _with_optimizer(model, self._optimizer):
            model.save_weights(str(temporary))

    def can_load(self) -> bool:
        """See `ModelView.can_load`."""
        return True

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        model = self._synced()
        optimizer = self._optimizer if _holds_optimizer(path) else None
        if optimizer is not None:
            # This makes the variables that hold the state of the optimizer.
            optimizer.build(model.trainable_variables)
        with _with_optimizer(model, optimizer):
            # Only numbers are read. The model itself is there, so its code need not be in the file.
            model.load_weights(path)

    def get_learning_rate(self) -> float | None:
        """See `ModelView.get_learning_rate`; None without an optimizer.

        Of a MultiOptimizer this is the learning rate of its first optimizer.
        """
        self._synced()
        return next(map(_rate, self._optimizers()), None)

    def get_learning_rates(self) -> Mapping[str, float] | None:
        """See `ModelView.get_learning_rates`. The names are those of a MultiOptimizer's parts."""
        optimizers = self._optimizers()
        if len(optimizers) < 2:
            return None
        self._synced()
        names = UniqueNames()
        return {names.claim(optimizer.name): _rate(optimizer) for optimizer in optimizers}

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`.

        Of a MultiOptimizer the first optimizer gets this learning rate. The others keep their ratio
        to it.

        Raises:
            ArgumentTypeError: There is no optimizer, or a schedule sets its learning rate.
        """
        first = self.get_learning_rate()
        if first is None:
            self._refuse("set_learning_rate")
        try:
            for optimizer in self._optimizers():
                ratio = _rate(optimizer) / first if first else 1.0
                optimizer.learning_rate = learning_rate * ratio
        except (TypeError, AttributeError) as error:  # a function has no `assign`
            raise ArgumentTypeError(
                "KerasView.set_learning_rate: expected an optimizer whose learning rate is a "
                "number, got one with a schedule or a function, which callbacks cannot set. "
                "Compile the model with a number."
            ) from error

    def trained_batches(self) -> int:
        """Return how many batches the optimizer has been given; 0 without one."""
        if self._optimizer is None:
            return 0
        self._synced()
        updates = int(keras.ops.convert_to_numpy(self._optimizer.iterations))
        return updates * (self._optimizer.gradient_accumulation_steps or 1)

    def _optimizers(self) -> list[Any]:
        """Return the optimizers that have a learning rate."""
        if isinstance(self._optimizer, _MULTI_OPTIMIZER):
            return list(self._optimizer.optimizers)
        return [] if self._optimizer is None else [self._optimizer]

    def _synced(self) -> Any:
        """Return the model. On JAX, first give its variables the values that training has."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        return self.model


def _jax_gradients(loss: Callable[[], Any], variables: list[Any]) -> Any:
    with importing():
        import jax  # noqa: PLC0415 - Keras has loaded its backend

    def of(values: list[Any]) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return loss()

    return jax.grad(of)([variable.value for variable in variables])


def _torch_gradients(loss: Callable[[], Any], variables: list[Any]) -> Any:
    with importing():
        import torch  # noqa: PLC0415 - Keras has loaded its backend

    values = [variable.value for variable in variables]
    with torch.enable_grad():
        return torch.autograd.grad(loss(), values, allow_unused=True)


@contextlib.contextmanager
def _with_optimizer(model: Any, optimizer: Any) -> Iterator[None]:
    """Let a model save and load an optimizer, which may not be the one it was compiled with.

    Args:
        model: Keras saves and loads its attribute `optimizer` with it.
        optimizer: None means that no optimizer is saved or loaded.
    """
    attributes = vars(model)  # `setattr` would track what it gets
    had, before = "optimizer" in attributes, attributes.get("optimizer")
    attributes["optimizer"] = optimizer
    try:
        yield
    finally:
        if had:
            attributes["optimizer"] = before
        else:
            del attributes["optimizer"]


def _holds_optimizer(path: str) -> bool:
    """Return whether a file of Keras has the state of an optimizer."""
    with contextlib.ExitStack() as stack:
        file: Any = path
        if path.endswith(".keras"):
            archive = stack.enter_context(zipfile.ZipFile(path))
            file = stack.enter_context(archive.open("model.weights.h5"))
        weights = stack.enter_context(h5py.File(file))
        return len(weights.get("optimizer/vars", ())) > 0


def _rate(optimizer: Any) -> float:
    rate = optimizer.learning_rate  # a variable; a schedule gives a tensor
    return float(keras.ops.convert_to_numpy(getattr(rate, "value", rate)))


def _layers(model: Any, scope: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model and of the models inside it, with their names."""
    for layer in model.layers:
        name = scope + layer.name
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{name}/")
        elif not isinstance(layer, keras.layers.InputLayer):
            yield name, layer


def _recorded(
    call: Callable[..., Any], name: str, names: UniqueNames, found: dict[str, Any]
) -> Callable[..., Any]:
    """A layer's `call` that also notes its outputs in `found`."""

    def recorded(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        for output in keras.tree.flatten(outputs):
            found[names.claim(name)] = output
        return outputs

    return recorded


View = KerasView
