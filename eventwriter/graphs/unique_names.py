"""Names that are given out once."""

from __future__ import annotations


class UniqueNames:
    """Gives out names. A repeated name gets `_1`, `_2` and so on, as in TensorFlow."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def add(self, name: str) -> bool:
        """Take `name` itself. Return whether it was free."""
        free = name not in self._taken
        self._taken.add(name)
        return free

    def claim(self, name: str) -> str:
        """Take `name`, or else `name_k` with the least k that is free. Return what was taken."""
        unique = name
        while not self.add(unique):
            k = self._next[name] = self._next.get(name, 0) + 1
            unique = f"{name}_{k}"
        return unique
