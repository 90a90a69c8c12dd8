"""The base class of callbacks that only record: an error in one does not end training."""

from __future__ import annotations

import functools
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.training.callback import Callback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Protocol

    from eventwriter.training.state import TrainingState

    class Attempt(Protocol):
        """The type of `Recorder.attempt`, which a callback hands to its parts."""

        def __call__(
            self, what: str, unless: type[Exception] = ...
        ) -> AbstractContextManager[None]:
            """See `Recorder.attempt`."""


class Recorder(Callback):
    """A callback that only records. Derive your own from it, if training can do without its record.

    An error in a hook does not end training, and neither does an error in `close`. One warning
    names the callback, the model and the error. The same error of a later epoch is not told again.
    All other hooks are called as before.

    `set_training` and `on_train_begin` may raise, because they come before the training: this is
    the place to refuse what cannot work.

    A hook that records several things separates them by `attempt`, so that an error in one of them
    costs only this one.
    """

    _told: frozenset[str] = frozenset()

    def set_training(self, training: TrainingState) -> None:
        """Take the training. Its errors are new ones."""
        super().set_training(training)
        self._told = frozenset()

    @contextmanager
    def attempt(
        self, what: str, unless: type[Exception] | tuple[type[Exception], ...] = ()
    ) -> Iterator[None]:
        """Turn an error in the block into a warning, so that training goes on.

        Args:
            what: What the block records: "activations". Each is warned of once a training.
            unless: Errors that are raised all the same, such as those of a wrong argument.
        """
        try:
            yield
        except unless:
            raise
        except Exception as error:  # noqa: BLE001 - the models and the data are the users'
            self._tell(what, error)

    def spared(self, hook: str, method: Callable[..., None]) -> Callable[..., None]:
        """Return a method that calls a hook, and that turns its errors into a warning."""

        @functools.wraps(method)
        def call(*arguments: Any) -> None:
            try:
                method(*arguments)
            except Exception as error:  # noqa: BLE001 - as in attempt
                self._tell(f"a part of {hook}", error)

        return call

    def _tell(self, what: str, error: Exception) -> None:
        if what not in self._told:
            self._told |= {what}
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = str(error).strip()
            model = "the training" if self.model is None else type_name(self.model)
            warn_caller(
                f"{type(self).__name__}: {what} of {model} could not be recorded, because of "
                f"{type(error).__name__}{f': {message}' if message else ''} "
                f"({place.filename}:{place.lineno}). Training goes on."
            )
