"""The content of the Projector's files: matrices, and the names of embeddings.

    matrix, .bytes    float32, little-endian, row after row, without a header
    matrix, .tsv      a line for each row, a tab between two cells, 9 significant digits

TensorBoard's plugin opens every matrix as text first. When a line is not UTF-8, the plugin reads
the file again as float32. So a matrix is written as raw float32, which is 400 times faster and 5
times smaller, if its first line is certainly not UTF-8. Otherwise it is written as text. Source:
`_read_tensor_tsv_file` and `_serve_tensor` of TensorBoard's
plugins/projector/projector_plugin.py.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from eventwriter.typing import ArrayLike

_HEAD_BYTES = 4096
"""Typical floats hold a byte that is not UTF-8 long before this."""

_BYTES_AT_ONCE = 1 << 20
"""To decode so many takes less than a millisecond, for which other threads stand still."""

_CELLS_AT_ONCE = 1 << 16
"""They fit a core's cache, and a mask of them is small, however large the matrix is."""

_TEXT_CELLS_AT_ONCE = 1 << 12
"""To print so many takes a millisecond."""

_MOST_TEXT_CELLS = 1 << 18
"""The largest matrix that is certainly kept bit for bit. As text it takes TensorBoard 0.1 s."""

_AMBIGUOUS = re.compile(
    r"[&#+%\x00-\x1f\x7f]"  # the page puts names into addresses without escapes
    r"|^\s|\s$"  # browsers trim addresses
    r"|:0$"  # TensorBoard drops this ending, the first output of a TensorFlow operation
    r"|:-?\d{4,}$| \(\d+\)$|~[0-9a-f]{8}$"  # endings that the functions below append
)

_REVISED = re.compile(r"(.*) \((\d+)\)", re.DOTALL)
_STEP = re.compile(r":(-?\d{4,})$")


def display_name(tag: str, step: int | None) -> str:
    """Return the name under which the page lists `tag` at `step`: `tag:00120`.

    Distinct pairs of tag and step have distinct names. When a tag cannot be part of a name, its
    wrong characters become `_` and a hash of the tag is appended.
    """
    name = tag
    if _AMBIGUOUS.search(tag):
        digest = blake2b(tag.encode(), digest_size=4).hexdigest()
        name = re.sub(r"[&#+%\x00-\x1f\x7f]|^\s|\s$", "_", tag) + "~" + digest
    return name if step is None else f"{name}:{step:05d}"


def base_and_revision(name: str) -> tuple[str, int]:
    """Return a name without its revision, and the revision: "embed (2)" is ("embed", 2)."""
    match = _REVISED.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 1)


def step_of(name: str) -> int | None:
    """Return the step in a name from `display_name`, or None for a name without a step."""
    match = _STEP.search(base_and_revision(name)[0])
    return int(match[1]) if match else None


def to_float32(mat: ArrayLike, where: str) -> tuple[NDArray[np.float32], int]:
    """Return a little-endian float32 copy of a matrix, and the number of cells that are not finite.

    Those cells are 0 in the copy. A float64 beyond the range of float32 is not finite.

    Raises:
        ArgumentTypeError: The matrix is no array of real numbers, or its shape is not
            `[points, dimensions]` with at least one of each.
    """
    array = as_numpy(mat, f"{where}: mat")
    if array.ndim != 2 or 0 in array.shape:
        message = (
            f"{where}: mat: expected shape [points, dimensions], at least one of each, "
            f"got {array.shape}. Reshape it."
        )
        raise ArgumentTypeError(message)
    with np.errstate(over="ignore", under="ignore"):
        matrix = np.array(array, np.dtype("<f4"), order="C", copy=True)
    cells = matrix.reshape(-1)
    nonfinite = 0
    for start in range(0, cells.size, _CELLS_AT_ONCE):
        piece = cells[start : start + _CELLS_AT_ONCE]
        finite = np.isfinite(piece)
        if not finite.all():
            nonfinite += piece.size - int(np.count_nonzero(finite))
            piece[~finite] = 0
    return matrix, nonfinite


def encode_matrix(matrix: NDArray[np.float32]) -> tuple[str, Iterable[bytes | memoryview]]:
    """Return the extension of a matrix's file, and its content piece by piece.

    A large matrix that reads as text is written raw all the same if a zero stands in its first
    line: that zero becomes -0, which is the same number, and whose bytes are not UTF-8. The
    reason: TensorBoard parses text a thousand times slower, when it reads the configuration.

    Args:
        matrix: Shape `[points, dimensions]`; little-endian, contiguous, finite.

    Returns:
        ".bytes" and the memory of the matrix, or ".tsv" and one line for each row.
    """
    cells = matrix.reshape(-1)
    raw = cells.view(np.uint8)
    if not reads_as_text(raw):
        return ".bytes", (raw.data,)
    if matrix.size > _MOST_TEXT_CELLS and (head := _head_with_minus_zero(cells)):
        return ".bytes", (head, raw.data[len(head) :])
    return ".tsv", _tsv_lines(matrix)


def reads_as_text(raw: NDArray[np.uint8]) -> bool:
    r"""Return whether TensorBoard may parse a line of `raw` before it finds that it is not text.

    TensorBoard's own file system decodes megabytes at once, TensorFlow's decodes line by line.
    Both refuse a file whose first line is not UTF-8, and both skip empty lines. Lines end with \n
    or \r.
    """
    decoder = getincrementaldecoder("utf-8")()
    start, size, begun = 0, _HEAD_BYTES, False
    while start < raw.size:
        piece = raw[start : start + size].tobytes()
        start, size = start + size, _BYTES_AT_ONCE
        if not begun:
            piece = piece.lstrip(b"\r\n")
            begun = bool(piece)
        ends = [end for end in (piece.find(b"\n"), piece.find(b"\r")) if end >= 0]
        try:
            decoder.decode(piece[: min(ends)] if ends else piece, final=bool(ends))
        except UnicodeDecodeError:
            return False
        if ends:
            return True
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _head_with_minus_zero(cells: NDArray[np.float32]) -> bytes | None:
    """Return the bytes up to the first zero, which is now -0, if they do not read as text."""
    for start in range(0, cells.size, _CELLS_AT_ONCE):
        zeros = cells[start : start + _CELLS_AT_ONCE] == 0
        if zeros.any():
            head = cells[: start + int(zeros.argmax()) + 1].copy()
            head[-1] = -0.0
            raw = head.view(np.uint8)
            return None if reads_as_text(raw) else raw.tobytes()
    return None


def _tsv_lines(matrix: NDArray[np.float32]) -> Iterator[bytes]:
    # Nine significant digits distinguish any two float32.
    dimensions = matrix.shape[1]
    if dimensions <= _TEXT_CELLS_AT_ONCE:
        line = "\t".join(["%.9g"] * dimensions) + "\n"
        for row in matrix:
            yield (line % tuple(row.tolist())).encode()
        return
    for row in matrix:
        for start in range(0, dimensions, _TEXT_CELLS_AT_ONCE):
            some = row[start : start + _TEXT_CELLS_AT_ONCE].tolist()
            end = "\t" if start + len(some) < dimensions else "\n"
            yield ("\t".join(["%.9g"] * len(some)) % tuple(some) + end).encode()
