"""Numbers of any dtype as pixels, and images in a grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eventwriter._images.pixels import grid, to_uint8
from eventwriter.errors import ArgumentTypeError, EventWriterWarning


def test_bools_are_black_and_white() -> None:
    """Where bools are accepted they become 0 and 255; elsewhere the error says what is."""
    image = np.array([[True, False]])

    assert [[255, 0]] == to_uint8(image, "here").tolist()
    with pytest.raises(ArgumentTypeError, match="here: expected floats from 0 to 1, or uint8"):
        to_uint8(image, "here", bools=False)


def test_a_grey_level_of_rounding_is_no_error() -> None:
    """Floats within half a level of 0 and 1 are rounded; one beyond that is clipped and told."""
    near, far = np.array([-0.001, 1.001]), np.array([-0.01, 1.01])

    assert [0, 255] == to_uint8(near, "here").tolist()
    with pytest.warns(EventWriterWarning, match="here: 2 of 2 values are outside of 0 to 1"):
        assert [0, 255] == to_uint8(far, "here").tolist()


images = st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 4), st.just(3))


@given(images.flatmap(lambda shape: hnp.arrays(np.uint8, shape)), st.integers(1, 8))
def test_grid_is_filled_row_by_row(array: np.ndarray, columns: int) -> None:
    """Image i is at row i // columns and column i % columns; the places left over are 0."""
    count, height, width, _ = array.shape
    rows = -(-count // columns)
    whole = grid(array, columns, rows)

    assert (rows * height, columns * width, 3) == whole.shape
    assert not np.shares_memory(whole, array)
    for place in range(rows * columns):
        y, x = place // columns * height, place % columns * width
        cell = whole[y : y + height, x : x + width]
        expected = array[place] if place < count else np.zeros_like(array[0])
        np.testing.assert_array_equal(expected, cell)
