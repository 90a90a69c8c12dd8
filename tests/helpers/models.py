"""Stand-ins for models of frameworks."""

from __future__ import annotations

from typing import Any


def instance(*modules: str) -> Any:
    """An object whose class, and each class above it, is of another module; nearest first."""
    kind: type = object
    for module in reversed(modules):
        kind = type("Model", (kind,), {"__module__": module})
    return kind()
