"""Every method of SummaryWriter that logs, with the fewest arguments that it takes.

A method without a row here fails `tests/contracts/test_every_method.py`, so that no new kind of
record escapes the contracts.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from eventwriter import SummaryWriter
from eventwriter.graphs import GraphBuilder


def _graph() -> GraphBuilder:
    graph = GraphBuilder()
    graph.placeholder("x", shape=(1,), dtype="float32")
    return graph


RAW: dict[str, Any] = {
    "min": 0.0, "max": 1.0, "num": 2, "sum": 1.0, "sum_squares": 1.0,
    "bucket_limits": [0.5, 1.0], "bucket_counts": [1.0, 1.0],
}  # fmt: skip
"""Buckets for `add_histogram_raw`."""

MINIMAL: dict[str, dict[str, Any]] = {
    "add_embedding": {"mat": [[1.0, 2.0], [3.0, 4.0]], "tag": "a"},
    "add_graph": {"model": _graph()},
    "add_histogram": {"tag": "a", "values": [0.5]},
    "add_histogram_raw": {"tag": "a", **RAW},
    "add_image": {"tag": "a", "img_tensor": np.zeros((1, 2, 2), np.uint8)},
    "add_images": {"tag": "a", "img_tensor": np.zeros((1, 1, 2, 2), np.uint8)},
    "add_scalar": {"tag": "a", "scalar_value": 0.5},
    "add_scalar_series": {"tag": "a", "values": [0.5]},
    "add_session_log": {"msg": "finished"},
    "log": {"metrics": {"a": 0.5}},
}


def logging_methods() -> list[str]:
    """Return the names of all methods that log."""
    return sorted(
        name
        for name, _ in inspect.getmembers(SummaryWriter, inspect.isfunction)
        if name == "log" or name.startswith("add_")
    )


def methods_with(parameter: str) -> list[str]:
    """Return the names of the methods that log and have a parameter of this name."""
    return [
        name
        for name in logging_methods()
        if parameter in inspect.signature(getattr(SummaryWriter, name)).parameters
    ]


def call(writer: SummaryWriter, method: str, **changed: Any) -> None:
    """Call a method that logs, with its fewest arguments but for those given."""
    getattr(writer, method)(**MINIMAL[method] | changed)
