"""Callbacks in Keras 3, on any backend and without TensorFlow; and what they ask of its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from eventwriter._warn import warn_caller
from eventwriter.callbacks import TensorBoard as _TensorBoard
from eventwriter.errors import ArgumentTypeError
from eventwriter.graphs.sources import build_graph
from eventwriter.training.training import Training

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping


class KerasView:
    """The view of a Keras model; see `eventwriter.callbacks.ModelView`.

    Args:
        model: A built model.
        optimizer: By default the one that it was compiled with.

    Attributes:
        model: The model.
    """

    def __init__(self, model: Any, optimizer: Any = None) -> None:
        if not isinstance(model, keras.Model):
            raise ArgumentTypeError(
                f"KerasView: expected a keras.Model, got {type(model).__name__}."
            )
        self.model = model
        self._optimizer: Any = getattr(model, "optimizer", None) if optimizer is None else optimizer
        if self._optimizer is not None:
            # A part that is missing is told of by who needs it: see `ModelView`.
            self.get_learning_rate = self._get_learning_rate
            self.set_learning_rate = self._set_learning_rate

    def weights(self) -> Mapping[str, Any]:
        """See `ModelView.weights`; the names are Keras's paths."""
        return {weight.path: weight.value for weight in self._synced().weights}

    def gradients(self, batch: tuple[Any, ...] | None) -> Mapping[str, Any]:
        """Those of the compiled loss on `batch`, outside of training mode.

        Returns:
            Arrays by the weights' paths; none without a batch or a loss, or where Keras's backend
            is neither JAX nor torch.
        """
        model = self._synced()
        function = {"jax": _jax_gradients, "torch": _torch_gradients}.get(keras.backend.backend())
        if batch is None or function is None or not model.compiled:
            return {}
        # Training may not have asked for targets in tensors: losses do.
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
        """The outputs of all layers for one batch, by the layers' names, outside of training mode.

        Those of a layer that is called again get "_1", and so on, as do further outputs.
        """
        found: dict[str, Any] = {}
        model = self._synced()
        layers = list(_layers(model))
        try:
            for name, layer in layers:
                # Keras calls what the instance has under this name.
                object.__setattr__(layer, "call", _recorded(layer.call, name, found))
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
        if weights_only:
            model.save_weights(path, overwrite=True)
        else:
            model.save(path, overwrite=True)

    def load(self, path: str) -> None:
        """See `ModelView.load`."""
        model = self._synced()
        if self._optimizer is not None:
            self._optimizer.build(model.trainable_variables)  # so that its state has a place
        if path.endswith(".weights.h5"):
            model.load_weights(path)
            return
        saved = keras.saving.load_model(path)
        model.set_weights(saved.get_weights())
        if self._optimizer is not None and getattr(saved, "optimizer", None) is not None:
            pairs = zip(self._optimizer.variables, saved.optimizer.variables, strict=True)
            for variable, value in pairs:
                variable.assign(value)

    def _get_learning_rate(self) -> float:
        self._synced()
        rate = self._optimizer.learning_rate  # a variable, or of a schedule a tensor
        return float(keras.ops.convert_to_numpy(getattr(rate, "value", rate)))

    def _set_learning_rate(self, learning_rate: float) -> None:
        self._synced()
        try:
            self._optimizer.learning_rate = learning_rate
        except TypeError as error:
            raise ArgumentTypeError(
                "the optimizer's learning rate is a schedule, which callbacks cannot set: "
                "compile the model with a number."
            ) from error

    def _synced(self) -> Any:
        """The model; on JAX, with its variables as they are in training."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        return self.model


def _jax_gradients(loss: Callable[[], Any], variables: list[Any]) -> Any:
    import jax  # noqa: PLC0415 - Keras has loaded it, if it is its backend

    def of(values: list[Any]) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return loss()

    return jax.grad(of)([variable.value for variable in variables])


def _torch_gradients(loss: Callable[[], Any], variables: list[Any]) -> Any:
    import torch  # noqa: PLC0415 - as above

    values = [variable.value for variable in variables]
    with torch.enable_grad():
        return torch.autograd.grad(loss(), values, allow_unused=True)


def _layers(model: Any, scope: str = "") -> Iterator[tuple[str, Any]]:
    """The layers within a model and the models in it, by name."""
    for layer in model.layers:
        name = scope + layer.name
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{name}/")
        elif not isinstance(layer, keras.layers.InputLayer):
            yield name, layer


def _recorded(call: Callable[..., Any], name: str, found: dict[str, Any]) -> Callable[..., Any]:
    def recorded(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        for output in keras.tree.flatten(outputs):
            unique, number = name, 0
            while unique in found:
                number += 1
                unique = f"{name}_{number}"
            found[unique] = output
        return outputs

    return recorded


class Callbacks(keras.callbacks.Callback):  # type: ignore[misc, unused-ignore] # untyped without it
    """Lets callbacks of `eventwriter.callbacks` take part in Keras's `fit`.

        model.fit(x, y, callbacks=[Callbacks([TensorBoard("runs/a"), EarlyStopping()])])

    They are told of a new training by each `fit`. Keras says nothing of an exception: what was
    logged before it is written all the same, within seconds or at the interpreter's exit; to have
    the callbacks closed at once, use this as a context manager around `fit`.

    Args:
        callbacks: Callbacks, and lists of them.
        validation_data: For callbacks that look into the model, as in `Loop`: Keras does not hand
            its own on.
    """

    def __init__(self, callbacks: Iterable[Any], *, validation_data: Any = None) -> None:
        super().__init__()
        self._callbacks = list(callbacks)
        self._validation_data = validation_data
        self._training: Training | None = None

    def __enter__(self) -> Callbacks:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        interrupted = exc_type is not None and issubclass(exc_type, KeyboardInterrupt)
        self._end("interrupted" if interrupted else "failed")

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        """Begins a training."""
        self._end("failed")  # one that an exception ended
        self._training = Training(
            self._model,
            self._callbacks,
            validation_data=self._validation_data,
            params=self.params or {},
        )
        self._training.begin()
        if self._training.initial_epoch:
            # What Keras's own BackupAndRestore does.
            self._model._initial_epoch = self._training.initial_epoch

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        """Ends it."""
        training = self._training
        if training is not None:
            if training.initial_epoch:
                self._model._initial_epoch = None
            self._end("stopped" if training.stop_training else "finished")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Passes it on."""
        if self._training is not None:
            self._training.epoch_begin(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Passes it on, and a callback's stop back."""
        if self._training is not None:
            self._training.epoch_end(epoch, logs or {})
            self._pass_stop_on()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Passes it on."""
        if self._training is not None:
            self._training.batch_begin(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Passes it on, and a callback's stop back."""
        if self._training is not None:
            self._training.batch_end(batch, logs or {})
            self._pass_stop_on()

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        """Passes it on, within `fit`."""
        if self._training is not None:
            self._training.test_begin()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Passes it on, within `fit`."""
        if self._training is not None:
            self._training.test_batch_begin(batch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Passes it on, within `fit`."""
        if self._training is not None:
            self._training.test_batch_end(batch, logs or {})

    def on_test_end(self, logs: Any = None) -> None:
        """Passes it on, within `fit`."""
        if self._training is not None:
            self._training.test_end(logs or {})

    def _pass_stop_on(self) -> None:
        if self._training is not None and self._training.stop_training:
            self._model.stop_training = True

    def _end(self, status: str) -> None:
        training, self._training = self._training, None
        if training is not None:
            training.end(status)


class TensorBoard(Callbacks):
    """`eventwriter.callbacks.TensorBoard` in Keras's `fit`, with the arguments of Keras's own.

    Args:
        log_dir: This and the following as in `eventwriter.callbacks.TensorBoard`.
        histogram_freq: See there.
        write_graph: See there.
        write_images: See there.
        write_steps_per_second: See there.
        update_freq: See there.
        profile_batch: Has no effect here; anything but 0 is warned of.
        embeddings_freq: See there.
        embeddings_metadata: See there.
        write_gradients: See there.
        write_activations: See there.
        tag_style: See there.
        validation_data: (inputs, targets), for activations and gradients.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        *,
        write_gradients: bool = True,
        write_activations: bool = True,
        tag_style: str = "keras3",
        validation_data: Any = None,
    ) -> None:
        if profile_batch:
            warn_caller("TensorBoard: profile_batch has no effect: nothing is profiled.")
        callback = _TensorBoard(
            log_dir,
            histogram_freq=histogram_freq,
            write_graph=write_graph,
            write_images=write_images,
            write_gradients=write_gradients,
            write_activations=write_activations,
            update_freq=update_freq,
            embeddings_freq=embeddings_freq,
            embeddings_metadata=embeddings_metadata,
            write_steps_per_second=write_steps_per_second,
            tag_style=tag_style,
        )
        super().__init__([callback], validation_data=validation_data)
