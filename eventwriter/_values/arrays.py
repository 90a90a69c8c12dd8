"""The only code that touches foreign tensors: NumPy's, torch's, JAX's, and whatever NumPy can read.

No framework is imported here. A torch tensor is known by the `torch` that its maker has loaded, JAX
arrays and the rest by NumPy's own protocols.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    import torch

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def as_numpy(value: Any, where: str) -> Array:
    """Returns any framework's array, or a nested sequence of numbers, as an array on the host.

    The result shares the memory of `value` where that is possible (NumPy, and torch or JAX on the
    CPU): who keeps it beyond the call copies it. Neither the tensor nor its autograd graph is
    touched.

    Args:
        value: An array, a tensor on any device, a number, or a nested sequence of these. Of any
            shape and byte order.
        where: Names the argument in errors, e.g. `"add_embedding('embed'): mat"`.

    Returns:
        The same shape, with one of these dtypes: bool, any integer, float16, float32, float64, or
        `ml_dtypes.bfloat16` where the value came with it (JAX). Torch's bfloat16, all 8-bit floats
        and sub-byte integers become float32, which holds them exactly; long doubles become float64.
        The masked elements of a masked array become NaN (in float64 where it holds integers).

    Raises:
        ArgumentTypeError: It holds strings, objects, complex numbers or dates, is sparse,
            quantized, ragged, without data (torch's meta device, a traced JAX value), or no array
            at all.
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
        # Beyond float64's range they become infinite, which every caller handles.
        with np.errstate(over="ignore", under="ignore"):
            return array.astype(np.float64)
    raise ArgumentTypeError(_refusal(where, _describe(value, array)))


def is_torch_tensor(value: object) -> TypeGuard[torch.Tensor]:
    """Whether it is a torch tensor; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _torch_to_numpy(tensor: torch.Tensor) -> Array:
    torch = sys.modules["torch"]
    numpys = (torch.float16, torch.float32, torch.float64)
    if tensor.is_floating_point() and tensor.dtype not in numpys:
        tensor = tensor.detach().float()
    # force: detached, on the host, with its conjugation and negation carried out.
    array: Array = tensor.numpy(force=True)
    return array


def _to_numpy(value: Any, where: str) -> Array:
    # Touching np.ma would import it, here and now: a fork in that moment, by another thread, would
    # leave the child with a lock that nobody releases.
    ma = sys.modules.get("numpy.ma")
    if ma is not None and isinstance(value, ma.MaskedArray):
        if not ma.is_masked(value):
            return np.asarray(value.data)
        if value.dtype.kind in "biu":
            value = value.astype(np.float64)
        if value.dtype.kind == "f":
            return np.asarray(value.filled(np.nan))
    if isinstance(value, (list, tuple)) and is_torch_tensor(_first_leaf(value)):
        # NumPy asks each tensor for its numbers, and those that need a gradient refuse.
        return np.stack([as_numpy(item, where) for item in value])
    return np.asarray(value)


def _first_leaf(value: Any) -> Any:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value


def _describe(value: object, array: Array | None = None) -> str:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    dtype = getattr(value, "dtype", None if array is None else array.dtype)
    return name if dtype is None else f"{name} of dtype {dtype}"


def _refusal(where: str, what: str) -> str:
    return (
        f"{where}: expected an array (of any framework) or nested sequence of bools, integers "
        f"or real floats, got {what}. Convert it to one of these."
    )


class TorchValues:
    """The values of a torch tensor, reduced on the device that they live on: only counts travel.

    It is to torch what `_buckets.NumpyValues` is to NumPy, with the counts that `np.histogram`
    gives for the same edges, exactly. Works through the tensor in pieces, so that its temporaries
    stay small.

    Attributes:
        size: Number of elements.
        lo: Least finite value; inf when there is none.
        hi: Greatest finite value; -inf when there is none.
        nonfinite: How many are NaN or infinite.
    """

    @staticmethod
    def accepts(value: object) -> bool:
        """Whether torch should count, since the memory is not the host's.

        On the CPU NumPy reads the tensor's own memory and is faster. Types that torch hardly
        computes with, and devices without float64 (Apple's MPS), are left to `as_numpy`.
        """
        if not is_torch_tensor(value):
            return False
        torch = sys.modules["torch"]
        return (
            value.layout == torch.strided
            and value.device.type not in {"cpu", "meta", "mps"}
            and value.dtype in {
                torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
                torch.float16, torch.bfloat16, torch.float32, torch.float64,
            }
        )  # fmt: skip

    def __init__(self, tensor: torch.Tensor) -> None:
        self._torch = sys.modules["torch"]
        flat = tensor.detach().reshape(-1)
        if flat.dtype == self._torch.bool:
            flat = flat.view(self._torch.uint8)
        self.size = flat.numel()
        self.lo, self.hi = self._extent(flat)
        if flat.numel() and not (math.isfinite(self.lo) and math.isfinite(self.hi)):
            flat = flat[flat.isfinite()]
            self.lo, self.hi = self._extent(flat)
        self.nonfinite = self.size - flat.numel()
        self._finite = flat

    def _extent(self, flat: torch.Tensor) -> tuple[float, float]:
        if not flat.numel():
            return math.inf, -math.inf
        # One transfer for both.
        lo, hi = self._torch.stack(flat.aminmax()).tolist()
        return lo, hi

    def count(self, edges: Array) -> Array:
        """Counts the values in each bucket; those outside of the edges are left out.

        Args:
            edges: float64 `[k + 1]`, strictly ascending.

        Returns:
            int64 `[k]`, as `np.histogram(values, edges)`: buckets are closed-open, the last one is
            closed.
        """
        return self._count(edges, -math.inf, math.inf)

    def count_all(self, edges: Array) -> Array:
        """As `count`, but values beyond the outermost edges fall into the outermost buckets."""
        return self._count(edges, float(edges[0]), float(edges[-1]))

    def _count(self, edges: Array, least: float, greatest: float) -> Array:
        torch = self._torch
        limits = torch.as_tensor(edges, dtype=torch.float64, device=self._finite.device)
        # Slot 0 is below the first edge, slot i is bucket i - 1, the last slot is at or above the
        # last edge.
        slots = torch.zeros(len(edges) + 1, dtype=torch.int64, device=limits.device)
        # Enough for an accelerator to be busy with, at 32 MiB of float64.
        for piece in self._finite.split(1 << 22):
            values = piece.double().clamp(least, greatest)
            found = torch.bucketize(values, limits, right=True)
            slots += torch.bincount(found, minlength=len(slots))
            slots[-2] += (values == limits[-1]).sum()
        return np.array(slots[1:-1].tolist(), np.int64)
