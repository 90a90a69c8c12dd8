"""Views whose optimizer belongs to no framework."""

from __future__ import annotations

from typing import Any

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.model_view import ModelView


class OptimizerView(ModelView):
    """Base class of views whose optimizer is an object of the user's own.

    Args:
        optimizer: An object with a number `learning_rate`, or a dict with that key. Without one,
            the view cannot tell the learning rate.

    Raises:
        ArgumentTypeError: The optimizer has no learning rate.
    """

    def __init__(self, optimizer: Any = None) -> None:
        self._in_dict = isinstance(optimizer, dict)
        names = optimizer if self._in_dict else dir(optimizer)
        if optimizer is not None and "learning_rate" not in names:
            raise ArgumentTypeError(
                "optimizer: expected an object with a number `learning_rate`, or a dict with that "
                f"key, got {type_name(optimizer)}."
            )
        self._optimizer = optimizer

    def get_learning_rate(self) -> float | None:
        """See `ModelView.get_learning_rate`. None without an optimizer."""
        optimizer = self._optimizer
        if optimizer is None:
            return None
        return float(optimizer["learning_rate"] if self._in_dict else optimizer.learning_rate)

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `ModelView.set_learning_rate`."""
        if self._optimizer is None:
            self._refuse("set_learning_rate")
        if self._in_dict:
            self._optimizer["learning_rate"] = learning_rate
        else:
            self._optimizer.learning_rate = learning_rate
