"""What stands in the files of the Projector: matrices, metadata, and the names of embeddings.

TensorBoard opens a matrix as text first: a line for each row, tabs between the cells. Only where
a line turns out not to be UTF-8 does it take the file for float32. So raw float32 (400 times faster
and 5 times smaller) is written where that is sure to happen, and text where it is not.
"""

from __future__ import annotations

import re
from codecs import utf_8_decode
from collections.abc import Mapping, Set
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_HEAD_BYTES = 4096
"""Typical floats hold a byte that is no UTF-8 long before this."""

_AMBIGUOUS = re.compile(
    r"[&#+%\x00-\x1f\x7f]"  # the page puts names into addresses as they are
    r"|^\s|\s$"  # browsers trim addresses
    r"|:0$"  # TensorBoard drops this, the first output of a TensorFlow operation
    r"|:-?\d{4,}$| \(\d+\)$|~[0-9a-f]{8}$"  # what is appended to names here
)

_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})

_BLANK = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript's trim() removes: the page skips lines that hold nothing else."""

_BLANK_LINE = re.compile(rf"^[{re.escape(_BLANK)}]*$", re.MULTILINE)


def display_name(tag: str, step: int | None) -> str:
    """Return the name under which the page lists `tag` at `step`: `tag:00120`.

    Distinct (tag, step) have distinct names: where the tag itself cannot stand in one, what is
    wrong is replaced with `_`, and a hash of the tag is appended.
    """
    name = tag
    if _AMBIGUOUS.search(tag):
        digest = blake2b(tag.encode(), digest_size=4).hexdigest()
        name = re.sub(r"[&#+%\x00-\x1f\x7f]|^\s|\s$", "_", tag) + "~" + digest
    return name if step is None else f"{name}:{step:05d}"


def revised_name(name: str, shown: Iterable[str]) -> tuple[str, str | None]:
    """Return what to call an embedding that may have been logged before, and whom it replaces.

    Args:
        name: From `display_name`.
        shown: The names in the configuration.

    Returns:
        `name`, None where it is new; else e.g. `name (3)`, `name (2)`.
    """
    pattern = re.compile(re.escape(name) + r"(?: \((\d+)\))?")
    matches = (pattern.fullmatch(other) for other in shown)
    revisions = {int(match[1] or 1): match[0] for match in matches if match}
    if not revisions:
        return name, None
    newest = max(revisions)
    return f"{name} ({newest + 1})", revisions[newest]


def to_float32(mat: Any, where: str) -> tuple[NDArray[np.float32], int]:
    """Return a little-endian float32 copy of a matrix, and how many cells were not finite.

    Those are 0 in the copy. A float64 beyond float32's range is among them.

    Raises:
        ArgumentTypeError: No array of real numbers, or not of shape [points, dimensions] with
            at least one of each.
    """
    array = as_numpy(mat, f"{where}: mat")
    if array.ndim != 2 or 0 in array.shape:
        message = (
            f"{where}: mat: expected shape [points, dimensions], at least one of each, "
            f"got {array.shape}."
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
    """Return the extension of a matrix's file, and what to write into it, piece by piece.

    Args:
        matrix: Shape [points, dimensions]; little-endian, contiguous, finite.

    Returns:
        ".bytes" and the memory of the matrix, or ".tsv" and one line for each row.
    """
    raw = matrix.reshape(-1).view(np.uint8)
    if reads_as_text(raw):
        return ".tsv", _tsv_lines(matrix)
    return ".bytes", (raw.data,)


def reads_as_text(raw: NDArray[np.uint8]) -> bool:
    r"""Whether TensorBoard may parse a line of `raw` before it finds that it is not text.

    Its reader in Python decodes megabytes at once, TensorFlow's decodes line by line. Both refuse
    a file whose first line is not UTF-8, and both skip empty lines. Line ends are \n and \r.
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
    # Nine significant digits tell any two float32 apart.
    line = "\t".join(["%.9g"] * matrix.shape[1]) + "\n"
    for row in matrix:
        yield (line % tuple(row.tolist())).encode()


def metadata_tsv(metadata: Any, header: Any, points: int, where: str) -> bytes:
    r"""Return the metadata of `points` points as TensorBoard's page parses it.

    One line for each point, after a header line where there are several columns: the page knows
    the header by its tab. Ends with a newline, without which the page may never finish.

    Args:
        metadata: A sequence of labels, or of rows where `header` names several columns; an array
            of any framework. Each cell is taken with str(); tabs, newlines and carriage returns
            become \t, \n and \r. A row that is blank is quoted: the page would skip it, and shift
            all labels that follow.
        header: The columns' names, or None for one column.
        points: How many there must be.
        where: The call, for messages.

    Raises:
        ArgumentTypeError: Not a sequence, or a row that is none.
        ArgumentValueError: Another length, columns of the same name, lone surrogates.
    """
    names = [] if header is None else _items(header, f"{where}: metadata_header")
    columns = [str(name) for name in names]
    if len(set(columns)) < len(columns):
        message = f"{where}: metadata_header: expected distinct names, got {columns}."
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
        message = f"{where}: metadata: got rows of several cells. Name them in metadata_header."
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
            f"{where}: metadata: {lines[line]!r} holds a lone surrogate, which UTF-8 cannot "
            "express. Remove it, e.g. with label.encode(errors='replace').decode()."
        )
        raise ArgumentValueError(message) from error


def _plain_labels(rows: list[Any]) -> str | None:
    """Return the lines of labels that need no care: five times cheaper than one by one.

    None if one is no str, or holds a tab or a line's end, or is blank, or is not UTF-8.
    """
    if set(map(type, rows)) != {str}:
        return None
    text = "\n".join(rows)
    careful = "\t" in text or "\r" in text or text.count("\n") != len(rows) - 1
    if careful or _BLANK_LINE.search(text) or not _encodes(text):
        return None
    return text + "\n"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _items(values: Any, where: str) -> list[Any]:
    values = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(values, (str, bytes, Mapping, Set)) or not hasattr(values, "__iter__"):
        message = f"{where}: expected a list, got {type(values).__name__}."
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
