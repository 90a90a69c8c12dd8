"""A callback made of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter.errors import ArgumentTypeError
from eventwriter.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

_HOOKS = [name for name in vars(Callback) if name.startswith("on_")] + ["close"]


class LambdaCallback(Callback):
    """Calls functions, given by the names of hooks, with the hooks' arguments.

        LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))

    Args:
        hooks: Functions by `Callback`'s hooks; None is none.

    Raises:
        ArgumentTypeError: There is no such hook, or it is no function.
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        for name, function in hooks.items():
            if name not in _HOOKS:
                raise ArgumentTypeError(
                    f"LambdaCallback: there is no hook {name!r}, but {', '.join(_HOOKS)}."
                )
            if function is None:
                continue
            if not callable(function):
                raise ArgumentTypeError(
                    f"LambdaCallback: {name}: expected a function, got {function!r}."
                )
            setattr(self, name, function)
