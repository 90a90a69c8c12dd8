"""One embedding: a snapshot of what a call was given, converted and checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._warn import warn_each_time
from eventwriter.errors import ArgumentValueError
from eventwriter.projector.formats import to_float32
from eventwriter.projector.metadata import metadata_tsv
from eventwriter.projector.sprites import SpriteSheet, sprite_sheet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from eventwriter._warn import Warn
    from eventwriter.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class Embedding:
    """A snapshot of one embedding. It shares no memory with what the caller passed.

    Attributes:
        matrix: Shape `[points, dimensions]`, float32, little-endian, finite, with at least two
            dimensions.
        metadata: The content of the metadata's file, or None.
        sheet: The picture of every point in one sheet, or None.
        token: Eight random hexadecimal digits. They make the name of the matrix's file one that
            no process has ever used.
    """

    matrix: NDArray[np.float32]
    metadata: bytes | None
    sheet: SpriteSheet | None
    token: str = field(default_factory=lambda: os.urandom(4).hex())

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        sheet_bytes = self.sheet.pixels.nbytes if self.sheet else 0
        return self.matrix.nbytes + len(self.metadata or b"") + sheet_bytes


def to_embedding(
    where: str,
    mat: ArrayLike,
    metadata: Iterable[Any] | None = None,
    label_img: ArrayLike | None = None,
    metadata_header: Iterable[str] | None = None,
    warn: Warn = warn_each_time,
) -> Embedding:
    r"""Convert the arguments of `add_embedding`. This is the slow part, and takes no lock.

    Args:
        where: The call, for messages.
        mat: Shape `[points, dimensions]`, at least one of each; any real dtype, any framework. It
            becomes float32. Cells that are then not finite become 0: the page cannot show them,
            and without their rows all labels that follow would shift. A single dimension gets a
            second one of zeros, because the page lists no tensor with one dimension.
        metadata: None, or a label or a row for each point: see `metadata_tsv`.
        label_img: None, or shape `[points, channels, height, width]`: floats from 0 to 1 or
            uint8; grey, RGB or RGBA.
        metadata_header: None, or distinct names of columns. The name of a single column is not
            written, because the page would take it for a label.
        warn: Is called with the topic and the message of each warning.

    Raises:
        ArgumentTypeError: An argument has another dtype, shape or type.
        ArgumentValueError: Lengths or names of columns do not fit, a text has lone surrogates, or
            the sheet of pictures is above 8192 x 8192 pixels.

    Warns:
        EventWriterWarning: Cells were not finite, pixels were not within 0 to 1, or there is one
            point or one dimension only.
    """
    matrix, nonfinite = to_float32(mat, where)
    if metadata is None and metadata_header is not None:
        raise ArgumentValueError(
            f"{where}: expected metadata for metadata_header, got None. Pass both, or neither."
        )
    points = len(matrix)
    tsv = None if metadata is None else metadata_tsv(metadata, metadata_header, points, where)
    sheet = None if label_img is None else sprite_sheet(label_img, points, where, warn)
    if nonfinite:
        warn(
            "nonfinite",
            f"{where}: {nonfinite} of {matrix.size} cells are not finite in float32. They are "
            "written as 0, because the projector cannot show them.",
        )
    return Embedding(_shown(matrix, where, warn), tsv, sheet)


def _shown(matrix: NDArray[np.float32], where: str, warn: Warn) -> NDArray[np.float32]:
    """Return a matrix that the page lists, or warn that it lists none like it."""
    points, dimensions = matrix.shape
    if points > 1 < dimensions:
        return matrix
    remedy = (
        "A second dimension of zeros is added."
        if points > 1
        else "It is written, and the page does not list it. Pass more points."
    )
    warn(
        "not listed",
        f"{where}: mat: expected at least 2 points and 2 dimensions, which is what the projector "
        f"lists, got {points} x {dimensions}. {remedy}",
    )
    zeros = np.zeros((points, 1 if dimensions == 1 else 0), matrix.dtype)
    return np.hstack([matrix, zeros])
