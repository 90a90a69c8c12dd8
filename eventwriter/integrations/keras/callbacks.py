"""Callbacks in the training of Keras 3, on any backend and without TensorFlow."""

from __future__ import annotations

from typing import Any

import keras

from eventwriter.integrations._callbacks import BaseCallbacks, BaseTensorBoard
from eventwriter.integrations.keras.view import KerasView


class Callbacks(BaseCallbacks, keras.callbacks.Callback):  # type: ignore[misc, unused-ignore] # untyped without keras
    """Lets callbacks of `eventwriter.callbacks` take part in Keras's `fit`.

        model.fit(x, y, callbacks=[Callbacks([TensorBoard("runs/a"), EarlyStopping("loss")])])

    Each `fit` is a new training. Evaluation counts only within `fit`, where it is validation.

    Keras does not tell its callbacks about an exception: see `BaseCallbacks`.

    Args:
        callbacks: Callbacks, and lists of callbacks.
        validation_data: (inputs, targets), for callbacks that look into the model; see `Loop`.
            Keras does not give its own validation data to callbacks.
    """

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Begin a training."""
        training = self._begin(KerasView(self._model), self.params or {})
        if training.initial_epoch:
            # `fit` reads this attribute after `on_train_begin`: Keras's own BackupAndRestore
            # sets it too.
            self._model._initial_epoch = training.initial_epoch

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """End the training."""
        if self._training is not None:
            if self._training.initial_epoch:
                self._model._initial_epoch = None
            self._end()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        if self._training is not None:
            self._training.epoch_begin(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell the callbacks, and stop Keras if one of them stops training."""
        if self._training is not None:
            self._training.epoch_end(epoch, logs or {})
            self._stop_if_asked()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        if self._training is not None:
            self._training.batch_begin(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell the callbacks, and stop Keras if one of them stops training."""
        if self._training is not None:
            self._training.batch_end(batch, logs or {})
            self._stop_if_asked()

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks, within `fit`."""
        if self._training is not None:
            self._training.test_begin()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks, within `fit`."""
        if self._training is not None:
            self._training.test_batch_begin(batch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell the callbacks, within `fit`."""
        if self._training is not None:
            self._training.test_batch_end(batch, logs or {})

    def on_test_end(self, logs: Any = None) -> None:
        """Tell the callbacks, within `fit`."""
        if self._training is not None:
            self._training.test_end(logs or {})

    def _stop_if_asked(self) -> None:
        if self._training is not None and self._training.stop_training:
            self._model.stop_training = True


class TensorBoard(BaseTensorBoard, Callbacks):
    """`eventwriter.callbacks.TensorBoard` in Keras's `fit`, with the same arguments."""
