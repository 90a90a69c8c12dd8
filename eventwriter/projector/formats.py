"""The content of the Projector's files: matrices, metadata, and the names of embeddings.

    matrix, .bytes    float32, little-endian, row after row, without a header
    matrix, .tsv      a line for each row, a tab between two cells, 9 significant digits
    metadata, .tsv    a line for each point; before them a header line, if there are several columns

TensorBoard's plugin opens every matrix as text first. When a line is not UTF-8, the plugin reads
the file again as float32. So a matrix is written as raw float32, which is 400 times faster and 5
times smaller, if its first line is certainly not UTF-8. Otherwise it is written as text. Source:
`_read_tensor_tsv_file` and `_serve_tensor` of TensorBoard's
plugins/projector/projector_plugin.py.
"""

from __future__ import annotations

import re
from codecs import utf_8_decode
from collections.abc import Mapping, Set
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._values.arrays import as_numpy
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from eventwriter.typing import ArrayLike

_HEAD_BYTES = 4096
"""Typical floats hold a byte that is not UTF-8 long before this."""

_AMBIGUOUS = re.compile(
    r"[&#+%\x00-\x1f\x7f]"  # the page puts names into addresses without escapes
    r"|^\s|\s$"  # browsers trim addresses
    r"|:0$"  # TensorBoard drops this ending, the first output of a TensorFlow operation
    r"|:-?\d{4,}$| \(\d+\)$|~[0-9a-f]{8}$"  # endings that the functions below append
)

_REVISED = re.compile(r"(.*) \((\d+)\)", re.DOTALL)
_STEP = re.compile(r":(-?\d{4,})$")

_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})

_BLANK = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""Characters that JavaScript's trim() removes. The page skips lines of these alone."""

_LABELS_AT_ONCE = 4096
"""Labels that one call of C code takes. Other threads stand still during such a call, and one call
with 200,000 labels took 15 ms."""

_BLANK_LINE = re.compile(rf"^[{re.escape(_BLANK)}]*$", re.MULTILINE)


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
    finite = np.isfinite(matrix)
    nonfinite = matrix.size - int(np.count_nonzero(finite))
    if nonfinite:
        matrix[~finite] = 0
    return matrix, nonfinite


def encode_matrix(matrix: NDArray[np.float32]) -> tuple[str, Iterable[bytes | memoryview]]:
    """Return the extension of a matrix's file, and its content piece by piece.

    Args:
        matrix: Shape `[points, dimensions]`; little-endian, contiguous, finite.

    Returns:
        ".bytes" and the memory of the matrix, or ".tsv" and one line for each row.
    """
    raw = matrix.reshape(-1).view(np.uint8)
    if reads_as_text(raw):
        return ".tsv", _tsv_lines(matrix)
    return ".bytes", (raw.data,)


def reads_as_text(raw: NDArray[np.uint8]) -> bool:
    r"""Return whether TensorBoard may parse a line of `raw` before it finds that it is not text.

    TensorBoard's own file system decodes megabytes at once, TensorFlow's decodes line by line.
    Both refuse a file whose first line is not UTF-8, and both skip empty lines. Lines end with \n
    or \r.
    """
    for length in (_HEAD_BYTES, raw.size):
        head = raw[:length].tobytes().lstrip(b"\r\n")
        line, *rest = re.split(rb"[\r\n]", head, maxsplit=1)
        whole = bool(rest) or length >= raw.size
        try:
            utf_8_decode(line, "strict", whole)
        except UnicodeDecodeError:
            return False
        if whole:
            break
    return True


def _tsv_lines(matrix: NDArray[np.float32]) -> Iterator[bytes]:
    # Nine significant digits distinguish any two float32.
    line = "\t".join(["%.9g"] * matrix.shape[1]) + "\n"
    for row in matrix:
        yield (line % tuple(row.tolist())).encode()


