"""Saves the outputs of the layers for one example."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eventwriter._values.arguments import path
from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError, EventWriterError
from eventwriter.training.model_view import require
from eventwriter.training.numpy_view import save_npz
from eventwriter.training.recorder import Recorder
from eventwriter.training.sample import sample_of

if TYPE_CHECKING:
    from eventwriter.training.metrics import Logs
    from eventwriter.typing import PathLike


class ActivationLogger(Recorder):
    """Saves the output of every layer for the first validation example, at the end of every epoch.

    The file is `activations_at_epoch_<n>.npz`, with n from 0. It holds an array for each layer,
    by the layer's name, and no pickle. If the model does not take the example, a warning says so,
    and training goes on.

    Args:
        directory: The directory of the files. It is made if it does not exist.

    Raises:
        ArgumentTypeError: `directory` is no path.
    """

    def __init__(self, directory: PathLike = ".") -> None:
        self._directory = Path(path(directory, "ActivationLogger: directory"))

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Take the example.

        Raises:
            ArgumentTypeError: There is no validation data, or the view of the model knows no
                activations.
        """
        sample = sample_of(self.validation_data, 1)
        if sample is None:
            raise ArgumentTypeError(
                "ActivationLogger: validation_data: expected (inputs, targets), got None. "
                "Pass validation_data to Loop or to the adapter of your framework."
            )
        self._inputs = sample.inputs
        with self.attempt("activations", unless=EventWriterError):  # told before the training
            require(self.view, "activations", "ActivationLogger", self._inputs)
        self._directory.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Save the outputs."""
        with self.attempt("activations"):
            outputs = require(self.view, "activations", "ActivationLogger", self._inputs)
            arrays = {
                name: as_numpy(output, f"ActivationLogger: {name}")
                for name, output in outputs.items()
            }
            save_npz(str(self._directory / f"activations_at_epoch_{epoch}.npz"), arrays)
