"""Saves what the layers make of an example."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.callback import Callback
from eventwriter.training.model_view import require
from eventwriter.training.numpy_view import save_npz
from eventwriter.training.sample import sample_of

if TYPE_CHECKING:
    import os

    from eventwriter.training.metrics import Logs


class ActivationLogger(Callback):
    """At every epoch's end, saves each layer's output for the first validation example.

    As `activations_at_epoch_<n>.npz`, n from 0: arrays by the layer's name, without pickle.

    Args:
        directory: Where to; it is made.
    """

    def __init__(self, directory: str | os.PathLike[str] = ".") -> None:
        self._directory = Path(directory)

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Takes the example.

        Raises:
            ArgumentTypeError: There are no validation data, or the model's view has no activations.
        """
        sample = sample_of(self.validation_data, 1)
        if sample is None:
            raise ArgumentTypeError("ActivationLogger: needs validation_data, of which none is.")
        self._inputs = sample.inputs
        require(self.view, "activations", "ActivationLogger", self._inputs)
        self._directory.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Saves."""
        outputs = require(self.view, "activations", "ActivationLogger", self._inputs)
        arrays = {
            name: as_numpy(output, f"ActivationLogger: {name}") for name, output in outputs.items()
        }
        save_npz(str(self._directory / f"activations_at_epoch_{epoch}.npz"), arrays)
