"""Names of the leaves of nested structures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def path_parts(keys: Iterable[Any]) -> tuple[str, ...]:
    """Return a path in a pytree of JAX or of torch as text: keys, attributes and indices.

    Args:
        keys: The path that `tree_flatten_with_path` gives. Its objects hold a `key`, a `name` or
            an `idx`, by their kind.
    """
    return tuple(str(_text(key)) for key in keys)


def _text(key: Any) -> Any:
    return getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))
