"""PNG files, read back by Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from eventwriter._images.png import CHANNELS, encode_png, png_size

sides = st.integers(1, 9)
shapes = st.tuples(sides, sides, st.sampled_from(CHANNELS))


@given(shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape)))
def test_png_is_lossless(pixels: np.ndarray) -> None:
    """Pillow reads every pixel back as it was, in the mode that the channels stand for."""
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        image.load()
        assert {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[2]] == image.mode
        np.testing.assert_array_equal(pixels, np.asarray(image).reshape(pixels.shape))


@pytest.mark.parametrize("channels", CHANNELS)
def test_size_of_a_whole_file(channels: int) -> None:
    """Width and height are read from the file's start; a file without its end has no size."""
    content = encode_png(np.zeros((2, 7, channels), np.uint8))

    assert (7, 2) == png_size(content)
    assert [None] * len(content) == [png_size(content[:end]) for end in range(len(content))]
    assert png_size(b"GIF89a" + content) is None
