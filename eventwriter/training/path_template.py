"""Paths with placeholders for metrics, whose names are any text."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from eventwriter.errors import ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Mapping


class MissingNameError(LookupError):
    """A placeholder has no value. The message says which one, and why."""


class PathTemplate:
    """A path such as "models/{epoch:02d}-{val_loss:.3f}".

    A placeholder is the name of a value, then a format as in `str.format`. The name is taken as it
    stands. Dots, slashes and brackets are parts of it.

    Args:
        template: The path.
        where: Names the argument in errors.
        integers: The values that are known to be whole numbers, with an example of each. All other
            values are metrics, which are floats.

    Raises:
        ArgumentValueError: The template cannot be read; it has a format that fits no number; or a
            placeholder has no name.
    """

    def __init__(self, template: str, where: str, integers: Mapping[str, int]) -> None:
        self._template = template
        try:
            self._fill(template, _Examples(integers))
        except MissingNameError as error:
            raise ArgumentValueError(
                f"{where}: expected placeholders with the name of a metric or of "
                f"{' or '.join(integers)}, got {template!r} ({error}). Name the value."
            ) from error
        except (ValueError, TypeError) as error:
            raise ArgumentValueError(
                f"{where}: expected a template such as 'model-{{epoch}}', with formats of numbers, "
                f"got {template!r} ({error}). Every value but {' and '.join(integers)} is a float. "
                "Write a brace that is no placeholder twice."
            ) from error

    def filled(self, integers: Mapping[str, int], metrics: Mapping[str, Any]) -> str:
        """Return the path with its values. Only metrics in the path are read.

        Raises:
            MissingNameError: A metric is missing, or it is no number.
        """
        return self._fill(self._template, _Values(integers, metrics))

    def _fill(self, template: str, values: _Values) -> str:
        parts = []
        for literal, name, form, conversion in string.Formatter().parse(template):
            parts.append(literal)
            if name is not None:
                value = values.value(name)
                try:
                    converted = string.Formatter().convert_field(value, conversion)
                    parts.append(format(converted, self._fill(form or "", values)))
                except (ValueError, TypeError) as error:
                    if type(value) in (int, float):
                        raise
                    raise MissingNameError(f"{name!r} is no number: {value!r}") from error
        return "".join(parts)


class _Values:
    """The values of placeholders."""

    def __init__(self, integers: Mapping[str, int], metrics: Mapping[str, Any]) -> None:
        self._integers = integers
        self._metrics = metrics

    def value(self, name: str) -> Any:
        """Return a value.

        Raises:
            MissingNameError: There is none of this name.
        """
        for values in (self._integers, self._metrics):
            if name in values:
                return values[name]
        raise MissingNameError(f"{name!r} is not available")


class _Examples(_Values):
    """Values that stand for those that are not known yet: every metric is a float."""

    def __init__(self, integers: Mapping[str, int]) -> None:
        super().__init__(integers, {})

    def value(self, name: str) -> Any:
        """Return the integer of this name, or a float that stands for a metric."""
        if not name or name.isdigit():
            raise MissingNameError(f"a placeholder has the name {name!r}")
        return self._integers.get(name, 0.5)
