"""Every check of an argument: values, steps, wall times, tags, counts.

Each function takes `where`, which names the call and its argument in errors, for example
`"add_scalar('loss'): global_step"`.
"""

from __future__ import annotations

import contextlib
import math
import operator
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._values.arrays import as_numpy, is_array
from eventwriter._values.device_values import fetch_later
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN: frozenset[type] = frozenset(
    [
        *(float, int, bool, np.bool_, np.float16, np.float32, np.float64),
        *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    ]
)
"""Types of numbers that are on the host. Taking one waits for no device and copies no array."""

YEAR_10000 = 253402300800.0
"""The first second that no wall time reaches, since 1970. TensorBoard's page cannot draw it."""

INT64 = range(-(2**63), 2**63)
"""The integers that an event file and an attribute of a graph can hold."""


def scalar(value: object, where: str) -> float | Callable[[], float]:
    """Return the number that `value` holds, or a function that fetches it from a device.

    Args:
        value: A real number of Python or NumPy, an array of any framework with one element,
            or an object that has `__float__`. An array that is on a device, or that is not
            computed yet, is not waited for: another thread calls the function later.
        where: Names the argument in errors.

    Raises:
        ArgumentTypeError: The value is a string, complex, an array of more elements, or no number.
        ArgumentValueError: The value is an integer beyond the range of float64.
    """
    if type(value) is float:
        return value
    later = fetch_later(value, where)
    if later is not None:
        return later
    if isinstance(value, (str, bytes, bytearray, complex, np.complexfloating)):
        raise ArgumentTypeError(_not_a_number(value, where))
    try:
        if type(value) not in PLAIN and is_array(value):
            return _only_element(value, where)
        return float(value)  # type: ignore[arg-type] # a TypeError is expected
    except OverflowError as error:
        raise ArgumentValueError(
            f"{where}: expected a number within float64, got one beyond it ({error}). Scale it."
        ) from error
    except ArgumentTypeError:
        raise
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(f"{_not_a_number(value, where)} {error}") from error


def step(value: object, where: str) -> int:
    """Return a step as an int.

    Args:
        value: An object that has `__index__`, or a real number without a fraction, such as 3.0.
        where: Names the argument in errors.

    Raises:
        ArgumentTypeError: The value is no number.
        ArgumentValueError: The value has a fraction, or is beyond int64. An event file stores
            steps as int64.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type] # a TypeError is expected
    except TypeError:
        number = _whole(value, where)
    if number not in INT64:
        raise ArgumentValueError(
            f"{where}: expected a step within int64 (-2**63 to 2**63 - 1), got {number}. "
            "Count from a later origin."
        )
    whole: int = number
    return whole


def wall_time(value: object, where: str) -> float:
    """Return a wall time, in seconds since 1970, as a float.

    Raises:
        ArgumentTypeError: The value is no number.
        ArgumentValueError: The value is not finite, or lies beyond the year 9999. TensorBoard's
            data server stops reading a whole file at one event whose time is NaN, and drops events
            whose time is infinite. Its page cannot draw a time beyond the year 9999: such a number
            is a time in another unit.
    """
    seconds = _here(scalar(value, where))
    if not abs(seconds) < YEAR_10000:
        raise ArgumentValueError(bad_wall_time(seconds, where))
    return seconds + 0.0  # negative zero becomes zero, which protobuf leaves out of the record


def wall_times(values: object, where: str, length: int) -> np.ndarray[Any, Any]:
    """Return wall times, float64 `[length]`, by the rules of `wall_time`.

    Raises:
        ArgumentTypeError, ArgumentValueError: As `wall_time` and `column`.
    """
    seconds = column(values, where, length).astype(np.float64)
    good = np.abs(seconds) < YEAR_10000
    if not good.all():
        at = int(np.argmin(good))
        raise ArgumentValueError(f"{bad_wall_time(float(seconds[at]), where)} It is at [{at}].")
    return seconds + 0.0


def bad_wall_time(seconds: float, where: str) -> str:
    """Return what is wrong with a number that is no wall time in seconds."""
    expected = f"{where}: expected seconds since 1970 as a finite number, got {seconds}"
    for unit, in_a_second in (("nanoseconds", 1e9), ("microseconds", 1e6), ("milliseconds", 1e3)):
        # From the year 1973 on, which is 1e8 seconds after 1970.
        if math.isfinite(seconds) and seconds >= 1e8 * in_a_second:
            return f"{expected}, which looks like {unit}. Divide it by {in_a_second:.0e}."
    return f"{expected}. Pass time.time()."


def column(values: object, where: str, length: int | None = None) -> np.ndarray[Any, Any]:
    """Return an array of one dimension, of any real dtype.

    Args:
        values: An array of any framework, or a sequence of numbers.
        where: Names the argument in errors.
        length: The length that the array must have. None accepts any length.

    Raises:
        ArgumentTypeError: The values are no array of real numbers.
        ArgumentValueError: The array has another shape.
    """
    array = as_numpy(values, where)
    if array.ndim != 1 or length not in (None, len(array)):
        expected = "one dimension" if length is None else f"shape ({length},), that of values"
        raise ArgumentValueError(
            f"{where}: expected {expected}, got shape {array.shape}. Reshape it."
        )
    return array


def whole_numbers(numbers: np.ndarray[Any, Any], where: str) -> np.ndarray[Any, Any]:
    """Return numbers as int64.

    Raises:
        ArgumentValueError: One of them has a fraction, or is beyond int64.
    """
    if numbers.dtype.kind == "f":
        wrong = ~((numbers == np.floor(numbers)) & (numbers >= -(2.0**63)) & (numbers < 2.0**63))
    elif numbers.dtype == np.uint64:
        wrong = numbers > np.uint64(2**63 - 1)
    else:
        wrong = np.zeros(len(numbers), bool)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ArgumentValueError(
            f"{where}: expected whole numbers within int64, got {numbers[at]} at index {at}. "
            "Round them first."
        )
    return numbers.astype(np.int64)


def tag(value: object, call: str) -> str:
    """Return a tag that both of TensorBoard's readers accept.

    Args:
        value: The tag.
        call: The method's name, for errors.

    Raises:
        ArgumentTypeError: The tag is no str.
        ArgumentValueError: The tag is empty, or holds a lone surrogate, which UTF-8 cannot
            express. One such record stops the reading of a whole file in one of TensorBoard's
            readers, and of every run in the other.
    """
    if not isinstance(value, str):
        raise ArgumentTypeError(
            f"{call}: expected tag to be a str, got {type_name(value)}. Pass a name."
        )
    if not value:
        raise ArgumentValueError(
            f"{call}: expected tag to be a name, got an empty str. Pass a name."
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentValueError(
            f"{call}: expected a tag that UTF-8 can express, got {value!r} with a lone surrogate "
            f"at {error.start}. Remove it, for example with "
            "tag.encode(errors='replace').decode()."
        ) from None
    return value


def count(value: object, where: str, *, least: int = 0, most: int | None = None) -> int:
    """Return a number of things: epochs, batches, bytes, buckets.

    Args:
        value: An int, or an object that has `__index__`. A bool is refused: it is a mistake.
        where: Names the argument in errors.
        least: The smallest number that is accepted.
        most: The largest number that is accepted. None means that there is no limit.

    Raises:
        ArgumentTypeError: The value is no integer.
        ArgumentValueError: The value is below `least` or above `most`.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number: int = operator.index(value)  # type: ignore[arg-type] # a TypeError is expected
    except TypeError:
        raise ArgumentTypeError(
            f"{where}: expected an integer, got {value!r:.60} of type {type_name(value)}. "
            "Pass a whole number."
        ) from None
    if number < least or (most is not None and number > most):
        expected = f"{least} or more" if most is None else f"{least} to {most}"
        raise ArgumentValueError(f"{where}: expected {expected}, got {number}.")
    return number


