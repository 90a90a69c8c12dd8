"""The base class of all callbacks.

The hooks are those of `keras.callbacks.Callback`, so that a callback reads the same in any loop.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.model_view import ModelView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventwriter.training.metrics import Logs
    from eventwriter.training.state import TrainingState


class Callback:
    """A listener to training, which may also steer it.

    A subclass overrides the hooks that it needs. A hook that no callback overrides costs nothing.
    Epochs and batches count from 0. Numbers in `logs` are plain floats. They are fetched from their
    device when a callback reads them, and not before.

    `on_train_batch_begin` and `on_train_batch_end` are Keras's names of the hooks `on_batch_begin`
    and `on_batch_end`. A subclass overrides either name. If it overrides both, Keras's rule holds:
    only the `on_train_batch_*` method is called, and it may call
    `super().on_train_batch_end(batch, logs)` to call the other one.

    A class with an unknown method `on_...` warns when it is defined, because no loop would ever
    call that method.

    Attributes:
        training: The state of the training. `self.training.stop_training = True` ends training
            after the current batch.
        model: The model that is trained.
        view: The view of the model; see `ModelView`.
        params: Facts about the training: "epochs", and "steps" per epoch if known.
        validation_data: The validation data as the user gave them, or None.

    All attributes are set before `on_train_begin`.
    """

    training: TrainingState
    model: Any = None
    view: ModelView = ModelView()
    params: Mapping[str, Any] = {}
    validation_data: Any = None
    comes_last: ClassVar[bool] = False
    """Whether the hooks of this callback are called after those of all others in its list."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            # A base class with the same name has brought the warning, or it is another framework's.
            inherited = any(hasattr(base, name) for base in cls.__bases__)
            if name.startswith("on_") and callable(value) and not inherited:
                warn_caller(
                    f"{cls.__qualname__}.{name}: expected the name of a hook, got an unknown one, "
                    f"so no loop calls this method. {_remedy(name)}"
                )

    @property
    def loop(self) -> TrainingState:
        """The same as `training`."""
        return self.training

    @loop.setter
    def loop(self, training: TrainingState) -> None:
        self.training = training

    def set_training(self, training: TrainingState) -> None:
        """Take the training that this callback listens to."""
        self.training = training
        self.model = training.model
        self.view = training.view
        self.params = training.params
        self.validation_data = training.validation_data

    def idle_hooks(self) -> tuple[Any, ...]:
        """Return hooks of this class that do nothing, because of the arguments of this object.

        They are functions, such as `TensorBoard.on_batch_end`. No loop calls them. The method of a
        subclass is another function, so it is called.
        """
        return ()

    def get_state(self) -> dict[str, Any]:
        """Return what this callback must know to go on in another process; {} if nothing.

        `BackupAndRestore` asks for it after the other hooks of a batch or an epoch. A state is made
        of numbers, text, arrays, and lists and dicts of these. Weights of the model, from
        `self.view.get_state()`, are put in a `ModelState`.
        """
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of an earlier training.

        `BackupAndRestore` calls this after `on_train_begin` of all callbacks.
        """

    def on_train_begin(self, logs: Logs) -> None:
        """Called before the first epoch. `logs` is empty."""

    def on_train_end(self, logs: Logs) -> None:
        """Called after the last epoch, with its metrics. Not called after an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Called before each epoch. `logs` is empty."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Called after each epoch and its validation. Metrics of validation begin with "val_"."""

    def on_train_batch_begin(self, batch: int, logs: Logs) -> None:
        """Called before each training batch. `logs` is empty."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """Called after each training batch, with the means of the metrics in this epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs) -> None:
        """The short name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs) -> None:
        """The short name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs) -> None:
        """Called before validation. `logs` is empty."""

    def on_test_end(self, logs: Logs) -> None:
        """Called after validation, with its metrics. Their names have no prefix here."""

    def on_test_batch_begin(self, batch: int, logs: Logs) -> None:
        """Called before each validation batch. `logs` is empty."""

    def on_test_batch_end(self, batch: int, logs: Logs) -> None:
        """Called after each validation batch, with the means of the metrics so far."""

    def on_predict_begin(self, logs: Logs) -> None:
        """Called before a prediction of Keras. `logs` is empty. Other loops have no predictions."""

    def on_predict_end(self, logs: Logs) -> None:
        """Called after a prediction. `logs` is empty."""

    def on_predict_batch_begin(self, batch: int, logs: Logs) -> None:
        """Called before each batch of a prediction. `logs` is empty."""

    def on_predict_batch_end(self, batch: int, logs: Logs) -> None:
        """Called after each batch of a prediction, with its "outputs"."""

    def close(self, status: str) -> None:
        """Release what this callback opened. Called last, however training ended.

        Args:
            status: "finished"; "stopped" by a callback; "left" by `break`; "interrupted" by Ctrl-C;
                or "failed" with an exception.
        """

    # The rest explains a mistake: this object was passed to a framework's own training.

    def set_model(self, model: Any) -> NoReturn:  # noqa: ARG002 - Keras's signature
        """Refuse: Keras calls this method of the callbacks in `fit(callbacks=[...])`."""
        self._refuse_framework("fit", "keras")

    def set_params(self, params: Any) -> NoReturn:  # noqa: ARG002 - Keras's signature
        """Refuse: Keras calls this method of the callbacks in `fit(callbacks=[...])`."""
        self._refuse_framework("fit", "keras")

    def __call__(self, *arguments: Any) -> NoReturn:  # noqa: ARG002 - LightGBM passes one
        """Refuse: LightGBM calls its callbacks like functions."""
        self._refuse_framework("train", "lightgbm")

    def _refuse_framework(self, call: str, framework: str) -> NoReturn:
        name = type(self).__name__
        adapter = f"eventwriter.integrations.{framework}"
        own = f", or {adapter}.TensorBoard" if name == "TensorBoard" else ""
        raise ArgumentTypeError(
            f"{call}(callbacks=[...]): expected a callback of {framework}, got "
            f"eventwriter's {name}. Wrap it: {adapter}.Callbacks([{name}(...)]){own}."
        )


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
"""The names of all hooks, both names of a training batch's among them."""


def _remedy(name: str) -> str:
    nearest = difflib.get_close_matches(name, HOOKS, n=1)
    suggestion = f"Did you mean {nearest[0]}? " if nearest else f"Hooks are {', '.join(HOOKS)}. "
    return f"{suggestion}A method that is no hook needs a name that does not begin with on_."
