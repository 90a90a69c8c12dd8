r"""The labels of points, in the format that TensorBoard's page parses.

    metadata, .tsv    a line for each point; before them a header line, if there are several columns

The page recognises a header by its tab. It skips blank lines, and a text without a newline at its
end may keep it busy for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MappingView, Set
from typing import TYPE_CHECKING, Any, NamedTuple

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Table(NamedTuple):
    """Metadata as it was given, read once.

    Attributes:
        columns: The names of the columns; none for plain labels.
        rows: A label or a row for each point.
    """

    columns: list[str]
    rows: list[Any]


def metadata_tsv(metadata: Any, header: Any, points: int, where: str) -> bytes:
    r"""Return the metadata of points in the format that TensorBoard's page parses.

    Args:
        metadata: A label for each point, or a row for each point: any iterable, an array or a
            Series of any framework, or a data frame of pandas or polars. Rows are iterables, too.
            A frame, a structured array and rows that are dicts bring the names of their columns.
            Each cell is taken with str(); tabs, newlines and carriage returns become \t, \n and
            \r. A blank row is quoted, because the page would skip it and shift all labels that
            follow.
        header: The columns' names. They rename those of a frame, and choose from those of dicts.
            None for one column, or for the names that the metadata brings.
        points: The number of points.
        where: The call, for messages.

    Raises:
        ArgumentTypeError: The metadata, the header or a row is no iterable, or has no order.
        ArgumentValueError: The lengths differ, two columns have one name, or a text holds a lone
            surrogate.
    """
    table = read_table(metadata, f"{where}: metadata")
    if len(table.rows) != points:
        message = (
            f"{where}: metadata: expected {points} labels, one for each row of mat, got "
            f"{len(table.rows)}. Names of columns go into metadata_header."
        )
        raise ArgumentValueError(message)
    if header is not None:
        names = [str(name) for name in _items(header, f"{where}: metadata_header")]
        table = _renamed(table, names, f"{where}: metadata_header")
    elif table.rows and isinstance(table.rows[0], Mapping):
        table = table._replace(columns=list(map(str, table.rows[0])))
    columns, rows = table
    if len(set(columns)) < len(columns):
        name = "metadata" if header is None else "metadata_header"
        message = f"{where}: {name}: expected distinct names, got {columns}. Rename one."
        raise ArgumentValueError(message)
    if not columns and (plain := _plain_labels(rows)) is not None:
        return plain.encode()
    return _encode(_lines(columns, rows, where), where)


def read_table(metadata: Any, where: str) -> Table:
    """Read metadata of any accepted kind: see `metadata_tsv`.

    Args:
        metadata: An iterable is used up.
        where: Names the argument, for messages.

    Raises:
        ArgumentTypeError: The metadata is no iterable, or has no order.
        ArgumentValueError: A frame has no columns.
    """
    if hasattr(metadata, "itertuples"):  # pandas and what follows its interface
        return _frame(metadata.columns, metadata.itertuples(index=False, name=None), where)
    if hasattr(metadata, "iter_rows"):  # polars
        return _frame(metadata.columns, metadata.iter_rows(), where)
    rows = _items(metadata, where)
    names = getattr(getattr(metadata, "dtype", None), "names", None)  # a structured array
    return _frame(names, rows, where) if names else Table([], rows)


def _frame(columns: Iterable[object], rows: Iterable[Any], where: str) -> Table:
    names = list(map(str, columns))
    if not names:
        message = f"{where}: expected a frame with columns, got one without. Leave metadata out."
        raise ArgumentValueError(message)
    return Table(names, list(rows))


def _renamed(table: Table, names: list[str], where: str) -> Table:
    if table.columns and len(names) != len(table.columns):
        message = (
            f"{where}: expected {len(table.columns)} names, one for each column of metadata, got "
            f"{len(names)}. Leave metadata_header out: the frame brings its names."
        )
        raise ArgumentValueError(message)
    return Table(names, table.rows)


def _lines(columns: Sequence[str], rows: list[Any], where: str) -> list[str]:
    if len(columns) > 1:
        cells = [*columns, *_cells(rows, columns, where)]
        step = len(columns)
        escaped = _escaped(cells)
        return ["\t".join(escaped[at : at + step]) for at in range(0, len(escaped), step)]
    if columns and all(isinstance(row, (list, tuple, Mapping)) for row in rows):
        return _escaped(_cells(rows, columns, where))
    if any(map(_has_several_cells, rows)):
        message = (
            f"{where}: metadata: expected one cell for each point, got rows of several cells. Name "
            "the columns: with metadata_header, with a data frame, or with rows that are dicts."
        )
        raise ArgumentValueError(message)
    return _escaped([str(row) for row in rows])


def _has_several_cells(row: object) -> bool:
    if isinstance(row, (list, tuple, Mapping)):
        return len(row) > 1
    shape = getattr(row, "shape", ())  # an array or a Series
    return isinstance(shape, tuple) and len(shape) > 0 and shape[0] > 1


def _encode(lines: list[str], where: str) -> bytes:
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
    for convert in ("tolist", "to_list", "to_pylist"):  # NumPy and pandas, polars, pyarrow
        if hasattr(values, convert):
            values = getattr(values, convert)()
            break
    # A dict's keys are a Set for Python. They have an order, unlike the members of a set.
    unordered = isinstance(values, Set) and not isinstance(values, MappingView)
    if unordered or isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__"):
        message = f"{where}: expected a list, got {type_name(values)}. Pass one item a point."
        raise ArgumentTypeError(message)
    return list(values)


def _cells(rows: list[Any], columns: Sequence[str], where: str) -> list[str]:
    cells: list[str] = []
    for index, row in enumerate(rows):
        place = f"{where}: metadata[{index}]"
        if isinstance(row, Mapping):
            row_cells = _cells_by_name(row, columns, place)
        else:
            row_cells = _items(row, place)
        if len(row_cells) != len(columns):
            message = (
                f"{place}: expected {len(columns)} cells, one for each name in "
                f"metadata_header, got {len(row_cells)}."
            )
            raise ArgumentValueError(message)
        cells += map(str, row_cells)
    return cells


def _cells_by_name(row: Mapping[Any, Any], columns: Sequence[str], where: str) -> list[Any]:
    named = {str(name): cell for name, cell in row.items()}
    try:
        return [named[name] for name in columns]
    except KeyError as error:
        message = f"{where}: expected the names {list(columns)}, got {list(named)}. Add {error}."
        raise ArgumentValueError(message) from None


def _escaped(cells: list[str]) -> list[str]:
    if re.search(r"[\t\n\r]", "".join(cells)):
        return [cell.translate(_ESCAPES) for cell in cells]
    return cells


def _quoted(line: str) -> str:
    first, tab, rest = line.partition("\t")
    return repr(first) + tab + rest