def metadata_tsv(metadata: Any, header: Any, points: int, where: str) -> bytes:
    r"""Return the metadata of points in the format that TensorBoard's page parses.

    There is one line for each point. With several columns there is a header line before them: the
    page recognises a header by its tab. The text ends with a newline, because without one the
    page may never finish.

    Args:
        metadata: A sequence of labels, or, where `header` names several columns, a sequence of
            rows. It may be an array of any framework. Each cell is taken with str(); tabs,
            newlines and carriage returns become \t, \n and \r. A blank row is quoted, because the
            page would skip it and shift all labels that follow.
        header: The columns' names, or None for one column.
        points: The number of points.
        where: The call, for messages.

    Raises:
        ArgumentTypeError: The metadata, the header or a row is no sequence.
        ArgumentValueError: The lengths differ, two columns have one name, or a text holds a lone
            surrogate.
    """
    names = [] if header is None else _items(header, f"{where}: metadata_header")
    columns = [str(name) for name in names]
    if len(set(columns)) < len(columns):
        message = f"{where}: metadata_header: expected distinct names, got {columns}. Rename one."
        raise ArgumentValueError(message)
    rows = _items(metadata, f"{where}: metadata")
    if len(rows) != points:
        message = (
            f"{where}: metadata: expected {points} labels, one for each row of mat, got "
            f"{len(rows)}. Names of columns go into metadata_header."
        )
        raise ArgumentValueError(message)
    if not columns and (text := _plain_labels(rows)) is not None:
        return text.encode()
    if not columns and any(isinstance(row, (list, tuple)) and len(row) > 1 for row in rows):
        message = (
            f"{where}: metadata: expected one cell for each point, got rows of several cells. Name "
            "the columns in metadata_header."
        )
        raise ArgumentValueError(message)
    if len(columns) > 1:
        cells = columns + _cells(rows, len(columns), where)
        step = len(columns)
        escaped = _escaped(cells)
        lines = ["\t".join(escaped[at : at + step]) for at in range(0, len(escaped), step)]
    else:
        one_cell_each = columns and all(isinstance(row, (list, tuple)) for row in rows)
        lines = _escaped(_cells(rows, 1, where) if one_cell_each else [str(row) for row in rows])
    text = "\n".join([line if line.strip(_BLANK) else _quoted(line) for line in lines]) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start)
        message = (
            f"{where}: metadata: expected text that UTF-8 can express, got {lines[line]!r} with a "
            "lone surrogate. Remove it, e.g. with label.encode(errors='replace').decode()."
        )
        raise ArgumentValueError(message) from error


def _plain_labels(rows: list[Any]) -> str | None:
    """Return the lines of plain labels. This is five times cheaper than label by label.

    Returns:
        None if a label is no str, holds a tab or a line's end, is blank, or is not UTF-8.
    """
    texts = []
    for start in range(0, len(rows), _LABELS_AT_ONCE):
        some = rows[start : start + _LABELS_AT_ONCE]
        if set(map(type, some)) != {str}:
            return None
        text = "\n".join(some)
        careful = "\t" in text or "\r" in text or text.count("\n") != len(some) - 1
        if careful or _BLANK_LINE.search(text) or not _encodes(text):
            return None
        texts.append(text)
    return "\n".join([*texts, ""])


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _items(values: Any, where: str) -> list[Any]:
    values = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(values, (str, bytes, Mapping, Set)) or not hasattr(values, "__iter__"):
        message = f"{where}: expected a list, got {type_name(values)}. Pass one item a point."
        raise ArgumentTypeError(message)
    return list(values)


def _cells(rows: list[Any], columns: int, where: str) -> list[str]:
    cells: list[str] = []
    for index, row in enumerate(rows):
        row_cells = _items(row, f"{where}: metadata[{index}]")
        if len(row_cells) != columns:
            message = (
                f"{where}: metadata[{index}]: expected {columns} cells, one for each name in "
                f"metadata_header, got {len(row_cells)}."
            )
            raise ArgumentValueError(message)
        cells += map(str, row_cells)
    return cells


def _escaped(cells: list[str]) -> list[str]:
    if re.search(r"[\t\n\r]", "".join(cells)):
        return [cell.translate(_ESCAPES) for cell in cells]
    return cells


def _quoted(line: str) -> str:
    first, tab, rest = line.partition("\t")
    return repr(first) + tab + rest
