"""Arrays of any framework, as NumPy arrays.

No framework is imported here. A torch tensor is recognised by the `torch` that its maker has
loaded. NumPy reads JAX arrays and all others through its own protocols.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    import torch

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def as_numpy(value: Any, where: str) -> Array:
    """Return any framework's array, or a nested sequence of numbers, as an array on the host.

    The result shares the memory of `value` where that is possible (NumPy, and torch or JAX on the
    CPU). A caller that keeps the result beyond its call must copy it. Neither the tensor nor its
    autograd graph is changed.

    Args:
        value: An array, a tensor on any device, a number, or a nested sequence of these, of any
            shape and byte order.
        where: Names the argument in errors, e.g. `"add_embedding('embed'): mat"`.

    Returns:
        The same shape, with one of these dtypes: bool, any integer, float16, float32, float64, or
        `ml_dtypes.bfloat16` where the value has that dtype (JAX). Torch's bfloat16, all 8-bit
        floats and integers of less than a byte become float32, which holds them exactly. Long
        doubles become float64. Masked elements of a masked array become NaN; an array of integers
        then becomes float64.

    Raises:
        ArgumentTypeError: The value holds strings, objects, complex numbers or dates; it is sparse,
            quantized or ragged; it has no data (torch's meta device, a traced JAX value); or it is
            no array at all.
    """
    try:
        array = _torch_to_numpy(value) if is_torch_tensor(value) else _to_numpy(value, where)
    except ArgumentTypeError:
        raise
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ArgumentTypeError(
            f"{_refusal(where, _describe(value))} Reading it failed: {error}"
        ) from error
    kind = array.dtype.kind
    if array.dtype.type.__module__ == "ml_dtypes" and "complex" not in array.dtype.name:
        return array if array.dtype.name == "bfloat16" else array.astype(np.float32)
    if kind in "biu" or (kind == "f" and array.dtype.itemsize <= 8):
        return array
    if kind == "f":
        # Long doubles beyond float64's range become infinite, which every caller handles.
        with np.errstate(over="ignore", under="ignore"):
            return array.astype(np.float64)
    raise ArgumentTypeError(_refusal(where, _describe(value, array)))


def is_array(value: object) -> bool:
    """Return whether the value offers itself as an array, by any of NumPy's protocols."""
    return any(
        hasattr(value, name)
        for name in ("__array__", "shape", "__array_interface__", "__array_struct__", "__dlpack__")
    )


def is_torch_tensor(value: object) -> TypeGuard[torch.Tensor]:
    """Return whether the value is a torch tensor. Torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _torch_to_numpy(tensor: torch.Tensor) -> Array:
    torch = sys.modules["torch"]
    numpys = (torch.float16, torch.float32, torch.float64)
    if tensor.is_floating_point() and tensor.dtype not in numpys:
        tensor = tensor.detach().float()
    # With `force`, torch detaches the tensor, copies it to the host, and resolves lazy conjugation.
    array: Array = tensor.numpy(force=True)
    return array


def _to_numpy(value: Any, where: str) -> Array:
    # The name np.ma would import the module at this moment. If another thread forked just then, the
    # child would wait for the import's lock for ever.
    ma = sys.modules.get("numpy.ma")
    if ma is not None and isinstance(value, ma.MaskedArray):
        if not ma.is_masked(value):
            return np.asarray(value.data)
        if value.dtype.kind in "biu":
            value = value.astype(np.float64)
        if value.dtype.kind == "f":
            return np.asarray(value.filled(np.nan))
    if isinstance(value, (list, tuple)) and is_torch_tensor(_first_leaf(value)):
        # NumPy would ask each tensor for its numbers, and a tensor that needs a gradient refuses.
        return np.stack([as_numpy(item, where) for item in value])
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        return np.from_dlpack(value)
    return np.asarray(value)


def _first_leaf(value: Any) -> Any:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value


def _describe(value: object, array: Array | None = None) -> str:
    dtype = getattr(value, "dtype", None if array is None else array.dtype)
    return type_name(value) if dtype is None else f"{type_name(value)} of dtype {dtype}"


def _refusal(where: str, what: str) -> str:
    return (
        f"{where}: expected an array (of any framework) or nested sequence of bools, integers "
        f"or real floats, got {what}. Convert it to one of these."
    )
