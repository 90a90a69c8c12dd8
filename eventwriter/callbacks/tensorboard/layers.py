"""What goes on inside of a model: its weights, gradients, activations and embeddings."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventwriter._warn import warn_caller
from eventwriter.callbacks.tensorboard.images import weight_images
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.model_view import require

if TYPE_CHECKING:
    from eventwriter import SummaryWriter
    from eventwriter.callbacks.tensorboard.tag_styles import TagStyle
    from eventwriter.training.model_view import ModelView
    from eventwriter.training.sample import Sample
    from eventwriter.training.state import TrainingState


class LayerLog:
    """Writes histograms of a model's layers, one a tag and step.

    Args:
        training: Whose model it is.
        sample: What the model is looked at with, or None.
        style: How the tags are named.
        images: Whether weights are shown as pictures too.
        gradients: Whether gradients are shown.
        activations: Whether the layers' outputs are shown.

    Raises:
        ArgumentTypeError: The model's view cannot tell its weights.
    """

    def __init__(
        self,
        training: TrainingState,
        sample: Sample | None,
        style: TagStyle,
        *,
        images: bool,
        gradients: bool,
        activations: bool,
    ) -> None:
        self._training = training
        self._view = training.view
        self._sample = sample
        self._style = style
        self._images = images
        require(self._view, "weights", "TensorBoard(histogram_freq=...)")
        self._gradients = gradients
        self._told = False
        self._activations = activations and self._can_show_activations()

    def _can_show_activations(self) -> bool:
        if self._sample is None:
            self._warn_of_activations(
                "there is no validation_data to look at the model with: pass some"
            )
            self._told = True  # of gradients that would come from there too
        return self._sample is not None

    def _warn_of_activations(self, reason: str) -> None:
        warn_caller(
            f"TensorBoard: no activations are shown, since {reason}, or write_activations=False."
        )

    def write(self, writer: SummaryWriter, step: int) -> None:
        """Writes all of it at one step."""
        for name, weight in (self._view.weights() or {}).items():
            writer.add_histogram(self._style.weight.format(name), weight, step)
            if self._images:
                self._write_images(writer, name, weight, step)
        if self._gradients:
            for name, gradient in self._latest_gradients().items():
                if gradient is not None:
                    writer.add_histogram(self._style.gradient.format(name), gradient, step)
        if self._activations and self._sample is not None:
            outputs = self._view.activations(self._sample.inputs)
            if outputs is None:
                self._activations = False
                self._warn_of_activations(
                    f"{self._view.title} cannot answer `activations`: see ModelView"
                )
                return
            for name, output in outputs.items():
                writer.add_histogram(self._style.activation.format(name), output, step)

    def _write_images(self, writer: SummaryWriter, name: str, weight: Any, step: int) -> None:
        pictures = weight_images(weight, f"TensorBoard: {name}")
        for index, picture in enumerate(pictures):
            tag = self._style.image.format(name)
            tag = tag if len(pictures) == 1 else f"{tag}/{index}"
            writer.add_image(tag, picture, step, dataformats="HW")

    def _latest_gradients(self) -> Mapping[str, Any]:
        recorded = self._training.gradients
        if recorded is not None:
            named = self._view.names(recorded)
            return dict(recorded) if named is None else named
        batch = None
        if self._sample is not None and self._sample.targets is not None:
            batch = tuple(part for part in self._sample if part is not None)
        found = self._view.gradients(batch) or {}
        if not found and not self._told:
            self._told = True
            warn_caller(
                "TensorBoard: no gradients are shown: nothing holds any. Call "
                "loop.record_gradients(gradients), pass the optimizer or validation_data with "
                "targets, or write_gradients=False."
            )
        return found


class EmbeddingLog:
    """Writes embeddings for the Projector.

    Args:
        view: The model's.
        metadata: Labels of the rows: a list, the path of a file with one a line, or a dict of
            these by layer. Rows of several columns begin with a header in a file, as the
            Projector has it.

    Raises:
        ArgumentTypeError: The view cannot tell its embeddings, or metadata is of another form.
        ArgumentValueError: Metadata is for a layer that is not there, or of another length.
    """

    def __init__(self, view: ModelView, metadata: Any) -> None:
        found = require(view, "embeddings", "TensorBoard(embeddings_freq=...)")
        self._view = view
        if not found:
            warn_caller("TensorBoard: embeddings_freq: the model has no embedding layer.")
        by_layer = metadata if isinstance(metadata, Mapping) else dict.fromkeys(found, metadata)
        self._labels: dict[str, tuple[Any, Any]] = {}
        for layer, labels in by_layer.items():
            if layer not in found:
                raise ArgumentValueError(
                    f"TensorBoard: embeddings_metadata: there is no embedding {layer!r}, but "
                    f"{list(found)}."
                )
            if labels is not None:
                self._labels[layer] = _labels(labels, layer, len(found[layer]))

    def write(self, writer: SummaryWriter, step: int) -> None:
        """Writes every embedding as it is now."""
        for layer, matrix in (self._view.embeddings() or {}).items():
            labels, header = self._labels.get(layer, (None, None))
            writer.add_embedding(
                matrix, labels, global_step=step, tag=layer, metadata_header=header
            )


def _labels(given: Any, layer: str, rows: int) -> tuple[Sequence[Any], Sequence[str] | None]:
    """Returns the labels of an embedding's rows, and the names of their columns if several."""
    where = f"TensorBoard: embeddings_metadata of {layer!r}"
    header = None
    if isinstance(given, (str, os.PathLike)):
        with Path(given).open(encoding="utf-8", newline="") as file:
            table = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        if table and len(table[0]) > 1:
            header, *table = table
        labels: Sequence[Any] = table if header else [row[0] if row else "" for row in table]
    elif isinstance(given, Sequence):
        labels = given
    else:
        raise ArgumentTypeError(
            f"{where}: expected a list of labels, or a file's path, got {type(given).__name__}."
        )
    if len(labels) != rows:
        raise ArgumentValueError(f"{where}: expected {rows} labels, a row each, got {len(labels)}.")
    return labels, header
