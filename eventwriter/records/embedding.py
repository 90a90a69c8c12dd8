"""Embeddings: points for the Projector.

An embedding is no record of the event file. It is files of its own in the run's directory, which
the room `projector` writes in the background.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from eventwriter._imports import importing
from eventwriter.records.recording import Call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventwriter.records.recording import Recording
    from eventwriter.typing import ArrayLike, Step


def add_embedding(
    self: Recording,
    mat: ArrayLike,
    metadata: Iterable[Any] | None = None,
    label_img: ArrayLike | None = None,
    global_step: Step | None = None,
    tag: str = "default",
    metadata_header: Iterable[str] | None = None,
) -> None:
    r"""Show points in the Projector, as `tag:step`.

    A copy is taken at the call and written in the background. When the same tag and step come
    again before that, only the last is written. While `max_pending_bytes` or more wait, the call
    waits for the disk, for seconds at most. If that is not enough, the embedding is dropped and
    counted.

    Args:
        mat: Shape `[points, dimensions]`, at least one of each; any real dtype, any framework. It
            becomes float32. Cells that are then not finite become 0, with a warning: the page
            cannot show them, and without their rows all labels that follow would shift. The page
            lists only embeddings with two points and two dimensions or more. So one dimension
            gets a second one of zeros, with a warning, and one point brings only the warning.
        metadata: None, or a label or a row of cells for each point: any iterable, an array, or a
            Series or data frame of pandas or polars. A frame, a structured array and rows that are
            dicts bring the names of their columns; for other rows of several cells,
            `metadata_header` names them. Cells are taken with str(); tabs, newlines and carriage
            returns become \t, \n and \r.
        label_img: None, or a picture of each point: shape `[points, channels, height, width]`,
            floats from 0 to 1 or uint8, 1 (grey), 3 (RGB) or 4 (RGBA) channels. All pictures
            together, in a square, take at most 8192 x 8192 pixels: the page shows no more.
        global_step: As in `add_scalar`.
        tag: The name.
        metadata_header: Distinct names of the columns of `metadata`. They rename the columns of a
            frame, and choose from those of dicts.

    Raises:
        ArgumentTypeError, ArgumentValueError: Nothing was written.
        WriterClosedError: The writer is closed.

    Warns:
        EventWriterWarning: Cells were not finite, pixels were not within 0 to 1, or there is one
            point or one dimension only. Each warning comes once for each tag.
    """
    call = Call(self, "add_embedding", tag, global_step)
    # Imported at the first embedding: a program that logs scalars does not pay for this room.
    with importing():
        from eventwriter.projector.embedding import to_embedding  # noqa: PLC0415
        from eventwriter.projector.queue import EmbeddingQueue  # noqa: PLC0415

    embedding = to_embedding(
        call.where, mat, metadata, label_img, metadata_header, partial(self._warn_once_of, tag)
    )
    with self._lock:
        queue = self._beside(EmbeddingQueue)
        queue.put(tag, self._take_step((tag,), call.step, call.where), embedding)


def purge_embeddings(self: Recording, step: int) -> None:
    """Take what an earlier writer of the run logged off the Projector's list.

    Args:
        step: The first step to leave out. Their files stay, because a running TensorBoard may ask
            for them.
    """
    with importing():
        from eventwriter.projector.queue import EmbeddingQueue  # noqa: PLC0415

    with self._lock:
        self._beside(EmbeddingQueue).purge(step)
