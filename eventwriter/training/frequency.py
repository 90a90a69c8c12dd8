"""How often something is done: every few batches, or at the end of each epoch."""

from __future__ import annotations

from eventwriter._values.arguments import count
from eventwriter.errors import ArgumentTypeError, ArgumentValueError


def batch_frequency(value: str | int, where: str, *words: str) -> int:
    """Return the number of batches after which something is done.

    Args:
        value: A number of batches, 1 or more, or one of the words.
        where: Names the argument in errors.
        words: "epoch", which gives 0, or "batch", which gives 1.

    Raises:
        ArgumentValueError: The value is none of these.
    """
    if isinstance(value, str) and value in words:
        return {"epoch": 0, "batch": 1}[value]
    try:
        return count(value, where, least=1)
    except (ArgumentTypeError, ArgumentValueError):
        expected = ", ".join(map(repr, words))
        raise ArgumentValueError(
            f"{where}: expected {expected} or a number of batches, 1 or more, got {value!r}."
        ) from None
