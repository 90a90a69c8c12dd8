"""What counts as a number: the value of a scalar, a step, a wall time, and what is a tag.

Each function takes `where`, which names the call and its argument in errors.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._values.arrays import as_numpy
from eventwriter._values.device_values import fetch_later
from eventwriter.errors import ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN: frozenset[type] = frozenset(
    [
        *(float, int, bool, np.bool_, np.float16, np.float32, np.float64),
        *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    ]
)
"""Types whose numbers are here already: taking one waits for no device and copies no array."""

_INT64 = range(-(2**63), 2**63)


def scalar(value: object, where: str) -> float | Callable[[], float]:
    """Return the number that `value` holds, or a function that fetches it from a device.

    Args:
        value: A real number of Python or numpy, an array of any framework with one element,
            or whatever has `__float__`. An array that is not on the host, or not computed
            yet, is not waited for: its function is called later, from another thread.
        where: Names the argument in errors.

    Raises:
        ArgumentTypeError: It is a string, complex, an array of more elements, or no number.
        ArgumentValueError: It is an integer beyond the range of float64.
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
        return float(value)  # type: ignore[arg-type] # one of the two it has
    except OverflowError as error:
        raise ArgumentValueError(f"{where}: {error}. Expected a number within float64.") from error
    except (TypeError, ValueError) as error:
        raise ArgumentTypeError(f"{_not_a_number(value, where)} {error}") from error


def step(value: Any, where: str) -> int:
    """Return a step as an int.

    Args:
        value: Whatever has `__index__`, or a real number that is integral, such as 3.0.
        where: Names the argument in errors.

    Raises:
        ArgumentTypeError: It is no number.
        ArgumentValueError: It is not integral, or beyond int64, which is what a file holds.
    """
    try:
        number = operator.index(value)
    except TypeError:
        got = scalar(value, where)
        real = got() if callable(got) else got
        if not real.is_integer():
            raise ArgumentValueError(
                f"{where}: expected a whole number, got {real!r}. Round it first."
            ) from None
        number = int(real)
    if number not in _INT64:
        raise ArgumentValueError(
            f"{where}: expected a step within int64 (-2**63 to 2**63 - 1), got {number}."
        )
    return number


def wall_time(value: Any, where: str) -> float:
    """Return a wall time, in seconds since 1970, as a float.

    Raises:
        ArgumentTypeError: It is no number.
        ArgumentValueError: It is not finite. TensorBoard's data server gives up a whole file
            over one event at NaN, and drops events at infinity.
    """
    got = scalar(value, where)
    seconds = got() if callable(got) else got
    if not math.isfinite(seconds):
        raise ArgumentValueError(
            f"{where}: expected seconds since 1970 as a finite number, got {seconds}."
        )
    return seconds + 0.0  # a negative zero becomes zero, which a file leaves out


def column(values: Any, where: str, count: int | None = None) -> np.ndarray[Any, Any]:
    """Return an array of one dimension, of any real dtype.

    Args:
        values: An array of any framework, or a sequence of numbers.
        where: Names the argument in errors.
        count: The length that it must have, which is that of `values`.

    Raises:
        ArgumentTypeError: It is no array of real numbers.
        ArgumentValueError: It has another shape.
    """
    array = as_numpy(values, where)
    if array.ndim != 1 or count not in (None, len(array)):
        expected = "one dimension" if count is None else f"shape ({count},), as values"
        raise ArgumentValueError(f"{where}: expected {expected}, got shape {array.shape}.")
    return array


def whole_numbers(numbers: np.ndarray[Any, Any], where: str) -> np.ndarray[Any, Any]:
    """Return numbers as int64.

    Raises:
        ArgumentValueError: One of them is not whole, or beyond int64.
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
            f"{where}: expected whole numbers within int64, got {numbers[at]} at index {at}."
        )
    return numbers.astype(np.int64)


def tag(value: object, call: str) -> str:
    """Return a tag that both of TensorBoard's readers can take.

    Raises:
        ArgumentTypeError: It is no str.
        ArgumentValueError: It is empty, or holds a lone surrogate, which is not UTF-8: one such
            record stops a whole file in one reader, and every run in the other.
    """
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{call}: expected tag to be a str, got {_type_name(value)}.")
    if not value:
        raise ArgumentValueError(f"{call}: expected tag to be a name, got an empty str.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentValueError(
            f"{call}: tag {value!r} holds a lone surrogate at {error.start}, which UTF-8 cannot "
            "express. Remove it, e.g. with tag.encode(errors='replace').decode()."
        ) from None
    return value


def _not_a_number(value: object, where: str) -> str:
    return f"{where}: expected a real number, got {_type_name(value)} ({value!r:.60})."


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
