"""What counts as a value, a step, a wall time and a tag, and what the errors say."""

from __future__ import annotations

import decimal
import fractions
import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from eventwriter._values import arguments
from eventwriter.errors import ArgumentTypeError, ArgumentValueError


class Floatable:
    def __float__(self) -> float:
        return 2.5


class Indexable:
    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, 1.0),
        (3, 3.0),
        (2.5, 2.5),
        (-math.inf, -math.inf),
        (np.float16(0.5), 0.5),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.longdouble(0.5), 0.5),
        (np.int8(-3), -3.0),
        (np.uint64(2**64 - 1), 2.0**64),
        (np.bool_(True), 1.0),
        (ml_dtypes.bfloat16(1.5), 1.5),
        (np.array(4.5), 4.5),
        (np.array([[4]]), 4.0),
        (np.array([1.5], ml_dtypes.bfloat16), 1.5),
        (decimal.Decimal("0.25"), 0.25),
        (fractions.Fraction(1, 8), 0.125),
        (Floatable(), 2.5),
        (Indexable(), 7.0),
    ],
)
def test_scalar_takes_real_numbers(value: object, expected: float) -> None:
    """Whatever is one real number is taken at its value."""
    assert expected == arguments.scalar(value, "here")


def test_nan_is_a_value() -> None:
    """NaN is no mistake: it is what a diverged loss is."""
    assert math.isnan(arguments.scalar(math.nan, "here"))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1.5", "str"),
        (b"1", "bytes"),
        (1j, "complex"),
        (np.complex64(1), "numpy.complex64"),
        (None, "NoneType"),
        ([1.0], "list"),
        (object(), "object"),
        (np.array("a"), "dtype"),
        (np.array([1.0, 2.0]), "shape (2,)"),
        (np.array([]), "shape (0,)"),
        (np.array(1j), "complex"),
    ],
)
def test_scalar_refuses_the_rest(value: object, found: str) -> None:
    """The error says where, what was found, and that one real number was expected."""
    with pytest.raises(ArgumentTypeError) as caught:
        arguments.scalar(value, "add_scalar('loss'): scalar_value")

    assert str(caught.value).startswith("add_scalar('loss'): scalar_value: expected ")
    assert found in str(caught.value)


def test_scalar_refuses_what_no_float_holds() -> None:
    """An integer beyond float64 has no value that could be stored."""
    with pytest.raises(ArgumentValueError, match=r"^here: .*too large"):
        arguments.scalar(10**400, "here")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (-(2**63), -(2**63)),
        (2**63 - 1, 2**63 - 1),
        (True, 1),
        (3.0, 3),
        (np.int32(5), 5),
        (np.uint64(5), 5),
        (np.float32(5), 5),
        (np.array(6), 6),
        (np.array([6]), 6),
        (decimal.Decimal(4), 4),
        (Indexable(), 7),
    ],
)
def test_step_takes_whole_numbers(value: object, expected: int) -> None:
    """Whatever is whole, integral floats among them, is a step."""
    result = arguments.step(value, "here")

    assert (int, expected) == (type(result), result)


@pytest.mark.parametrize(
    ("value", "error", "found"),
    [
        (1.5, ArgumentValueError, "1.5"),
        (math.nan, ArgumentValueError, "nan"),
        (math.inf, ArgumentValueError, "inf"),
        (2**63, ArgumentValueError, str(2**63)),
        (-(2**63) - 1, ArgumentValueError, str(-(2**63) - 1)),
        (1e300, ArgumentValueError, "int64"),
        (np.uint64(2**63), ArgumentValueError, str(2**63)),
        ("3", ArgumentTypeError, "str"),
        (None, ArgumentTypeError, "NoneType"),
        (1j, ArgumentTypeError, "complex"),
    ],
)
def test_step_refuses_the_rest(value: object, error: type[Exception], found: str) -> None:
    """The error says where, what was found, and what a step is."""
    with pytest.raises(error) as caught:
        arguments.step(value, "here")

    assert str(caught.value).startswith("here: ")
    assert found in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_wall_time_must_be_finite(value: Any) -> None:
    """A wall time of NaN would make TensorBoard's data server give up the file."""
    with pytest.raises(ArgumentValueError, match=r"^here: expected seconds since 1970"):
        arguments.wall_time(value, "here")


