"""What is taken from JAX, and histograms of its arrays. Needs jax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eventwriter._values.arrays import as_numpy
from eventwriter.errors import ArgumentTypeError
from eventwriter.records.histogram import histogram_value


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "float16", "bfloat16", "float32"])
def test_array_keeps_its_dtype(dtype):
    """An array on the CPU comes back with its dtype, bfloat16 included, without a copy."""
    array = jnp.array([[0, 1], [1, 0]], dtype)

    result = as_numpy(array, "call: x")

    assert dtype == result.dtype.name
    assert [[0, 1], [1, 0]] == result.tolist()
    assert array.unsafe_buffer_pointer() == result.ctypes.data


@pytest.mark.parametrize("dtype", [jnp.float8_e4m3fn, jnp.float8_e5m2, jnp.int4])
def test_small_types_become_float32(dtype):
    """8-bit floats and 4-bit integers become float32, exactly."""
    result = as_numpy(jnp.array([-2, 0, 3], dtype), "call: x")

    assert np.float32 == result.dtype
    assert [-2, 0, 3] == result.tolist()


def test_nested_arrays():
    """A list of arrays is stacked."""
    assert [[1, 1], [0, 0]] == as_numpy([jnp.ones(2), jnp.zeros(2)], "call: x").tolist()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: jnp.ones(2) * 1j, "dtype complex64"),
        (lambda: jax.random.key(0), "PRNGKey"),
    ],
)
def test_refuses(make, reason):
    """Complex arrays and keys are refused, each with the reason."""
    with pytest.raises(ArgumentTypeError, match=rf"^call: x: expected .*{reason}"):
        as_numpy(make(), "call: x")


def test_traced_value():
    """Inside jit there is no value to log yet: the error says so, before anything is written."""
    with pytest.raises(ArgumentTypeError, match=r"^call: x: (.|\n)*traced"):
        jax.jit(lambda x: as_numpy(x, "call: x"))(jnp.ones(2))


def test_deleted_array():
    """A donated or deleted array is refused with JAX's reason."""
    array = jnp.ones(2)
    array.delete()

    with pytest.raises(ArgumentTypeError, match="deleted"):
        as_numpy(array, "call: x")


@pytest.mark.parametrize("dtype", ["int32", "float16", "bfloat16", "float32"])
def test_histogram(dtype):
    """A histogram of a JAX array is that of the same NumPy array."""
    array = jnp.arange(-50, 50).astype(dtype).reshape(10, 10).T

    expected = histogram_value("t", np.asarray(array).astype(np.float64), bins=10)

    assert expected == histogram_value("t", array, bins=10)
