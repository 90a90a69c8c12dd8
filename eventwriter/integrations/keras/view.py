"""What callbacks ask of a Keras model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


class KerasView(ModelView):
    """The view of a Keras model.

    Args:
        model: A built model.
        optimizer: None means the optimizer with which the model was compiled.

    Attributes:
        model: The model.

    Raises:
        ArgumentTypeError: `model` is no Keras model.
    """

    def __init__(self, model: Any, optimizer: Any = None) -> None:
        if not isinstance(model, keras.Model):
            raise ArgumentTypeError(f"KerasView: expected a keras.Model, got {type_name(model)}.")
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
            else:
                model.save(str(temporary))

    def can_load(self) -> bool:
        """See `ModelView.can_load`."""
        return True

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        model = self._synced()
        if self._optimizer is not None:
            # This makes the variables that hold the state of the optimizer.
            self._optimizer.build(model.trainable_variables)
        if path.endswith(".weights.h5"):
            model.load_weights(path)
            return
        saved = keras.saving.load_model(path)
        model.set_weights(saved.get_weights())
        if self._optimizer is not None and getattr(saved, "optimizer", None) is not None:
            pairs = zip(self._optimizer.variables, saved.optimizer.variables, strict=True)
            for variable, value in pairs:
                variable.assign(value)

    def get_learning_rate(self) -> float | None:
        """See `ModelView.get_learning_rate`; None without an optimizer."""
        if self._optimizer is None:
            return None
        self._synced()
        rate = self._optimizer.learning_rate  # a variable; a schedule gives a tensor
        return float(keras.ops.convert_to_numpy(getattr(rate, "value", rate)))

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`.

        Raises:
            ArgumentTypeError: There is no optimizer, or a schedule sets its learning rate.
        """
        if self._optimizer is None:
            self._refuse("set_learning_rate")
        self._synced()
        try:
            self._optimizer.learning_rate = learning_rate
        except TypeError as error:
            raise ArgumentTypeError(
                "KerasView.set_learning_rate: expected an optimizer whose learning rate is a "
                "number, got one with a schedule, which callbacks cannot set. Compile the model "
                "with a number."
            ) from error

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
