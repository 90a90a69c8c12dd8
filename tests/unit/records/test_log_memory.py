"""The memory of the sets of names that `log` remembers."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from eventwriter.records import scalars

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_BYTES = 1 << 20


def sets_of_names(names: int, count: int) -> Iterator[tuple[str, ...]]:
    for number in range(count):
        yield tuple(f"set_{number}/name_{index}" for index in range(names))


@pytest.mark.parametrize(("names", "count"), [(1, 2000), (1000, 40), (100_000, 2)])
def test_names_are_bounded_by_their_memory(
    monkeypatch: pytest.MonkeyPatch, names: int, count: int
) -> None:
    """Few large sets are as bounded as many small ones. The newest is always remembered."""
    monkeypatch.setattr(scalars, "_KNOWN_BYTES", LIMIT_BYTES)
    known = scalars._KnownNames()
    held = 0
    gc.collect()  # tuples kept for reuse would not be traced
    tracemalloc.start()
    try:
        for tags in sets_of_names(names, count):
            known.add(tags, tags)
            assert tags in known.tags
            held = max(held, tracemalloc.get_traced_memory()[0])
        newest = tracemalloc.get_traced_memory()[0] / len(known.tags)
    finally:
        tracemalloc.stop()
    # The most that was held, since the last may be just after the others were forgotten.
    assert LIMIT_BYTES / 20 < held < 1.5 * max(LIMIT_BYTES, newest)
