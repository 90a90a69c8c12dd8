"""Metrics for callbacks: averaged on their device, and fetched when a callback reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator, MutableMapping
from typing import Any

import numpy as np

from eventwriter._values.arrays import as_numpy


class Logs(MutableMapping[str, Any]):
    """The `logs` of a hook: a dict whose numbers become floats when they are read.

    A number on a device is fetched once, when the first callback reads it. Values that are no
    single number stay as they are. All callbacks share the logs of a hook, so that later callbacks
    see what an earlier one adds.
    """

    def __init__(self, values: Any = ()) -> None:
        # A copy of logs fetches nothing from a device.
        self._values: dict[str, Any] = dict(values._values if isinstance(values, Logs) else values)

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        if type(value) is not float:
            value = self._values[name] = _fetched(value)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Logs({self._values!r})"


class Means:
    """Weighted means of metrics. Sums are built on the device, so that nothing waits for it.

    Values on a device are summed as float32, or as float64 if they are float64. Numbers of the host
    are summed as float64.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Any] = {}
        self._sizes: dict[str, float] = {}
        # Sum and size in the latest batch, by name. None: nobody tells where batches begin.
        self._batch: dict[str, tuple[Any, float]] | None = None

    def begin_batch(self) -> None:
        """Begin a batch: what is added from now on is `batch_logs`."""
        self._batch = {}

    def add(self, metrics: dict[str, Any], size: float = 1) -> None:
        """Add metrics of a batch, which are means of `size` examples."""
        sums, sizes, batch = self._sums, self._sizes, self._batch
        for name, value in metrics.items():
            share = _summable(value) * size
            sums[name] = sums[name] + share if name in sums else share
            sizes[name] = sizes.get(name, 0) + size
            if batch is not None:
                before = batch.get(name)
                batch[name] = (before[0] + share, before[1] + size) if before else (share, size)

    def logs(self, prefix: str = "") -> dict[str, Any]:
        """Return the means so far. Their names get `prefix`."""
        return {
            prefix + name: _Mean(total, self._sizes[name]) for name, total in self._sums.items()
        }

    def batch_logs(self) -> dict[str, Any]:
        """Return the means of the latest batch alone."""
        return {name: _Mean(total, size) for name, (total, size) in (self._batch or {}).items()}


class _Mean:
    """A sum that is divided by its size when it is read."""

    def __init__(self, total: Any, size: float) -> None:
        self._total = total
        self._size = size

    def __float__(self) -> float:
        return _number(self._total) / self._size if self._size else float("nan")


def _summable(value: Any) -> Any:
    """Return a value that can be summed without overflow.

    It holds no graph of its framework (torch's autograd), which would keep all batches in memory.
    """
    if isinstance(value, (str, bytes)):
        raise TypeError(f"text: {value!r}")
    shape = tuple(getattr(value, "shape", ()))
    if math.prod(shape) != 1:
        raise TypeError(f"of shape {shape}: reduce it first")
    if isinstance(value, (bool, int, float, np.number, np.ndarray)):
        return _number(value)
    if hasattr(value, "detach"):
        value = value.detach()
        return value if str(value.dtype) == "torch.float64" else value.float()
    if hasattr(value, "astype"):
        return value if str(value.dtype) == "float64" else value.astype("float32")
    return float(value)


def _fetched(value: Any) -> Any:
    if isinstance(value, (str, bytes, dict, list, tuple, set)) or value is None:
        return value
    try:
        return _number(value)
    except (TypeError, ValueError):
        return value


def _number(value: Any) -> float:
    if isinstance(value, (bool, int, float, _Mean)):
        return float(value)
    if hasattr(value, "dtype"):
        return float(as_numpy(value, "metric").reshape(()).item())
    return float(value)