def test_wall_time_zero_has_no_sign() -> None:
    """Protobuf would write a negative zero and leave out a positive one; there is one zero."""
    assert 1.0 == math.copysign(1.0, arguments.wall_time(-0.0, "here"))


@pytest.mark.parametrize("tag", ["loss", "a/b", " ", "損失/訓練", "\n", "a" * 1000, "\U0001f600"])
def test_tags_that_are_taken(tag: str) -> None:
    """Any text of Unicode is a tag."""
    assert tag == arguments.tag(tag, "add_scalar")


@pytest.mark.parametrize(
    ("tag", "error", "found"),
    [
        (None, ArgumentTypeError, "NoneType"),
        (3, ArgumentTypeError, "int"),
        (b"loss", ArgumentTypeError, "bytes"),
        ("", ArgumentValueError, "empty"),
        ("a\ud800b", ArgumentValueError, "surrogate at 1"),
    ],
)
def test_tags_that_are_refused(tag: object, error: type[Exception], found: str) -> None:
    """A tag that would break a reader is refused, and the error says why."""
    with pytest.raises(error, match=f"^add_scalar: .*{found}"):
        arguments.tag(tag, "add_scalar")


class Refusing:
    """An array that refuses to become NumPy's, as CuPy's does."""

    shape = ()

    def __init__(self, value: float) -> None:
        self._value = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __float__(self) -> float:
        return self._value


class OnlyInterface:
    """An array that has no protocol but `__array_interface__`."""

    def __init__(self, array: np.ndarray) -> None:
        self.__array_interface__ = array.__array_interface__
        self._array = array


class OnlyDlpack:
    """An array that has no protocol but DLPack."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def test_scalar_takes_what_has_float_though_no_array() -> None:
    """A value with `__float__` is taken, though its `__array__` raises."""
    assert 2.5 == arguments.scalar(Refusing(2.5), "here")
    assert 2.0 == arguments.wall_time(Refusing(2.0), "here")
    assert 3 == arguments.step(Refusing(3.0), "here")


@pytest.mark.parametrize("kind", [OnlyInterface, OnlyDlpack])
def test_arrays_of_any_protocol(kind: Any) -> None:
    """An array that speaks one protocol only is a number, a step, a curve and a histogram."""
    assert 2.5 == arguments.scalar(kind(np.array([2.5])), "here")
    assert 3 == arguments.step(kind(np.array([3])), "here")
    assert [1.0, 2.0] == arguments.column(kind(np.array([1.0, 2.0])), "here").tolist()
    with pytest.raises(ArgumentTypeError, match=r"one number.*\(2,\)"):
        arguments.scalar(kind(np.array([1.0, 2.0])), "here")


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_steps_in_arrays_are_exact(number: int, shape: tuple[int, ...]) -> None:
    """A large integer in an array is the step to the last digit, whatever the array's shape."""
    assert number == arguments.step(np.array(number).reshape(shape), "here")


@pytest.mark.parametrize(
    ("seconds", "unit"),
    [
        (1.7e12, "milliseconds.*1e.03"),
        (1.7e15, "microseconds.*1e.06"),
        (1.7e18, "nanoseconds.*1e.09"),
        (253402300800.0, "milliseconds"),
        (-3e11, "time.time"),
        (math.inf, "time.time"),
    ],
)
def test_wall_times_of_other_units_are_refused(seconds: float, unit: str) -> None:
    """A wall time beyond the year 9999 is refused, and the error names the unit that it is in."""
    with pytest.raises(ArgumentValueError, match=unit):
        arguments.wall_time(seconds, "here")
    with pytest.raises(ArgumentValueError, match=rf"{unit}.* at \[1\]"):
        arguments.wall_times([1.0, seconds], "here", 2)


def test_last_second_of_the_year_9999_is_a_wall_time() -> None:
    """The refusal above is not too wide."""
    last = math.nextafter(arguments.YEAR_10000, 0)

    assert last == arguments.wall_time(last, "here")
    assert [last] == arguments.wall_times([last], "here", 1).tolist()
