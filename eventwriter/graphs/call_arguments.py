"""The arguments that a model is called with, from the one value that users pass as inputs."""

from __future__ import annotations

from typing import Any, TypeAlias

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional arguments, and keyword arguments."""


def call_arguments(inputs: Any) -> Arguments:
    """Return the arguments of a call.

    Args:
        inputs: A tuple of positional arguments, a dict of keyword arguments, or one argument of
            any other type, such as an array. None means no arguments.
    """
    if inputs is None:
        return (), {}
    if isinstance(inputs, dict):
        return (), inputs
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}
