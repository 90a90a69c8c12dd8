"""A callback made of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.callback import HOOKS, Callback

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = (*HOOKS, "close")


class LambdaCallback(Callback):
    """Calls functions as hooks. Each function gets the arguments of its hook.

        LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))

    Args:
        hooks: Functions by the names of `Callback`'s hooks, and `close`. None means no function.

    Raises:
        ArgumentTypeError: A name is no hook, or a value is no function.
        ArgumentValueError: There are functions for both names of one hook, such as `on_batch_end`
            and `on_train_batch_end`.
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        given = {name: function for name, function in hooks.items() if function is not None}
        for name, function in hooks.items():
            if name not in _NAMES:
                raise ArgumentTypeError(
                    f"LambdaCallback: expected hooks among {', '.join(_NAMES)}, got {name!r}. "
                    "Correct the name."
                )
            if function is not None and not callable(function):
                raise ArgumentTypeError(
                    f"LambdaCallback: {name}: expected a function, got {function!r}. "
                    "Pass a function with the arguments of this hook."
                )
        for short in ("on_batch_begin", "on_batch_end"):
            long = short.replace("on_", "on_train_")
            if short in given and long in given:
                raise ArgumentValueError(
                    f"LambdaCallback: expected one function for the hook with the names {short} "
                    f"and {long}, got two. Pass one of them."
                )
        for name, function in given.items():
            setattr(self, name, function)
