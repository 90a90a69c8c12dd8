"""The name of a value's type, for messages."""

from __future__ import annotations


def type_name(value: object) -> str:
    """Return how a person calls the type of a value: "str", "numpy.ndarray", "the class Net"."""
    if isinstance(value, type):
        return f"the class {_qualified(value)}"
    return _qualified(type(value))


def _qualified(kind: type) -> str:
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return prefix + kind.__qualname__
