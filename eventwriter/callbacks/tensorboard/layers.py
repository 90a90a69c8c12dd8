"""The inside of a model: its weights, gradients and activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._warn import warn_caller
from eventwriter.callbacks.tensorboard.images import weight_image
from eventwriter.errors import EventWriterError
from eventwriter.training.model_view import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventwriter import SummaryWriter
    from eventwriter.callbacks.tensorboard.tag_styles import TagStyle
    from eventwriter.training.recorder import Attempt
    from eventwriter.training.sample import Sample
    from eventwriter.training.state import TrainingState


class LayerLog:
    """Writes histograms of a model's layers, one for each tag and step.

    Args:
        training: The training of the model.
        sample: A few rows of validation data to run the model on, or None.
        style: The names of the tags.
        attempt: As in `Recorder`.
        images: Whether weights are also shown as pictures.
        gradients: Whether gradients are shown.
        activations: Whether the outputs of the layers are shown.

    Attributes:
        sample: The sample, or None if the model does not take it. A warning has said so.

    Raises:
        ArgumentTypeError: The view of the model knows no weights.
    """

    def __init__(
        self,
        training: TrainingState,
        sample: Sample | None,
        style: TagStyle,
        attempt: Attempt,
        *,
        images: bool,
        gradients: bool,
        activations: bool,
    ) -> None:
        self._training = training
        self._view = training.view
        self.sample = sample
        self._style = style
        self._attempt = attempt
        self._images = images
        with attempt("weights", unless=EventWriterError):
            require(self._view, "weights", "TensorBoard(histogram_freq=...)")
        self._gradients = gradients
        self._warned_of_gradients = not self._view.has_layers
        self._activations = activations and self._view.has_layers
        if self._activations and sample is None:
            self._give_up_activations("there is no validation_data to run the model on: pass some")
            self._warned_of_gradients = True  # some views compute them on the same data
        if self._activations and sample is not None:
            self.sample = None
            with attempt("activations"):  # an error is told before the training
                self._outputs(sample)
                self.sample = sample
            self._warned_of_gradients = self.sample is None

    def write(self, writer: SummaryWriter, step: int) -> None:
        """Write everything at one step. What cannot be written is left out."""
        style = self._style
        with self._attempt("numbers"):
            writer.log(dict(self._view.numbers() or {}), step)
        with self._attempt("weights"):
            for name, weight in (self._view.weights() or {}).items():
                self._write_histogram(writer, style.weight.format(name), weight, step, "weights")
                if self._images:
                    with self._attempt("pictures"):
                        self._write_images(writer, name, weight, step)
        if self._gradients:
            with self._attempt("gradients"):
                for name, gradient in self._latest_gradients().items():
                    if gradient is not None:
                        tag = style.gradient.format(name)
                        self._write_histogram(writer, tag, gradient, step, "gradients")
        if self._activations and self.sample is not None:
            with self._attempt("activations"):
                for name, output in self._outputs(self.sample).items():
                    tag = style.activation.format(name)
                    self._write_histogram(writer, tag, output, step, "activations")

    def _write_histogram(
        self, writer: SummaryWriter, tag: str, values: Any, step: int, kind: str
    ) -> None:
        with self._attempt(kind):  # one array that is no number leaves the others
            writer.add_histogram(tag, values, step)

    def _write_images(self, writer: SummaryWriter, name: str, weight: Any, step: int) -> None:
        picture = weight_image(
            weight, f"TensorBoard: {name}", filters_first=self._view.filters_first()
        )
        if picture is not None:
            axes = "HW" if picture.ndim == 2 else "HWC"
            writer.add_image(self._style.image.format(name), picture, step, dataformats=axes)

    def _latest_gradients(self) -> Mapping[str, Any]:
        recorded = self._training.gradients
        if recorded is not None:
            named = self._view.names(recorded)
            return dict(recorded) if named is None else named
        batch = None
        if self.sample is not None and self.sample.targets is not None:
            batch = tuple(part for part in self.sample if part is not None)
        found = self._view.gradients(batch) or {}
        if not found and not self._warned_of_gradients:
            self._warned_of_gradients = True
            warn_caller(
                "TensorBoard: no gradients are shown, because no object holds any. Call "
                "loop.record_gradients(gradients), pass the optimizer, or pass validation_data "
                "with targets. write_gradients=False turns this warning off."
            )
        return found

    def _outputs(self, sample: Sample) -> Mapping[str, Any]:
        outputs = self._view.activations(sample.inputs)
        if outputs is None:
            self._give_up_activations(
                f"{self._view.title} cannot answer `activations`: see ModelView"
            )
            return {}
        return outputs

    def _give_up_activations(self, reason: str) -> None:
        self._activations = False
        warn_caller(
            f"TensorBoard: no activations are shown, because {reason}. write_activations=False "
            "turns this warning off."
        )
