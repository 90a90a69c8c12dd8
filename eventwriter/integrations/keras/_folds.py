"""Folds the layers of a large model into scopes, so that the page shows few boxes."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from eventwriter.graphs.limits import MAX_BOXES
from eventwriter.graphs.unique_names import UniqueNames

if TYPE_CHECKING:
    from collections.abc import Sequence

Scope: TypeAlias = tuple[str, ...]

_MAX_PERIOD = 64
_MIN_REPEATS = 3


def folds_of(operations: Sequence[Any]) -> dict[int, Scope]:
    """Return the outer scopes of operations, by the id of the operation.

    A model with few operations needs none.

    Args:
        operations: The operations of one model, in the order in which they run. A shared one may
            be there several times.
    """
    distinct = list({id(operation): operation for operation in operations}.values())
    if len(distinct) <= MAX_BOXES:
        return {}
    names = UniqueNames()
    for operation in distinct:
        names.add(operation.name)
    sections = [
        (prefix, list(section))
        for prefix, section in groupby(distinct, lambda operation: operation.name.partition("_")[0])
    ]
    if len(sections) > MAX_BOXES:
        return _repeated(distinct, names)
    return {
        id(operation): (scope,)
        for prefix, section in sections
        if len(section) > 1
        for scope in [names.claim(prefix)]
        for operation in section
    }


def _repeated(operations: Sequence[Any], names: UniqueNames) -> dict[int, Scope]:
    """Fold operations whose classes repeat: they are a run of blocks.

    Of the runs that start at an operation, the longest is taken.
    """
    classes = [type(operation) for operation in operations]
    folds: dict[int, Scope] = {}
    start = 0
    while start < len(classes):
        reach, negative = max(
            (_reach(classes, start, period), -period) for period in range(1, _MAX_PERIOD)
        )
        period = -negative
        if reach < _MIN_REPEATS * max(period, 2):
            start += 1
            continue
        blocks = names.claim("blocks")
        for k in range(reach):
            block = (f"block_{k // period}",) if period > 1 else ()
            folds[id(operations[start + k])] = (blocks, *block)
        start += reach
    return folds


def _reach(classes: Sequence[type], start: int, period: int) -> int:
    """Return how many items from `start` on repeat the first `period` of them, in whole periods."""
    end = start + period
    while end < len(classes) and classes[end] is classes[end - period]:
        end += 1
    return (end - start) // period * period
