"""What callbacks know of a training, and what they may change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from eventwriter._values.arguments import count
from eventwriter.training.metrics import Logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventwriter.training.model_view import ModelView


class TrainingState(ABC):
    """The state of one training: `Callback.training`.

    `Training` derives from this class and drives the callbacks.

    Args:
        model: The model that is trained.
        view: The view of the model; see `ModelView`.
        validation_data: The validation data as the user gave them, or None.
        params: Facts about the training: "epochs", and "steps" per epoch if known.
        initial_epoch: The number of the first epoch, from 0.

    Attributes:
        stop_training: A callback sets this to True to end training after the current batch.
        step: The number of training batches that have ended, in all epochs together. Set it within
            an epoch, and it is a count of your own, such as the steps of an environment: it then
            no longer counts batches, and is the step of all that `TensorBoard` writes. Set it
            before the first epoch, and batches are counted from there.
        has_own_steps: Whether `step` has been set within an epoch.
        batches_in_call: The number of batches that the latest `on_batch_end` told of. It is 1. It
            is larger where a framework trains several batches in one call, as Keras does with
            `steps_per_execution`.
        epoch: The current epoch, or the latest one after training. Epochs count from 0.
        initial_epoch: The first epoch. `BackupAndRestore` may raise it in `on_train_begin`.
        gradients: The latest value given to `record_gradients`, or None.
        batch_logs: The metrics of the latest training batch alone, within `on_batch_end`. The
            `logs` of that hook are means since the beginning of the epoch, as in Keras.
    """

    def __init__(
        self,
        model: Any,
        view: ModelView,
        *,
        validation_data: Any = None,
        params: Mapping[str, Any] | None = None,
        initial_epoch: int = 0,
    ) -> None:
        self.model = model
        self.view = view
        self.validation_data = validation_data
        self.params = dict(params or {})
        self.initial_epoch = initial_epoch
        self.stop_training = False
        self._step = 0
        # The steps when the latest batch ended, and when the one before ended.
        self._reached = self._reached_before = 0
        self._in_epoch = False
        self.has_own_steps = False
        self.batches_in_call = 1
        self.epoch = initial_epoch
        self.gradients: Any = None
        self.batch_logs = Logs()

    @property
    def step(self) -> int:
        """The number of training batches that have ended, or a count of your own.

        Raises:
            ArgumentTypeError: It is set to something that is no int.
            ArgumentValueError: It is set to a negative number.
        """
        return self._step

    @step.setter
    def step(self, step: int) -> None:
        self._step = count(step, "training.step")
        if self._in_epoch:
            self.has_own_steps = True
        else:
            self._reached = self._step

    @property
    @abstractmethod
    def history(self) -> dict[str, list[Any]]:
        """The metrics of each epoch by name; see `History`."""

    def is_due(self, every: int) -> bool:
        """Return whether the steps of the latest batch hold one whose number `every` divides.

        Args:
            every: A number of steps, 1 or more. They count from 1, in all epochs together.
        """
        return self._reached // every > self._reached_before // every

    @abstractmethod
    def get_callback_states(self) -> dict[str, Any]:
        """Return the states of all callbacks that have one; see `Callback.get_state`."""

    @abstractmethod
    def set_callback_states(self, states: Mapping[str, Any]) -> None:
        """Let the callbacks go on from the states of an earlier training."""

    def record_gradients(self, gradients: Any) -> None:
        """Keep gradients for callbacks that show them.

        Call this in frameworks where no object holds the gradients, such as JAX. Only the latest
        gradients are kept. They are not copied, and not fetched from their device.

        Args:
            gradients: Arrays in the same nesting, or with the same names, as the weights.
        """
        self.gradients = gradients
