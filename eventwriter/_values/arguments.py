"""Every check of an argument: values, steps, wall times, tags, counts.

Each function takes `where`, which names the call and its argument in errors, for example
`"add_scalar('loss'): global_step"`.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._values.arrays import as_numpy
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

_INT64 = range(-(2**63), 2**63)


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
    if type(value) not in PLAIN and (hasattr(value, "__array__") or hasattr(value, "shape")):
        array = as_numpy(value, where)
        if array.size != 1:
            raise ArgumentTypeError(
                f"{where}: expected one number, got an array of shape {array.shape}. "
                "Reduce it first, or log it with add_histogram."
            )
        return float(array.reshape(-1)[0])
    if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise ArgumentTypeError(_not_a_number(value, where))
    try:
        return float(value)  # type: ignore[arg-type] # it has one of the two methods
    except OverflowError as error:
        raise ArgumentValueError(
            f"{where}: expected a number within float64, got one beyond it ({error}). Scale it."
        ) from error
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
        real = _here(scalar(value, where))
        if not real.is_integer():
            raise ArgumentValueError(
                f"{where}: expected a whole number, got {real!r}. Round it first."
            ) from None
        number = int(real)
    if number not in _INT64:
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
        ArgumentValueError: The value is not finite. TensorBoard's data server stops reading a
            whole file at one event whose time is NaN, and drops events whose time is infinite.
    """
    seconds = _here(scalar(value, where))
    if not math.isfinite(seconds):
        raise ArgumentValueError(
            f"{where}: expected seconds since 1970 as a finite number, got {seconds}. "
            "Pass time.time()."
        )
    return seconds + 0.0  # negative zero becomes zero, which protobuf leaves out of the record


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
        expected = "one dimension" if length is None else f"shape ({length},), as values"
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


def _here(number: float | Callable[[], float]) -> float:
    return number() if callable(number) else number


def _not_a_number(value: object, where: str) -> str:
    return f"{where}: expected a real number, got {type_name(value)} ({value!r:.60})."
