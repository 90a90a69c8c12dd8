"""Images: what Pillow reads back is what went in, in the form that TensorBoard takes."""

from __future__ import annotations

import io
import itertools
import warnings
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from eventwriter import SummaryWriter
from eventwriter._proto.summary_pb2 import DATA_CLASS_BLOB_SEQUENCE, Summary
from eventwriter._proto.tensor_pb2 import DT_STRING
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.records.image import image_value

if TYPE_CHECKING:
    from pathlib import Path


def pixels_of(value: Summary.Value) -> np.ndarray[Any, Any]:
    """The picture as `[height, width, channels]`, decoded by Pillow."""
    pixels = np.asarray(Image.open(io.BytesIO(value.tensor.string_val[2])))
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def png_of(pixels: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_form() -> None:
    """Plugin, class, dtype, shape, and width and height before the PNG."""
    value = image_value("here", np.zeros((3, 2, 5), np.uint8))

    assert ("images", b"") == (
        value.metadata.plugin_data.plugin_name,
        value.metadata.plugin_data.content,
    )
    assert DATA_CLASS_BLOB_SEQUENCE == value.metadata.data_class
    assert DT_STRING == value.tensor.dtype
    assert [3] == [dim.size for dim in value.tensor.tensor_shape.dim]
    assert [b"5", b"2"] == value.tensor.string_val[:2]
    assert 3 == len(value.tensor.string_val)


FORMATS = [
    "".join(letters)
    for axes in ("HW", "CHW", "NHW", "NCHW")
    for letters in itertools.permutations(axes)
]


@pytest.mark.parametrize("dataformats", [*FORMATS, "chw"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_axes(dataformats: str, channels: int) -> None:
    """Every order of the axes gives the same picture."""
    letters = dataformats.upper()
    channels = channels if "C" in letters else 1
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (1, 4, 6, channels), np.uint8)
    whole = images.transpose(
        ["NHWC".index(axis) for axis in [*letters, *(set("NHWC") - {*letters})]]
    )
    img = whole.reshape(whole.shape[: len(letters)])

    assert images[0].tolist() == pixels_of(image_value("here", img, dataformats)).tolist()


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 17])
def test_grid(count: int) -> None:
    """Several images stand in rows of eight, and what is left of the last row is black."""
    images = np.random.default_rng(1).integers(1, 256, (count, 3, 2, 5), np.uint8)
    pixels = pixels_of(image_value("here", images, "NCHW"))
    columns = min(count, 8)
    rows = -(-count // 8)

    assert (rows * 2, columns * 5, 3) == pixels.shape
    for index in range(rows * columns):
        row, column = divmod(index, columns)
        tile = pixels[row * 2 : row * 2 + 2, column * 5 : column * 5 + 5]
        expected = images[index].transpose(1, 2, 0) if index < count else np.zeros((2, 5, 3))

        assert expected.tolist() == tile.tolist()


@given(hnp.arrays(np.float32, (2, 3), elements=st.floats(0, 1, width=32)))
def test_floats(img: np.ndarray[Any, Any]) -> None:
    """Floats become the nearest of 256 levels."""
    pixels = pixels_of(image_value("here", img, "HW"))[..., 0]

    assert (np.abs(pixels / 255 - img.astype(np.float64)) <= 0.5 / 255 + 1e-7).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_float_dtypes(dtype: Any) -> None:
    """Any real float, and bools, are taken; 0 is black and 1 is white."""
    img = np.array([[0, 1]], dtype)

    assert [[[0], [255]]] == pixels_of(image_value("here", img, "HW")).tolist()
    assert [[[0], [255]]] == pixels_of(image_value("here", img.astype(bool), "HW")).tolist()


def test_clipping() -> None:
    """What lies outside of 0 to 1 is clipped and told; the caller's array stays as it is."""
    img = np.array([[-0.5, 1e300, np.nan, np.inf, -np.inf, 0.5]])
    before = img.copy()
    warned = pytest.warns(EventWriterWarning, match=r"here: img_tensor: 5 of 6 values")
    with np.errstate(all="raise"), warned:
        value = image_value("here", img, "HW")

    assert [0, 255, 0, 255, 0, 128] == pixels_of(value).ravel().tolist()
    np.testing.assert_array_equal(before, img)


@pytest.mark.parametrize("kind", ["bytes", "str", "path"])
def test_png_file(kind: str, tmp_path: Path) -> None:
    """A PNG is shown byte by byte as it is, given by its path or content."""
    png = png_of(np.zeros((4, 7, 3), np.uint8))
    path = tmp_path / "model.png"
    path.write_bytes(png)
    value = image_value("here", {"bytes": png, "str": str(path), "path": path}[kind])

    assert [b"7", b"4", png] == list(value.tensor.string_val)


PNG = png_of(np.zeros((4, 7, 3), np.uint8))


@pytest.mark.parametrize(
    "content", [b"", PNG[:-1], PNG[:20], b"\xff\xd8\xff\xe0 a JPEG", b"GIF89a"]
)
def test_no_png(content: bytes, tmp_path: Path) -> None:
    """What is no whole PNG is refused, with what to do about other formats."""
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for img in (content, path):
        with pytest.raises(ArgumentValueError, match=r"here: img_tensor: .*whole PNG.*PIL"):
            image_value("here", img)


def test_missing_file(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    with pytest.raises(ArgumentValueError, match=r"none\.png' cannot be read"):
        image_value("here", tmp_path / "none.png")


@pytest.mark.parametrize(
    ("img", "dataformats", "match"),
    [
        (np.zeros((2, 3), np.uint8), "CHW", "expected axes CHW"),
        (np.zeros((0, 3), np.uint8), "HW", "none of them empty"),
        (np.zeros((2, 4, 4), np.uint8), "CHW", "1 .grey., 3 .RGB. or 4"),
        (np.zeros((4, 4, 5)), "HWC", "got 5 in shape"),
        (np.zeros((2, 2), np.int64), "HW", "got int64"),
        (np.zeros((2, 2), np.uint16), "HW", "got uint16"),
        (np.zeros((2, 2), complex), "HW", "complex128"),
        ([["a"]], "HW", "expected an array"),
        (object(), "HW", "expected an array"),
    ],
)
def test_bad_arrays(img: Any, dataformats: str, match: str) -> None:
    """Another shape or dtype is refused, and the message says what was expected."""
    with pytest.raises(ArgumentTypeError, match=match):
        image_value("here", img, dataformats)


@pytest.mark.parametrize("dataformats", ["", "H", "CH", "HWX", "HHW", "NCHWT", None, 3])
def test_bad_dataformats(dataformats: Any) -> None:
    """What names no axes is refused."""
    with pytest.raises(ArgumentValueError, match="here: dataformats"):
        image_value("here", np.zeros((2, 2)), dataformats)


def test_clipping_is_told_of_once_a_tag(tmp_path: Path) -> None:
    """A loop that logs clipped images brings one warning a tag, also for labels' pictures.

    Catches: a warning with each image, which differs from the last and so is never filtered.
    """
    with warnings.catch_warnings(record=True) as caught, SummaryWriter(tmp_path) as writer:
        warnings.simplefilter("always")
        for step in range(3):
            img = np.full((2, 2 + step), 2.0)
            writer.add_image("a", img, step, dataformats="HW")
            writer.add_images("b", img[None, None], step)
            writer.add_embedding([[1, step]] * 2, None, np.full((2, 1, 4, 4 + step), 2.0), step)

    told = [str(each.message).split(" of ")[0].rsplit(" ", 1)[0] for each in caught]
    arguments = ("add_image('a'): img_tensor", "add_images('b'): img_tensor")
    assert [f"{each}:" for each in (*arguments, "add_embedding('default'): label_img")] == told
    assert all(each.filename == __file__ for each in caught)
