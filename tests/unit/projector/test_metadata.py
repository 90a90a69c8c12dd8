"""Metadata in each form that a caller may have it in."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.projector.metadata import metadata_tsv

WHERE = "add_embedding('embed')"
TABLE = "word\trank\nthe\t1\nof\t2\n"
WORDS = {"the": 1, "of": 2}


@pytest.mark.parametrize(
    ("metadata", "header", "expected"),
    [
        (WORDS.keys(), None, "the\nof\n"),
        (WORDS.values(), None, "1\n2\n"),
        (WORDS.items(), ["word", "rank"], TABLE),
        ((str(label) for label in (1, 2)), None, "1\n2\n"),
        (zip(["the", "of"], range(1, 3), strict=True), iter(["word", "rank"]), TABLE),
        ([iter(row) for row in WORDS.items()], ["word", "rank"], TABLE),
        (csv.DictReader(["word,rank", "the,1", "of,2"]), None, TABLE),
        ([{"word": "the", "rank": 1}, {"rank": 2, "word": "of"}], None, TABLE),
        ([{"id": 7, "word": "the"}, {"id": 8, "word": "of"}], ["word"], "the\nof\n"),
        ([{"word": "the"}, {"word": "of"}], None, "the\nof\n"),
        (np.array([("the", 1), ("of", 2)], [("word", "U3"), ("rank", "i8")]), None, TABLE),
        (np.array([("the", 1), ("of", 2)], "U3,i8"), ["word", "rank"], TABLE),
    ],
)
def test_each_form(metadata: Any, header: Any, expected: str) -> None:
    """Any iterable of labels or rows is taken. What brings names of columns needs no header."""
    assert expected == metadata_tsv(metadata, header, 2, WHERE).decode()


@pytest.mark.parametrize(
    ("error", "metadata", "header", "message"),
    [
        (ArgumentTypeError, {"the", "of"}, None, "expected a list, got set"),
        (ArgumentTypeError, frozenset({"the", "of"}), None, "expected a list, got frozenset"),
        (ArgumentTypeError, WORDS, None, "expected a list, got dict"),
        (ArgumentValueError, WORDS.items(), None, "Name the columns: with metadata_header"),
        (ArgumentValueError, [np.zeros(2)] * 2, None, "Name the columns: with metadata_header"),
        (ArgumentValueError, [{"a": 1, "b": 2}, {"a": 1}], None, r"\[1\]: expected the names"),
        (ArgumentValueError, [{"a": 1}] * 2, ["b"], r"\[0\]: expected the names \['b'\]"),
        (ArgumentValueError, np.zeros(2, "i4,i4"), ["a"], "expected 2 names.* got 1"),
    ],
)
def test_what_is_refused(error: type[Exception], metadata: Any, header: Any, message: str) -> None:
    """The error says what is missing. Nothing is taken by its position alone."""
    with pytest.raises(error, match=message):
        metadata_tsv(metadata, header, 2, WHERE)
