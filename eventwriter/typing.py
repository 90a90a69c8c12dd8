"""Names for what public parameters accept.

An editor shows these names in the signature of a call. Nothing is checked by them at run time:
each call checks its arguments itself, and says what it expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat, SupportsIndex, TypeAlias

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = ["ArrayLike", "Metrics", "PathLike", "Scalar", "Seconds", "Step", "SupportsArray"]


class SupportsArray(Protocol):
    """An array of any framework: NumPy's, PyTorch's, JAX's, TensorFlow's, pandas' and so on."""

    def __array__(self) -> Any:
        """Return the values as a NumPy array."""


Scalar: TypeAlias = SupportsFloat | SupportsIndex | SupportsArray
"""One real number: of Python or NumPy, or an array of any framework with one element."""

Metrics: TypeAlias = "Mapping[str, Scalar | Metrics]"
"""Numbers by name. A nested dict is a group of numbers."""

Step: TypeAlias = SupportsIndex | SupportsFloat
"""A whole number within int64: an int, an integer of NumPy, or a float such as 3.0."""

Seconds: TypeAlias = SupportsFloat | SupportsIndex
"""A time in seconds. A wall time counts from 1970, as `time.time()` does."""

ArrayLike: TypeAlias = "SupportsArray | SupportsFloat | SupportsIndex | Sequence[ArrayLike]"
"""Real numbers of any shape: an array of any framework, or a nested sequence of numbers."""

PathLike: TypeAlias = "str | os.PathLike[str]"
"""A path of the file system."""
