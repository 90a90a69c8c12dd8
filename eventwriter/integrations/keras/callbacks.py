"""Callbacks in the training of Keras 3, on any backend and without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from eventwriter._warn import warn_caller
from eventwriter.callbacks import TensorBoard as _TensorBoard
from eventwriter.integrations.keras.view import KerasView
from eventwriter.training.training import Training

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable


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
            view=KerasView(self._model),
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
