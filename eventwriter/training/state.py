"""What callbacks know of a training, and what they may change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

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
        step: The number of training batches that have ended, in all epochs together.
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
        self.step = 0
        self.batches_in_call = 1
        self.epoch = initial_epoch
        self.gradients: Any = None
        self.batch_logs = Logs()

    @property
    @abstractmethod
    def history(self) -> dict[str, list[Any]]:
        """The metrics of each epoch by name; see `History`."""

    def is_due(self, every: int) -> bool:
        """Return whether the batches of the latest call hold one whose number `every` divides.

        Args:
            every: A number of batches, 1 or more. Batches count from 1, in all epochs together.
        """
        return self.step // every > (self.step - self.batches_in_call) // every

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
