"""Numbers that are on a device, or not computed yet. Another thread fetches them later.

No framework is imported here: a value of torch or JAX can only come from a framework that is
loaded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter._values.arrays import is_torch_tensor
from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable


def fetch_later(value: object, where: str) -> Callable[[], float] | None:
    """Return a function that fetches the one number in `value`, or None if it is on the host.

    Any thread may call the function. It waits until the device has computed the number. The number
    is the one at the time of this call: the value is copied on its device, because a tensor of
    torch may change, and the memory of an array of JAX may be donated.

    Args:
        value: A tensor of torch that is not on the CPU, or an array of JAX that is not computed
            yet. It has one element, in any shape, and a real dtype.
        where: Names the argument in errors.

    Raises:
        ArgumentTypeError: The shape or dtype is not that of one real number, or there is no value.
    """
    if is_torch_tensor(value):
        return None if value.is_cpu else _torch_later(value, where)
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.Array):
        return _jax_later(jax, value, where)
    return None


def _torch_later(tensor: Any, where: str) -> Callable[[], float]:
    if tensor.is_meta:
        raise ArgumentTypeError(f"{where}: expected a number, got a meta tensor, which has none.")
    _check(tensor.numel(), tuple(tensor.shape), tensor.is_complex(), tensor.dtype, where)
    snapshot = tensor.detach().clone()
    return lambda: float(snapshot.item())


def _jax_later(jax: Any, array: Any, where: str) -> Callable[[], float] | None:
    if isinstance(array, jax.core.Tracer):
        raise ArgumentTypeError(
            f"{where}: expected a number, got a value that JAX is tracing. Return it from the "
            "transformed function and log it outside, or log it with jax.debug.callback."
        )
    # A deleted array answers no other question: some of them end the process.
    if array.is_deleted():
        raise ArgumentTypeError(
            f"{where}: expected a number, got an array of JAX that is deleted: a jitted function "
            "took its memory (donate_argnums). Log the value that the function returned."
        )
    _check(array.size, tuple(array.shape), not _is_real(array.dtype), array.dtype, where)
    if array.is_ready():
        return None  # it is read at once
    # The next step may donate the memory of the array before anybody fetches it. The copy has
    # memory of its own. The device makes it when the number is computed; nothing waits for it here.
    snapshot = array.copy()
    return lambda: float(snapshot.item())


def _is_real(dtype: Any) -> bool:
    try:
        return np.dtype(dtype).kind in "biufV"  # "V" is the kind of bfloat16 and of 8-bit floats
    except TypeError:  # the dtype of random keys is none of NumPy's
        return False


def _check(size: int, shape: tuple[int, ...], not_real: bool, dtype: object, where: str) -> None:
    if size != 1:
        raise ArgumentTypeError(
            f"{where}: expected one number, got an array of shape {shape}. "
            "Reduce it first, or log it with add_histogram."
        )
    if not_real:
        raise ArgumentTypeError(
            f"{where}: expected a real number, got one of dtype {dtype}. Convert it first."
        )
