"""A list of callbacks that calls their hooks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from eventwriter._warn import warn_from_thread
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.callback import Callback
from eventwriter.training.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from eventwriter.training.state import TrainingState

NestedCallbacks: TypeAlias = "Iterable[Callback | NestedCallbacks]"
"""Callbacks, and lists of callbacks at any depth."""

# The default of each hook on the left calls the hook on the right.
_SHORT_NAMES = {
    "on_train_batch_begin": "on_batch_begin",
    "on_train_batch_end": "on_batch_end",
}
_LONG_NAMES = {short: long for long, short in _SHORT_NAMES.items()}


class CallbackList:
    """Calls the hooks of several callbacks, in the order of the list.

    A callback with `comes_last` is called after all others.

    Args:
        callbacks: Callbacks, and lists of callbacks.

    Raises:
        ArgumentTypeError: An item is no `Callback`.
    """

    def __init__(self, callbacks: NestedCallbacks = ()) -> None:
        self.callbacks = list(_flat(callbacks))
        self._listeners: dict[str, tuple[Callable[..., None], ...]] = {}

    def __iter__(self) -> Iterator[Callback]:
        return iter(self.callbacks)

    def append(self, callback: Callback) -> None:
        """Add a callback at the end of the list."""
        self.callbacks.extend(_flat([callback]))
        self._listeners.clear()

    def set_training(self, training: TrainingState) -> None:
        """Tell every callback which training it listens to."""
        for callback in self.callbacks:
            callback.set_training(training)

    def has_listeners(self, hook: str) -> bool:
        """Return whether any callback overrides this hook."""
        return bool(self._listeners_of(hook))

    def who_listens(self, *hooks: str) -> list[str]:
        """Return the names of the classes of callbacks that override one of the hooks."""
        return [
            type(callback).__name__
            for callback in self.callbacks
            if any(_listener(callback, hook) is not None for hook in hooks)
        ]

    def call(self, hook: str, *arguments: Any) -> None:
        """Call a hook, by its name, on every callback that overrides it."""
        for listener in self._listeners_of(hook):
            listener(*arguments)

    def get_states(self) -> dict[str, Any]:
        """Return the states of all callbacks that have one, by class and number: "Own_0"."""
        states = {name: callback.get_state() for name, callback in self._named()}
        return {name: state for name, state in states.items() if state}

    def set_states(self, states: Mapping[str, Any]) -> None:
        """Let callbacks go on from states of `get_states`. A callback without one begins anew."""
        for name, callback in self._named():
            if name in states:
                callback.set_state(states[name])

    def close(self, status: str) -> None:
        """Close every callback, even if one raises.

        Raises:
            Exception: The first error of a callback. Warnings tell of further errors.
        """
        first: Exception | None = None
        for callback in self.callbacks:
            try:
                _close_of(callback)(status)
            except Exception as error:  # noqa: BLE001, PERF203 - the others are closed too
                if first is None:
                    first = error
                else:
                    warn_from_thread(f"closing {type(callback).__name__} failed: {error!r}.")
        if first is not None:
            raise first

    def _named(self) -> Iterator[tuple[str, Callback]]:
        """Yield the callbacks with names that are the same in another process."""
        numbers: Counter[str] = Counter()
        for callback in self.callbacks:
            kind = type(callback).__qualname__
            yield f"{kind}_{numbers[kind]}", callback
            numbers[kind] += 1

    def _listeners_of(self, hook: str) -> tuple[Callable[..., None], ...]:
        if hook not in self._listeners:
            ordered = sorted(self.callbacks, key=lambda callback: callback.comes_last)
            found = (_listener(callback, hook) for callback in ordered)
            self._listeners[hook] = tuple(method for method in found if method is not None)
        return self._listeners[hook]


def _close_of(callback: Callback) -> Callable[..., None]:
    if isinstance(callback, Recorder):
        return callback.spared("close", callback.close)
    return callback.close


def _listener(callback: Callback, hook: str) -> Callable[..., None] | None:
    """Return the method that a callback overrides a hook with, or None."""
    hook = _LONG_NAMES.get(hook, hook)
    for name in (hook, _SHORT_NAMES.get(hook)):
        if name is not None:
            method: Callable[..., None] = getattr(callback, name)
            function = getattr(method, "__func__", method)
            if function not in (getattr(Callback, name), *callback.idle_hooks()):
                # What begins before the training may raise: then nothing has been trained yet.
                if isinstance(callback, Recorder) and name != "on_train_begin":
                    return callback.spared(name, method)
                return method
    return None


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
