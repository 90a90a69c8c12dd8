"""Pictures of points: the sheet that they are laid into."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.projector.sprites import MAX_SIDE_PIXELS, sprite_sheet

WHERE = "add_embedding('digits')"

channels = st.sampled_from([1, 3, 4])
sides = st.integers(1, 9)


@given(
    st.tuples(st.integers(1, 30), channels, sides, sides).flatmap(
        lambda shape: hnp.arrays(np.uint8, shape)
    )
)
def test_sheet_is_a_square_grid_row_by_row(images: np.ndarray) -> None:
    """Picture i is at (i // side, i % side) of a grid with as many rows as columns."""
    count, _, height, width = images.shape
    sheet = sprite_sheet(images, count, WHERE)
    assert (width, height) == (sheet.width, sheet.height)
    side = sheet.pixels.shape[0] // height
    assert side == sheet.pixels.shape[1] // width
    assert (side - 1) ** 2 < count <= side**2
    cells = sheet.pixels.reshape(side, height, side, width, -1).swapaxes(1, 2)
    cells = cells.reshape(side * side, height, width, -1)
    np.testing.assert_array_equal(images.transpose(0, 2, 3, 1), cells[:count])
    assert not cells[count:].any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_shares_of_255(dtype: type) -> None:
    """Every grey level survives as a float of any width, and is rounded to the nearest."""
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    np.testing.assert_array_equal(
        sprite_sheet(levels, 1, WHERE).pixels,
        sprite_sheet((levels / 255).astype(dtype), 1, WHERE).pixels,
    )


def test_bfloat16_and_nested_lists() -> None:
    """A dtype of ml_dtypes and nested lists are taken as floats."""
    import ml_dtypes

    expected = np.full((1, 1, 1), 128, np.uint8)
    half = np.full((1, 1, 1, 1), 0.5, ml_dtypes.bfloat16)
    np.testing.assert_array_equal(expected, sprite_sheet(half, 1, WHERE).pixels)
    np.testing.assert_array_equal(expected, sprite_sheet([[[[0.5]]]], 1, WHERE).pixels)


def test_outside_of_0_to_1_is_clipped_and_said() -> None:
    """A value outside of 0 to 1 becomes the nearest one inside, with one warning and a count."""
    images = np.array([-1.0, 0.5, 200.0, np.nan, np.inf, -np.inf]).reshape(1, 1, 1, 6)
    with pytest.warns(EventWriterWarning, match=r"'digits'.*5 of 6 values") as seen:
        sheet = sprite_sheet(images, 1, WHERE)
    assert len(seen) == 1
    assert sheet.pixels.ravel().tolist() == [0, 128, 255, 0, 255, 0]


def test_sheet_shares_no_memory() -> None:
    """The caller may go on to change its pictures."""
    images = np.full((1, 1, 2, 2), 7, np.uint8)
    sheet = sprite_sheet(images, 1, WHERE)
    images[:] = 0
    assert (sheet.pixels == 7).all()


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 3, 4), np.float32),
        np.zeros((2, 2, 4, 4), np.float32),
        np.zeros((2, 5, 5, 3), np.float32),  # channels last
        np.zeros((2, 3, 0, 4), np.float32),
        np.zeros((2, 3, 4, 4), np.int64),
        np.zeros((2, 3, 4, 4), bool),
        np.zeros((2, 3, 4, 4), complex),
        "pictures",
    ],
)
def test_what_is_no_picture(images: object) -> None:
    """Another shape or dtype is refused, and the call is named."""
    with pytest.raises(ArgumentTypeError, match=r"add_embedding\('digits'\): label_img"):
        sprite_sheet(images, 2, WHERE)


def test_one_picture_for_each_point() -> None:
    """Another number of pictures is refused, and the error has both numbers."""
    with pytest.raises(ArgumentValueError, match=r"expected 3 pictures.*got 2"):
        sprite_sheet(np.zeros((2, 1, 4, 4)), 3, WHERE)


def test_sheet_limit() -> None:
    """The largest sheet that the page shows is made. One more picture in a row is refused."""
    limit = MAX_SIDE_PIXELS
    for shape in ((1, 1, 1, limit), (4, 1, limit // 2, 1)):
        sheet = sprite_sheet(np.zeros(shape, np.uint8), shape[0], WHERE)
        assert limit == max(sheet.pixels.shape)
    for shape in ((1, 1, 1, limit + 1), (1, 1, limit + 1, 1), (5, 1, limit // 2, 1)):
        with pytest.raises(ArgumentValueError, match="at most 8192 x 8192"):
            sprite_sheet(np.zeros(shape, np.uint8), shape[0], WHERE)
