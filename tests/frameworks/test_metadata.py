"""Labels of points from pandas and polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from eventwriter import SummaryWriter
from eventwriter.callbacks import Loop, NumpyView, TensorBoard
from eventwriter.errors import ArgumentValueError
from tests.helpers.projector import config

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {"word": ["the", "of"], "rank": [1, 2]}
TABLE = "word\trank\nthe\t1\nof\t2\n"


def written(log_dir: Path, metadata: Any, header: Any = None) -> str:
    """Log a matrix of two points, and return the content of its metadata's file."""
    with SummaryWriter(log_dir) as writer:
        writer.add_embedding(np.eye(2), metadata, metadata_header=header)
    (info,) = config(log_dir).embeddings
    return (log_dir / info.metadata_path).read_text()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
@pytest.mark.parametrize(
    ("columns", "header", "expected"),
    [
        (COLUMNS, None, TABLE),
        (COLUMNS, ["token", "place"], "token\tplace\nthe\t1\nof\t2\n"),
        ({"word": ["the", "of"]}, None, "the\nof\n"),
        ({"word": ["the", "of"]}, ["token"], "the\nof\n"),
    ],
)
def test_frame(tmp_path: Path, frame: Any, columns: Any, header: Any, expected: str) -> None:
    """A frame brings its rows and the names of its columns.

    Catches: a frame that is read as the list of its column names, which went wrong silently where
    there are as many columns as points.
    """
    assert expected == written(tmp_path, frame(columns), header)


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["the", "of"], index=[7, 8]),
        pd.Series(["the", "of"], dtype="category"),
        pd.Index(["the", "of"]),
        pl.Series("word", ["the", "of"]),
        pl.Series("word", ["the", "of"], dtype=pl.Categorical),
    ],
)
def test_series(tmp_path: Path, series: Any) -> None:
    """A Series is a column of labels, in its own order."""
    assert written(tmp_path, series) == "the\nof\n"


def test_index_and_column_names_that_are_no_text(tmp_path: Path) -> None:
    """The index of a frame is no column. Names of columns are taken with str()."""
    frame = pd.DataFrame([["the", 1], ["of", 2]], index=["a", "b"])

    assert written(tmp_path, frame) == "0\t1\nthe\t1\nof\t2\n"


@pytest.mark.parametrize(
    ("frame", "header", "message"),
    [
        (pd.DataFrame(index=[0, 1]), None, "expected a frame with columns"),
        (pd.DataFrame([[1, 2]] * 2, columns=["a", "a"]), None, "metadata: expected distinct names"),
        (pd.DataFrame(COLUMNS), ["a"], "expected 2 names.* got 1"),
        (pl.DataFrame(COLUMNS).head(1), None, "expected 2 labels.* got 1"),
    ],
)
def test_frame_that_does_not_fit(tmp_path: Path, frame: Any, header: Any, message: str) -> None:
    """A frame without columns, with equal names, or of another length is refused at the call."""
    with SummaryWriter(tmp_path) as writer, pytest.raises(ArgumentValueError, match=message):
        writer.add_embedding(np.eye(2), frame, metadata_header=header)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (pd.DataFrame(COLUMNS), TABLE),
        (pl.DataFrame(COLUMNS), TABLE),
        ({"embed": pd.DataFrame(COLUMNS)}, TABLE),
        (pd.DataFrame({"word": ["the", "of"]}), "the\nof\n"),
        (pd.Series(["the", "of"], index=[7, 8]), "the\nof\n"),
        (pl.Series("word", ["the", "of"]), "the\nof\n"),
    ],
)
def test_callback(tmp_path: Path, metadata: Any, expected: str) -> None:
    """The callback `TensorBoard` takes the frames and Series that `add_embedding` takes."""
    log = TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata=metadata)
    view = NumpyView({"embed": np.eye(2)}, embeddings=("embed",))
    with Loop(None, [log], 2, view=view) as loop:
        for _ in loop:
            loop.log(loss=1.0)
    (table,) = tmp_path.rglob("metadata-*.tsv")
    assert expected == table.read_text()
