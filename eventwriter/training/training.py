"""One training run, as its callbacks see it: what `Loop` and every framework's adapter drive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._warn import warn_quietly
from eventwriter.training.callback import CallbackList
from eventwriter.training.find_view import view_of
from eventwriter.training.history import History
from eventwriter.training.metrics import Logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Training:
    """Tells callbacks what happens, in the order in which Keras does.

        begin, { epoch_begin, (batch_begin, batch_end)*,
                 [test_begin, (test_batch_begin, test_batch_end)*, test_end], epoch_end }*, end

    An adapter calls these methods, and asks `stop_training` after each batch and each epoch.

    Args:
        model: What is trained, or a view of it (see `ModelView`).
        callbacks: Callbacks, and lists of them. A `History` is added where there is none.
        optimizer: For views that cannot find it in the model.
        view: A view given explicitly wins over what would be found for the model.
        validation_data: For callbacks that look into the model; see `sample`.
        params: Told to the callbacks, such as {"epochs": 20}.

    Attributes:
        stop_training: Set by a callback, to end training after this batch.
        step: Training batches that have ended, of all epochs.
        epoch: The current or the latest epoch, from 0.
        initial_epoch: The first. `BackupAndRestore` may raise it in `on_train_begin`.
        gradients: What `record_gradients` was given last, or None.
    """

    def __init__(
        self,
        model: Any,
        callbacks: Iterable[Any] = (),
        *,
        optimizer: Any = None,
        view: Any = None,
        validation_data: Any = None,
        params: Mapping[str, Any] | None = None,
        initial_epoch: int = 0,
    ) -> None:
        self.view = view_of(model, optimizer, view=view)
        self.model = model if self.view.model is None else self.view.model
        self.validation_data = validation_data
        self.params = dict(params or {})
        self.initial_epoch = initial_epoch
        self.stop_training = False
        self.step = 0
        self.epoch = initial_epoch
        self.gradients: Any = None
        self.callbacks = CallbackList(callbacks)
        histories = [callback for callback in self.callbacks if isinstance(callback, History)]
        self._history = histories[0] if histories else History()
        if not histories:
            self.callbacks.append(self._history)
        self._last_logs: Any = {}

    @property
    def history(self) -> dict[str, list[Any]]:
        """The metrics of each epoch by name; see `History`."""
        return self._history.history

    def record_gradients(self, gradients: Any) -> None:
        """Keeps gradients, named as the weights are, for callbacks that show them.

        For frameworks where no object holds them, as in JAX. Only the latest are kept, not
        copied and not fetched from their device.
        """
        self.gradients = gradients

    def begin(self) -> None:
        """Before all else. Where a callback raises, those that began are closed."""
        self.stop_training = False
        self.callbacks.set_training(self)
        try:
            self.callbacks.call("on_train_begin", Logs())
        except BaseException:
            self._close_after_error("failed")
            raise

    def epoch_begin(self, epoch: int) -> None:
        """Before epoch `epoch`, counted from 0."""
        self.epoch = epoch
        self.callbacks.call("on_epoch_begin", epoch, Logs())

    def batch_begin(self, batch: int) -> None:
        """Before a training batch."""
        if self.callbacks.listen_to("on_batch_begin"):
            self.callbacks.call("on_batch_begin", batch, Logs())

    def batch_end(self, batch: int, logs: Any) -> None:
        """After a training batch; `logs`: its metrics, or a function that makes them."""
        self.step += 1
        if self.callbacks.listen_to("on_batch_end"):
            self.callbacks.call("on_batch_end", batch, Logs(logs() if callable(logs) else logs))

    def test_begin(self) -> None:
        """Before validation."""
        self.callbacks.call("on_test_begin", Logs())

    def test_batch_begin(self, batch: int) -> None:
        """Before a validation batch."""
        if self.callbacks.listen_to("on_test_batch_begin"):
            self.callbacks.call("on_test_batch_begin", batch, Logs())

    def test_batch_end(self, batch: int, logs: Any) -> None:
        """After a validation batch, as `batch_end`."""
        if self.callbacks.listen_to("on_test_batch_end"):
            logs = logs() if callable(logs) else logs
            self.callbacks.call("on_test_batch_end", batch, Logs(logs))

    def test_end(self, logs: Any) -> None:
        """After validation, with its metrics by their names without a prefix."""
        self.callbacks.call("on_test_end", Logs(logs))

    def epoch_end(self, epoch: int, logs: Any) -> None:
        """After an epoch, with the metrics of training and, as "val_...", of validation."""
        self._last_logs = Logs(logs)
        self.callbacks.call("on_epoch_end", epoch, self._last_logs)

    def end(self, status: str) -> None:
        """After all else, exactly once; closes the callbacks.

        Args:
            status: As in `Callback.close`. After "failed" and "interrupted" `on_train_end` is not
                called: the model may be in any state.
        """
        try:
            if status not in {"failed", "interrupted"}:
                self.callbacks.call("on_train_end", Logs(self._last_logs))
        except BaseException:
            self._close_after_error("failed")
            raise
        try:
            self.callbacks.close(status)
        finally:
            self.view.close()

    def _close_after_error(self, status: str) -> None:
        """Closes the callbacks; what they raise must not hide the error that is on its way."""
        try:
            self.callbacks.close(status)
        except Exception as error:  # noqa: BLE001 - told, since it cannot be raised
            warn_quietly(f"closing a callback failed: {error!r}")
        finally:
            self.view.close()
