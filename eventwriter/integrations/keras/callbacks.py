"""Callbacks in the training of Keras 3, on any backend and without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from eventwriter.integrations._callbacks import BaseCallbacks, BaseTensorBoard
from eventwriter.integrations.keras.view import KerasView

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


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

    _batches = 0  # of the current epoch

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
            self._batches = 0
            self._training.epoch_begin(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell the callbacks, and stop Keras if one of them stops training."""
        if self._training is not None:
            _share(self._training.epoch_end(epoch, logs or {}), logs)
            self._stop_if_asked()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        if self._training is not None:
            self._training.batch_begin(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell the callbacks, and stop Keras if one of them stops training."""
        if self._training is not None:
            batches = self._batches_in_call(batch)
            self._batches += batches
            _share(self._training.batch_end(self._batches - 1, logs or {}, batches=batches), logs)
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
            _share(self._training.test_batch_end(batch, logs or {}), logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Tell the callbacks, within `fit`."""
        if self._training is not None:
            _share(self._training.test_end(logs or {}), logs)

    def _batches_in_call(self, batch: int) -> int:
        """Return how many batches ended, when Keras tells that `batch` has ended.

        Keras tells of one call, which trains several batches with `steps_per_execution`. It counts
        the last call of an epoch as a full one, although fewer batches may have been left. Their
        number is known only if the training data have a length.
        """
        end = batch + 1
        if self._model.steps_per_execution > 1:
            end = min(end, (self.params or {}).get("steps") or end)
        return max(end - self._batches, 1)

    def _stop_if_asked(self) -> None:
        if self._training is not None and self._training.stop_training:
            self._model.stop_training = True


def _share(told: Logs | None, logs: Any) -> None:
    """Hand our logs to Keras, so that its later callbacks and its History see what ours put in.

    Args:
        told: The logs of our callbacks, or None if none of them listens.
        logs: The dict that Keras hands to all its callbacks in turn, or None.
    """
    if told is not None and logs is not None:
        logs.clear()
        logs.update(told)


class TensorBoard(BaseTensorBoard, Callbacks):
    """`eventwriter.callbacks.TensorBoard` in Keras's `fit`, with the same arguments."""
