"""Drives the callbacks of one training: `Loop` and every framework's adapter call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._warn import warn_from_thread
from eventwriter.training.callback_list import CallbackList, NestedCallbacks
from eventwriter.training.find_view import view_of
from eventwriter.training.history import History
from eventwriter.training.metrics import Logs
from eventwriter.training.state import TrainingState
from eventwriter.training.trained import TrainedCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

FAILURES = frozenset({"failed", "interrupted"})
"""The statuses of a training that an exception ended; see `Callback.close`."""


class Training(TrainingState):
    """Tells callbacks what happens, in the order of Keras.

        begin, { epoch_begin, (batch_begin, batch_end)*,
                 [test_begin, (test_batch_begin, test_batch_end)*, test_end], epoch_end }*, end

    An adapter calls these methods, and looks at `stop_training` after each batch and each epoch.
    Attributes are those of `TrainingState`.

    Args:
        model: The model that is trained, or a view of it (see `ModelView`).
        callbacks: Callbacks, and lists of callbacks. A `History` is added if there is none.
        optimizer: The optimizer, for views that cannot find it in the model.
        view: A view to use instead of the one that would be found for the model.
        validation_data: For callbacks that look into the model; see `sample`.
        params: Facts for the callbacks, such as {"epochs": 20}.
        initial_epoch: The number of the first epoch, from 0.
    """

    def __init__(
        self,
        model: Any,
        callbacks: NestedCallbacks = (),
        *,
        optimizer: Any = None,
        view: Any = None,
        validation_data: Any = None,
        params: Mapping[str, Any] | None = None,
        initial_epoch: int = 0,
    ) -> None:
        found = view_of(model, optimizer, view=view)
        super().__init__(
            model if found.model is None else found.model,
            found,
            validation_data=validation_data,
            params=params,
            initial_epoch=initial_epoch,
        )
        self.callbacks = CallbackList(callbacks)
        histories = [callback for callback in self.callbacks if isinstance(callback, History)]
        self._history = histories[0] if histories else History()
        if not histories:
            self.callbacks.append(self._history)
        self._last_logs = Logs()
        self._trained = TrainedCheck(found)

    @property
    def history(self) -> dict[str, list[Any]]:
        """The metrics of each epoch by name; see `History`."""
        return self._history.history

    def get_callback_states(self) -> dict[str, Any]:
        """See `TrainingState.get_callback_states`."""
        return self.callbacks.get_states()

    def set_callback_states(self, states: Mapping[str, Any]) -> None:
        """See `TrainingState.set_callback_states`."""
        self.callbacks.set_states(states)

    def outcome(self, exception: type[BaseException] | None = None) -> str:
        """Return how training has ended, as `end` takes it.

        Args:
            exception: The class of the exception that ended training, or None.

        Returns:
            "interrupted" for a KeyboardInterrupt, "failed" for any other exception, "stopped" if a
            callback stopped training, and otherwise "finished".
        """
        if exception is not None:
            return "interrupted" if issubclass(exception, KeyboardInterrupt) else "failed"
        return "stopped" if self.stop_training else "finished"

    def begin(self) -> None:
        """Begin the training. If a callback raises, all callbacks are closed."""
        self.stop_training = False
        try:
            self.callbacks.set_training(self)
            self.callbacks.call("on_train_begin", Logs())
            self._trained.begin()
        except BaseException:
            self._close_after_error()
            raise

    def epoch_begin(self, epoch: int) -> None:
        """Begin an epoch, counted from 0."""
        self.epoch = epoch
        self._in_epoch = True
        self.callbacks.call("on_epoch_begin", epoch, Logs())

    def batch_begin(self, batch: int) -> None:
        """Begin a training batch, counted from 0 in each epoch."""
        if self.callbacks.has_listeners("on_train_batch_begin"):
            self.callbacks.call("on_train_batch_begin", batch, Logs())

    def batch_end(self, batch: int, logs: Any, *, own: Any = None, batches: int = 1) -> Logs | None:
        """End a training batch.

        Args:
            batch: Its number in the epoch, from 0.
            logs: The means of the metrics in this epoch so far, by name, or a function that returns
                them.
            own: The metrics of this batch alone, in the same forms. None means that `logs` are.
            batches: The number of batches that end here, if the framework trains several in one
                call. `batch` is the last of them.

        Returns:
            The means as the callbacks left them, or None if no callback listens.
        """
        if not self.has_own_steps:
            self._step += batches
        self._reached_before, self._reached = self._reached, self._step
        self.batches_in_call = batches
        if not self.callbacks.has_listeners("on_train_batch_end"):
            return None
        means = _made(logs)
        self.batch_logs = means if own is None else _made(own)
        self.callbacks.call("on_train_batch_end", batch, means)
        return means

    def test_begin(self) -> None:
        """Begin validation."""
        self.callbacks.call("on_test_begin", Logs())

    def test_batch_begin(self, batch: int) -> None:
        """Begin a validation batch, counted from 0."""
        if self.callbacks.has_listeners("on_test_batch_begin"):
            self.callbacks.call("on_test_batch_begin", batch, Logs())

    def test_batch_end(self, batch: int, logs: Any) -> Logs | None:
        """End a validation batch. `batch`, `logs` and the result are those of `batch_end`."""
        if not self.callbacks.has_listeners("on_test_batch_end"):
            return None
        means = _made(logs)
        self.callbacks.call("on_test_batch_end", batch, means)
        return means

    def test_end(self, logs: Any) -> Logs:
        """End validation. `logs` are its metrics by name, without a prefix.

        Returns:
            The metrics as the callbacks left them.
        """
        told = Logs(logs)
        self.callbacks.call("on_test_end", told)
        return told

    def predict_begin(self) -> None:
        """Begin a prediction."""
        self.callbacks.call("on_predict_begin", Logs())

    def predict_batch_begin(self, batch: int) -> None:
        """Begin a batch of a prediction, counted from 0."""
        self.callbacks.call("on_predict_batch_begin", batch, Logs())

    def predict_batch_end(self, batch: int, logs: Any) -> None:
        """End a batch of a prediction. `logs` are its "outputs", which are no metrics."""
        self.callbacks.call("on_predict_batch_end", batch, logs)

    def predict_end(self) -> None:
        """End a prediction."""
        self.callbacks.call("on_predict_end", Logs())

    def epoch_end(self, epoch: int, logs: Any) -> Logs:
        """End an epoch. `logs` are the metrics of training and, as "val_...", of validation.

        Returns:
            The metrics as the callbacks left them.
        """
        self._last_logs = Logs(logs)
        self._trained.epoch_end(self._last_logs)
        self.callbacks.call("on_epoch_end", epoch, self._last_logs)
        self._in_epoch = False
        return self._last_logs

    def end(self, status: str) -> None:
        """End the training and close the callbacks. Call this exactly once.

        Args:
            status: As in `Callback.close`; see `outcome`. After "failed" and "interrupted" the
                hook `on_train_end` is not called, because the model may be in any state.
        """
        try:
            if status not in FAILURES:
                self.callbacks.call("on_train_end", Logs(self._last_logs))
        except BaseException:
            self._close_after_error()
            raise
        try:
            self.callbacks.close(status)
        finally:
            self.view.close()

    def _close_after_error(self) -> None:
        """Close the callbacks while an error is raised: what they raise must not hide it."""
        try:
            self.callbacks.close("failed")
        except Exception as error:  # noqa: BLE001 - it must not hide the other error
            warn_from_thread(f"closing a callback failed: {error!r}")
        finally:
            self.view.close()


def _made(logs: Any) -> Logs:
    return Logs(logs() if callable(logs) else logs)
