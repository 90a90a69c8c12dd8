"""Callbacks in the training of Keras 3, on any backend and without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from eventwriter.integrations._callbacks import BaseCallbacks, BaseTensorBoard
from eventwriter.integrations.keras._batches import BatchMetrics
from eventwriter.integrations.keras._fit import fit_of
from eventwriter.integrations.keras.view import KerasView
from eventwriter.training.callback import HOOKS
from eventwriter.training.callback_list import CallbackList
from eventwriter.training.training import Training

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs


class Callbacks(BaseCallbacks, keras.callbacks.Callback):  # type: ignore[misc, unused-ignore] # untyped without keras
    """Lets callbacks of `eventwriter.callbacks` take part in Keras's `fit`.

        model.fit(x, y, callbacks=[Callbacks([TensorBoard("runs/a"), EarlyStopping("loss")])])

    Each `fit` is a new training. `evaluate` and `predict` take the object too. Outside of `fit`,
    they call those callbacks that listen to them. Their step is the number of batches trained.

    Keras does not tell its callbacks about an exception: see `BaseCallbacks`.

    Args:
        callbacks: Callbacks, and lists of callbacks.
        validation_data: (inputs, targets), for callbacks that look into the model; see `Loop`.
            None means the validation data that `fit` has, unless they are a generator.
    """

    _batches = 0  # of the current epoch
    _has_moved_start = False
    _alone: Training | None = None
    """An evaluation or a prediction outside of `fit`."""

    def __exit__(self, exc_type: type[BaseException] | None, *others: object) -> None:
        self._end_alone("failed")
        super().__exit__(exc_type, *others)

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Begin a training."""
        self._end_alone("failed")
        self._batch_metrics = BatchMetrics()
        fit = fit_of(self._model)
        training = self._begin(
            KerasView(self._model), self.params or {}, fit.initial_epoch, fit.validation_data
        )
        if training.initial_epoch != fit.initial_epoch:
            # `fit` reads this attribute after `on_train_begin`: Keras's own BackupAndRestore
            # sets it too.
            self._model._initial_epoch = training.initial_epoch
            self._has_moved_start = True

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """End the training."""
        self._end()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        if self._training is not None:
            self._put_start_back()
            self._batches = 0
            self._batch_metrics.begin_epoch()
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
            told = self._training.batch_end(
                self._batches - 1, logs or {}, own=lambda: self._own_metrics(logs), batches=batches
            )
            _share(told, logs)
            self._stop_if_asked()

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        self._begin_alone("test")
        if self._current is not None:
            self._current.test_begin()

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        if self._current is not None:
            self._current.test_batch_begin(batch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell the callbacks."""
        if self._current is not None:
            _share(self._current.test_batch_end(batch, logs or {}), logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Tell the callbacks."""
        if self._current is not None:
            _share(self._current.test_end(logs or {}), logs)
        self._end_alone("finished")

    def on_predict_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        self._begin_alone("predict")
        if self._current is not None:
            self._current.predict_begin()

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        if self._current is not None:
            self._current.predict_batch_begin(batch)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell the callbacks."""
        if self._current is not None:
            self._current.predict_batch_end(batch, logs or {})

    def on_predict_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Tell the callbacks."""
        if self._current is not None:
            self._current.predict_end()
        self._end_alone("finished")

    @property
    def _current(self) -> Training | None:
        return self._training or self._alone

    def _begin_alone(self, kind: str) -> None:
        """Begin an evaluation or a prediction, unless it belongs to a training.

        Only callbacks that listen to it take part: another one, such as BackupAndRestore, would
        take its end for the end of a training.
        """
        if self._training is not None:
            return
        self._end_alone("failed")
        hooks = [hook for hook in HOOKS if hook.startswith(f"on_{kind}_")]
        listeners = [
            callback
            for callback in CallbackList(self._callbacks)
            if any(map(CallbackList([callback]).has_listeners, hooks))
        ]
        view = KerasView(self._model)
        alone = Training(
            view.model,
            listeners,
            view=view,
            validation_data=self._validation_data,
            params=self.params,
        )
        alone.step = view.trained_batches()
        alone.callbacks.set_training(alone)
        self._alone = alone

    def _end_alone(self, status: str) -> None:
        alone, self._alone = self._alone, None
        if alone is not None:
            alone.callbacks.close(status)
            alone.view.close()

    def _end(self, status: str = "") -> None:
        self._put_start_back()
        super()._end(status)

    def _put_start_back(self) -> None:
        """Let the next `fit` begin at its own first epoch, however this one ends."""
        if self._has_moved_start:
            self._has_moved_start = False
            self._model._initial_epoch = None

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

    def _own_metrics(self, logs: Any) -> dict[str, Any]:
        is_last = self._batches == (self.params or {}).get("steps")
        return self._batch_metrics.of(self, logs or {}, self._batches, is_last)

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