def path(value: object, where: str) -> str:
    """Return the text of a path.

    Args:
        value: A str, or an object that has `__fspath__` and returns a str.
        where: Names the argument in errors.

    Raises:
        ArgumentTypeError: The value is something else.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise ArgumentTypeError(
            f"{where}: expected a path, got {value!r:.60} of type {type_name(value)}. "
            "Pass a str or a pathlib.Path."
        )
    return text


def duration_secs(value: object, where: str) -> float:
    """Return a duration in seconds, 0 or more and finite.

    Raises:
        ArgumentTypeError: The value is no number.
        ArgumentValueError: The value is negative, infinite or NaN.
    """
    if isinstance(value, (bool, np.bool_)):
        raise ArgumentTypeError(f"{where}: expected a number of seconds, got {value!r}.")
    seconds = _here(scalar(value, where))
    if not 0 <= seconds < math.inf:
        raise ArgumentValueError(f"{where}: expected 0 seconds or more, got {seconds}.")
    return seconds


def _only_element(value: Any, where: str) -> float:
    try:
        array = as_numpy(value, where)
    except ArgumentTypeError as error:
        # Some arrays refuse to become NumPy's, and still give their number: CuPy's do. The refusal
        # is the cause of the error. An array that NumPy can read has no such cause.
        if error.__cause__ is None or not hasattr(value, "__float__"):
            raise
        return float(value)
    if array.size != 1:
        raise ArgumentTypeError(
            f"{where}: expected one number, got an array of shape {array.shape}. "
            "Reduce it first, or log it with add_histogram."
        )
    return float(array.reshape(-1)[0])


def _whole(value: object, where: str) -> int:
    """Return the whole number in a value that has no `__index__`, exactly."""
    if is_array(value):
        with contextlib.suppress(ArgumentTypeError):  # `scalar` says what is wrong
            array = as_numpy(value, where)
            if array.size == 1 and array.dtype.kind in "iu":
                return int(array.reshape(-1)[0])  # float64 would round integers beyond 2**53
    real = _here(scalar(value, where))
    if not real.is_integer():
        raise ArgumentValueError(f"{where}: expected a whole number, got {real!r}. Round it first.")
    return int(real)


def _here(number: float | Callable[[], float]) -> float:
    return number() if callable(number) else number


def _not_a_number(value: object, where: str) -> str:
    return f"{where}: expected a real number, got {type_name(value)} ({value!r:.60})."
