"""Callbacks, and the list that calls them.

The hooks are Keras's (`keras.callbacks.Callback`), so that a callback reads the same in any loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping

    from eventwriter.training.training import Training

    Logs = MutableMapping[str, Any]


class Callback:
    """Something that listens to training, and may steer it.

    A subclass overrides the hooks that it needs; those that nobody overrides cost nothing. Epochs
    and batches count from 0. Values in `logs` are plain floats where they are numbers, fetched
    from their device at the moment when a callback reads them and not before.

    Attributes:
        loop: The training that this belongs to. `self.loop.stop_training = True` ends it after
            the batch.
        model: What is trained.
        view: What can be asked of the model; see `ModelView`.
        params: What is known of the training: "epochs", and "steps" an epoch where known.
        validation_data: As it was given, or None.

    All are set before `on_train_begin`.
    """

    loop: Training
    model: Any = None
    view: Any = None
    params: Mapping[str, Any] = {}
    validation_data: Any = None

    def set_training(self, training: Training) -> None:
        """Takes the training that this callback is to listen to."""
        self.loop = training
        self.model = training.model
        self.view = training.view
        self.params = training.params
        self.validation_data = training.validation_data

    def on_train_begin(self, logs: Logs) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last epoch, with its metrics; not after an exception or Ctrl-C."""

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Before epoch `epoch`."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After an epoch and its validation, whose metrics begin with "val_"."""

    def on_batch_begin(self, batch: int, logs: Logs) -> None:
        """Before a training batch; `batch` counts within the epoch."""

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """After a training batch, with the metrics' means since the epoch's start."""

    def on_test_begin(self, logs: Logs) -> None:
        """Before validation."""

    def on_test_end(self, logs: Logs) -> None:
        """After validation, with its metrics, which have no prefix here."""

    def on_test_batch_begin(self, batch: int, logs: Logs) -> None:
        """Before a validation batch."""

    def on_test_batch_end(self, batch: int, logs: Logs) -> None:
        """After a validation batch."""

    def close(self, status: str) -> None:
        """Last of all, however training ended: releases what this callback opened.

        Args:
            status: "finished", "stopped" by a callback, "left" by break, "interrupted" by Ctrl-C,
                or "failed" with an exception.
        """


class CallbackList:
    """Calls the hooks of several callbacks, each in the order of the list.

    Args:
        callbacks: Callbacks, and lists of them.

    Raises:
        ArgumentTypeError: One is no `Callback`.
    """

    def __init__(self, callbacks: Iterable[Any] = ()) -> None:
        self.callbacks = list(_flat(callbacks))
        self._listeners: dict[str, tuple[Callable[..., None], ...]] = {}

    def __iter__(self) -> Iterator[Callback]:
        return iter(self.callbacks)

    def append(self, callback: Callback) -> None:
        """Adds one more, after the others."""
        self.callbacks.extend(_flat([callback]))
        self._listeners.clear()

    def set_training(self, training: Training) -> None:
        """Tells every callback which training it listens to."""
        for callback in self.callbacks:
            callback.set_training(training)

    def listen_to(self, hook: str) -> bool:
        """Whether anybody overrides this hook."""
        return bool(self._of(hook))

    def call(self, hook: str, *arguments: Any) -> None:
        """Calls a hook, by its name, of those callbacks that override it."""
        for listener in self._of(hook):
            listener(*arguments)

    def close(self, status: str) -> None:
        """Closes every callback, even where one raises; then raises the first such error."""
        errors = []
        for callback in self.callbacks:
            try:
                callback.close(status)
            except Exception as error:  # noqa: BLE001, PERF203 - the others are closed too
                errors.append(error)
        if errors:
            raise errors[0]

    def _of(self, hook: str) -> tuple[Callable[..., None], ...]:
        if hook not in self._listeners:
            plain = getattr(Callback, hook)
            methods = (getattr(callback, hook) for callback in self.callbacks)
            self._listeners[hook] = tuple(
                method for method in methods if getattr(method, "__func__", method) is not plain
            )
        return self._listeners[hook]


def _flat(callbacks: Any) -> Iterator[Callback]:
    for callback in callbacks:
        if isinstance(callback, (list, tuple, CallbackList)):
            yield from _flat(callback)
        elif isinstance(callback, Callback):
            yield callback
        else:
            raise ArgumentTypeError(
                f"callbacks: expected eventwriter.callbacks.Callback, got {callback!r}. "
                "Derive its class from Callback."
            )
