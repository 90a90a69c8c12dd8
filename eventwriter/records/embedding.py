"""Embeddings: points for the Projector.

An embedding is no record of the event file. It is files of its own in the run's directory, which
the room `projector` writes in the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._imports import importing
from eventwriter.records.recording import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventwriter.records.recording import Recording
    from eventwriter.typing import ArrayLike, Step


def add_embedding(
    self: Recording,
    mat: ArrayLike,
    metadata: Sequence[Any] | None = None,
    label_img: ArrayLike | None = None,
    global_step: Step | None = None,
    tag: str = "default",
    metadata_header: Sequence[str] | None = None,
) -> None:
    r"""Show points in the Projector, as `tag:step`.

    A copy is taken at the call and written in the background. When the same tag and step come
    again before that, only the last is written.

    Args:
        mat: Shape `[points, dimensions]`, at least one of each; any real dtype, any framework. It
            becomes float32. Cells that are then not finite become 0, with a warning: the page
            cannot show them, and without their rows all labels that follow would shift.
        metadata: None, or one label for each point. Where `metadata_header` names several columns:
            one row for each point. Cells are taken with str(); tabs, newlines and carriage returns
            become \t, \n and \r.
        label_img: None, or a picture of each point: shape `[points, channels, height, width]`,
            floats from 0 to 1 or uint8, 1 (grey), 3 (RGB) or 4 (RGBA) channels. All pictures
            together, in a square, take at most 8192 x 8192 pixels: the page shows no more.
        global_step: As in `add_scalar`.
        tag: The name.
        metadata_header: Distinct names of the columns of `metadata`.

    Raises:
        ArgumentTypeError, ArgumentValueError: Nothing was written.
        WriterClosedError: The writer is closed.

    Warns:
        EventWriterWarning: Cells were not finite, or pixels were not within 0 to 1.
    """
    call = Call(self, "add_embedding", tag, global_step)
    # Imported at the first embedding: a program that logs scalars does not pay for this room.
    with importing():
        from eventwriter.projector.embedding import to_embedding  # noqa: PLC0415
        from eventwriter.projector.queue import EmbeddingQueue  # noqa: PLC0415

    embedding = to_embedding(call.where, mat, metadata, label_img, metadata_header)
    with self._lock:
        queue = self._beside(EmbeddingQueue)
        queue.put(tag, self._take_step((tag,), call.step, call.where), embedding)
