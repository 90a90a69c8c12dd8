"""The benchmarks, one a file."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from benchmarks.question import Question

NAMES = (
    "scalar",
    "log",
    "series",
    "histogram",
    "embedding",
    "graph",
    "contention",
    "stall",
    "interference",
    "growth",
    "import",
    "read",
)


def load(name: str) -> Question:
    """Return one of `NAMES`."""
    module = importlib.import_module(f"benchmarks.questions.{name}_")
    return cast("Question", module.QUESTION)
