"""Says which variable to set where Keras cannot load its backend."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from typing import TYPE_CHECKING

from eventwriter.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKENDS = ("jax", "torch", "tensorflow")
"""Packages that are also the values of KERAS_BACKEND. Models are trained with these."""


@contextlib.contextmanager
def backend_needed() -> Iterator[None]:
    """Import Keras in the block. Without KERAS_BACKEND, it wants TensorFlow.

    Raises:
        MissingDependencyError: The backend that Keras chose is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _BACKENDS:
            raise
        installed = [name for name in _BACKENDS if importlib.util.find_spec(name) is not None]
        remedy = (
            f"Set the environment variable KERAS_BACKEND={installed[0]} before Python starts, or "
            f'os.environ["KERAS_BACKEND"] = "{installed[0]}" before the first import of keras.'
            if installed
            else "Run: pip install jax, and set the environment variable KERAS_BACKEND=jax."
        )
        raise MissingDependencyError(
            f"eventwriter.integrations.keras: expected {error.name}, the backend of Keras, to be "
            f"installed for {sys.executable}, got {' and '.join(installed) or 'no backend'}. "
            f"{remedy}"
        ) from error
