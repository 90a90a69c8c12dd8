"""The embeddings of a model, with the labels of their rows."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterError
from eventwriter.projector.metadata import Table, metadata_tsv, read_table
from eventwriter.training.model_view import require

if TYPE_CHECKING:
    from eventwriter import SummaryWriter
    from eventwriter.training.model_view import ModelView
    from eventwriter.training.recorder import Attempt
    from eventwriter.typing import PathLike

Labels: TypeAlias = "Iterable[Any] | PathLike"
"""The labels of an embedding's rows, of any kind that `add_embedding(metadata=)` takes, or the path
of a file with one label a line."""

Metadata: TypeAlias = "Mapping[str, Labels | None] | Labels | None"
"""Labels for every embedding, or a dict of labels by the name of the layer."""


def lasting(metadata: Metadata) -> Metadata:
    """Return metadata that can be read for each training: what an iterator yields, as a list."""
    if isinstance(metadata, Mapping):
        return {layer: lasting(labels) for layer, labels in metadata.items()}
    return list(metadata) if isinstance(metadata, Iterator) else metadata


class EmbeddingLog:
    """Writes embeddings for the Projector.

    Args:
        view: The view of the model.
        metadata: From `lasting`. A file whose rows have several columns begins with a header, as
            the Projector expects.
        directory: The directory that the paths of files are relative to.
        attempt: As in `Recorder`.

    Raises:
        ArgumentTypeError: The view knows no embeddings, or `metadata` has another form.
        ArgumentValueError: There are labels for a layer that does not exist, not as many labels as
            rows, or labels that `add_embedding` refuses.
        OSError: A file cannot be read.
    """

    def __init__(
        self,
        view: ModelView,
        metadata: Metadata,
        directory: PathLike,
        attempt: Attempt,
    ) -> None:
        self._view = view
        self._attempt = attempt
        self._tables: dict[str, Table] = {}
        found: Mapping[str, Any] | None = None
        with attempt("embeddings", unless=EventWriterError):
            found = require(view, "embeddings", "TensorBoard(embeddings_freq=...)")
        if found is None:
            return
        if not found:
            warn_caller(
                "TensorBoard: embeddings_freq: expected a model with an embedding layer, got one "
                "without. No embedding is written."
            )
        by_layer = metadata if isinstance(metadata, Mapping) else dict.fromkeys(found, metadata)
        for layer, labels in by_layer.items():
            if layer not in found:
                raise ArgumentValueError(
                    "TensorBoard: embeddings_metadata: expected names of embedding layers "
                    f"{list(found)}, got {layer!r}."
                )
            if labels is not None:
                self._tables[layer] = _read(labels, layer, len(found[layer]), Path(directory))

    def write(self, writer: SummaryWriter, step: int) -> None:
        """Write every embedding with its values of now. What cannot be written is left out."""
        found: Mapping[str, Any] = {}
        with self._attempt("embeddings"):
            found = self._view.embeddings() or {}
        for layer, matrix in found.items():
            table = self._tables.get(layer)
            with self._attempt("embeddings"):
                writer.add_embedding(
                    matrix,
                    table and table.rows,
                    global_step=step,
                    tag=layer,
                    metadata_header=(table and table.columns) or None,
                )


def _read(given: Labels, layer: str, points: int, directory: Path) -> Table:
    """Return the labels of an embedding's rows, which were checked."""
    where = f"TensorBoard: embeddings_metadata of {layer!r}"
    if isinstance(given, (str, os.PathLike)):
        table = _read_file(directory / given)  # an absolute path stays as it is
    else:
        try:
            table = read_table(given, where)
        except ArgumentTypeError as error:
            raise ArgumentTypeError(
                f"{where}: expected a list of labels, a data frame, or the path of a file, got "
                f"{type_name(given)}."
            ) from error
    if len(table.rows) != points:
        raise ArgumentValueError(
            f"{where}: expected {points} labels, one for each row, got {len(table.rows)}."
        )
    metadata_tsv(table.rows, table.columns or None, points, where)  # raises before the training
    return table


def _read_file(path: Path) -> Table:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if rows and len(rows[0]) > 1:
        return Table(rows[0], rows[1:])
    return Table([], [row[0] if row else "" for row in rows])
