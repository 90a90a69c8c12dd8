"""What `as_numpy` takes and refuses, without any framework installed."""

import ml_dtypes
import numpy as np
import pytest

from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError

DTYPES = [
    *("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"),
    *(">i4", ">u8", ">f4"),
    ml_dtypes.bfloat16,
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_array_is_not_copied(dtype):
    """An array of a supported dtype comes back as it is, in its own memory and byte order."""
    array = np.ones((2, 3), dtype)[:, ::2]

    result = as_numpy(array, "call: x")

    assert (array.dtype, array.shape) == (result.dtype, result.shape)
    assert np.shares_memory(array, result)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, np.array(3)),
        (2.5, np.array(2.5)),
        (True, np.array(True)),
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        ((np.float32(1), np.float32(2)), np.array([1, 2], np.float32)),
        ([], np.array([])),
        (np.float16(2), np.array(2, np.float16)),
        (2**64 - 1, np.array(2**64 - 1, np.uint64)),
    ],
)
def test_numbers_and_sequences(value, expected):
    """Numbers and nested sequences become what NumPy makes of them."""
    result = as_numpy(value, "call: x")

    assert (expected.dtype, expected.shape) == (result.dtype, result.shape)
    assert expected.tolist() == result.tolist()


def test_long_double_becomes_float64():
    """A long double is rounded to float64; beyond float64's range it is infinite, unwarned."""
    info = np.finfo(np.longdouble)

    result = as_numpy(np.array([1.5, info.max, info.tiny], np.longdouble), "call: x")

    assert np.float64 == result.dtype
    assert [1.5, float(info.max), float(info.tiny)] == result.tolist()


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.int4])
def test_small_types_become_float32(dtype):
    """8-bit floats and sub-byte integers become float32, exactly."""
    result = as_numpy(np.array([-2, 0, 3], dtype), "call: x")

    assert np.float32 == result.dtype
    assert [-2, 0, 3] == result.tolist()


@pytest.mark.parametrize(("dtype", "expected"), [("i4", "f8"), ("?", "f8"), ("f4", "f4")])
def test_masked_elements_become_nan(dtype, expected):
    """Masked elements become NaN, so that shapes stay and nobody reads what was hidden."""
    result = as_numpy(np.ma.masked_array(np.ones(2, dtype), [False, True]), "call: x")

    assert np.dtype(expected) == result.dtype
    np.testing.assert_array_equal([1, np.nan], result)


def test_masked_array_without_masked_elements():
    """A masked array that hides nothing is its data, dtype included."""
    result = as_numpy(np.ma.masked_array([1, 2], [False, False]), "call: x")

    assert np.int64 == result.dtype
    assert type(result) is np.ndarray
    assert [1, 2] == result.tolist()


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("text", "str"),
        (b"text", "bytes"),
        (["a", "b"], "list of dtype <U1"),
        ([1, "b"], "list"),
        (None, "NoneType"),
        ({}, "dict"),
        (object(), "object"),
        (iter([1]), "list_iterator"),
        (1j, "complex of dtype complex128"),
        (np.zeros(2, np.complex64), "numpy.ndarray of dtype complex64"),
        (np.datetime64("2020"), r"numpy.datetime64 of dtype datetime64\[Y\]"),
        (np.zeros(2, "m8[s]"), r"dtype timedelta64\[s\]"),
        (np.zeros(2, [("a", "i4")]), "numpy.ndarray of dtype"),
        (np.ma.masked_array([1j], [True]), "MaskedArray of dtype complex128"),
        ([[1], [1, 2]], "list"),
        (2**70, "int of dtype object"),
    ],
)
def test_refuses(value, what):
    """What holds no real numbers is refused; the error names the place, what came, the remedy."""
    with pytest.raises(ArgumentTypeError, match=rf"^call\('t'\): x: expected .*, got .*{what}"):
        as_numpy(value, "call('t'): x")


def test_array_that_cannot_be_read():
    """An error of the foreign array itself is told as the reason."""

    class Lost:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("the device is gone")

    with pytest.raises(ArgumentTypeError, match=r"Lost.* Reading it failed: the device is gone"):
        as_numpy(Lost(), "call: x")
