"""Values of a torch tensor, counted on the device that they live on.

Only the counts travel to the host. No framework is imported here: a tensor can only come from a
torch that its maker has loaded.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from eventwriter._values.arrays import is_torch_tensor

if TYPE_CHECKING:
    import torch

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class TorchValues:
    """The values of one tensor, with the questions of `buckets.Values`.

    The counts are exactly those of `np.histogram` for the same edges. The tensor is counted in
    pieces, so that temporary memory stays small.

    Attributes:
        size: Number of elements.
        lo: Least finite value; inf when there is none.
        hi: Greatest finite value; -inf when there is none.
        nonfinite: How many are NaN or infinite.
    """

    @staticmethod
    def accepts(value: object) -> bool:
        """Return whether torch is to count: the tensor is on a device other than the CPU.

        On the CPU, NumPy reads the tensor's own memory and is faster. Dtypes that torch hardly
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
        # Both numbers travel in one transfer.
        lo, hi = self._torch.stack(flat.aminmax()).tolist()
        return lo, hi

    def count(self, edges: Array) -> Array:
        """Count the values in each bucket. Values outside of the edges are left out.

        Args:
            edges: float64 `[k + 1]`, strictly ascending.

        Returns:
            int64 `[k]`, as `np.histogram(values, edges)` returns. Buckets are closed-open, and the
            last one is closed.
        """
        return self._count(edges, -math.inf, math.inf)

    def count_all(self, edges: Array) -> Array:
        """Count like `count`, but values beyond the outer edges go into the outermost buckets."""
        return self._count(edges, float(edges[0]), float(edges[-1]))

    def _count(self, edges: Array, least: float, greatest: float) -> Array:
        torch = self._torch
        limits = torch.as_tensor(edges, dtype=torch.float64, device=self._finite.device)
        # Slot 0 is below the first edge, slot i is bucket i - 1, the last slot is at or above the
        # last edge.
        slots = torch.zeros(len(edges) + 1, dtype=torch.int64, device=limits.device)
        # Pieces of 32 MiB of float64: large enough to keep an accelerator busy.
        for piece in self._finite.split(1 << 22):
            values = piece.double().clamp(least, greatest)
            found = torch.bucketize(values, limits, right=True)
            slots += torch.bincount(found, minlength=len(slots))
            slots[-2] += (values == limits[-1]).sum()
        return np.array(slots[1:-1].tolist(), np.int64)
