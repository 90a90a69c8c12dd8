"""The embeddings of a model, with the labels of their rows."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.model_view import require

if TYPE_CHECKING:
    from eventwriter import SummaryWriter
    from eventwriter.training.model_view import ModelView
    from eventwriter.typing import PathLike

Labels: TypeAlias = "Sequence[Any] | PathLike"
"""The labels of an embedding's rows, or the path of a file with one label a line."""


class EmbeddingLog:
    """Writes embeddings for the Projector.

    Args:
        view: The view of the model.
        metadata: Labels for every embedding, or a dict of labels by the name of the layer. A file
            whose rows have several columns begins with a header, as the Projector expects.

    Raises:
        ArgumentTypeError: The view knows no embeddings, or `metadata` has another form.
        ArgumentValueError: There are labels for a layer that does not exist, or not as many labels
            as rows.
    """

    def __init__(self, view: ModelView, metadata: Mapping[str, Labels | None] | Labels | None):
        found = require(view, "embeddings", "TensorBoard(embeddings_freq=...)")
        self._view = view
        if not found:
            warn_caller(
                "TensorBoard: embeddings_freq: expected a model with an embedding layer, got one "
                "without. No embedding is written."
            )
        by_layer = metadata if isinstance(metadata, Mapping) else dict.fromkeys(found, metadata)
        self._labels: dict[str, tuple[Any, Any]] = {}
        for layer, labels in by_layer.items():
            if layer not in found:
                raise ArgumentValueError(
                    "TensorBoard: embeddings_metadata: expected names of embedding layers "
                    f"{list(found)}, got {layer!r}."
                )
            if labels is not None:
                self._labels[layer] = _read(labels, layer, len(found[layer]))

    def write(self, writer: SummaryWriter, step: int) -> None:
        """Write every embedding with its values of now."""
        for layer, matrix in (self._view.embeddings() or {}).items():
            labels, header = self._labels.get(layer, (None, None))
            writer.add_embedding(
                matrix, labels, global_step=step, tag=layer, metadata_header=header
            )


def _read(given: Labels, layer: str, rows: int) -> tuple[Sequence[Any], Sequence[str] | None]:
    """Return the labels of an embedding's rows, and the names of their columns if several."""
    where = f"TensorBoard: embeddings_metadata of {layer!r}"
    header = None
    labels: Sequence[Any]
    if isinstance(given, (str, os.PathLike)):
        with Path(given).open(encoding="utf-8", newline="") as file:
            table = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        if table and len(table[0]) > 1:
            header, *table = table
        labels = table if header else [row[0] if row else "" for row in table]
    elif isinstance(given, Sequence):
        labels = given
    else:
        raise ArgumentTypeError(
            f"{where}: expected a list of labels, or the path of a file, got {type_name(given)}."
        )
    if len(labels) != rows:
        raise ArgumentValueError(
            f"{where}: expected {rows} labels, one for each row, got {len(labels)}."
        )
    return labels, header
