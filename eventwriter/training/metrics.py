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
        is_logs = isinstance(values, Logs)
        self._values: dict[str, Any] = dict(values._values if is_logs else values)
        self._integers: dict[str, int] = dict(values._integers) if is_logs else {}

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        if type(value) is not float:
            value = _fetched(value)
            if type(value) is int:
                self._integers[name] = value
                value = float(value)
            self._values[name] = value
        return value

    def exact(self, name: str) -> Any:
        """Return a value for a file of text: an integer stays an int, and an array is a list."""
        value = self[name]
        return self._integers.get(name, plain(value))

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value
        self._integers.pop(name, None)

    def __delitem__(self, name: str) -> None:
        del self._values[name]
        self._integers.pop(name, None)

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
        # The value itself, if it is the only one of its name and a whole number.
        self._wholes: dict[str, Any] = {}
        # The three of the latest part, by name. None: nobody tells where parts begin.
        self._part: dict[str, tuple[Any, float, Any]] | None = None

    def begin_part(self) -> None:
        """Begin a batch, or one validation of several: what is added from now on is `part_logs`."""
        self._part = {}

    def add(self, metrics: dict[str, Any], size: float = 1) -> None:
        """Add metrics of a batch, which are means of `size` examples."""
        sums, sizes, wholes, part = self._sums, self._sizes, self._wholes, self._part
        for name, value in metrics.items():
            share = _summable(value) * size
            whole = value if _is_whole(value) else None
            wholes[name] = None if name in sums else whole
            sums[name] = sums[name] + share if name in sums else share
            sizes[name] = sizes.get(name, 0) + size
            if part is not None:
                before = part.get(name)
                part[name] = (
                    (before[0] + share, before[1] + size, None) if before else (share, size, whole)
                )

    def logs(self, prefix: str = "") -> dict[str, Any]:
        """Return the means so far. Their names get `prefix`."""
        return {
            prefix + name: _Mean(total, self._sizes[name], self._wholes[name])
            for name, total in self._sums.items()
        }

    def part_logs(self) -> dict[str, Any]:
        """Return the means of the latest part alone."""
        return {name: _Mean(*found) for name, found in (self._part or {}).items()}


class _Mean:
    """A sum that is divided by its size when it is read.

    Args:
        total: The sum of the values, each times its size.
        size: The sum of the sizes.
        whole: The value itself if there is one only and it is a whole number, or None.
    """

    def __init__(self, total: Any, size: float, whole: Any = None) -> None:
        self._total = total
        self._size = size
        self._whole = whole

    def number(self) -> float:
        """Return the mean. An integer stays an int if nothing was added to it."""
        return float(self) if self._whole is None else int(self._whole)

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
        if isinstance(value, _Mean):
            return value.number()
        return int(value) if _is_whole(value) else _number(value)
    except (TypeError, ValueError):
        return value


def _is_whole(value: Any) -> bool:
    """Return whether a value is an integer, of any framework and on any device."""
    if type(value) is float:  # nearly every metric, of every batch
        return False
    if hasattr(value, "dtype"):
        return "int" in str(value.dtype) and math.prod(tuple(value.shape)) == 1
    return isinstance(value, int) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Return a metric for a file of text: arrays of any framework become lists of numbers."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "dtype"):
        return as_numpy(value, "metric").tolist()
    return value


def _number(value: Any) -> float:
    if isinstance(value, (bool, int, float, _Mean)):
        return float(value)
    if hasattr(value, "dtype"):
        return float(as_numpy(value, "metric").reshape(()).item())
    return float(value)
