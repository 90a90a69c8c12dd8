"""A few rows of the validation data, to run a model on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError


class Sample(NamedTuple):
    """One batch: arrays, or dicts, lists and tuples of arrays. Their first axis counts examples."""

    inputs: Any
    targets: Any = None
    weights: Any = None


def sample_of(validation_data: Any, rows: int) -> Sample | None:
    """Return the first examples of the data.

    Args:
        validation_data: (inputs, targets) or (inputs, targets, weights). Each is an array, or a
            dict, list or tuple of arrays. Or an iterable of such batches that can be iterated
            again, such as a DataLoader: its first batch is used. Such a batch may also be a dict of
            arrays, which are all taken for inputs. What is no array in it is left out. None gives
            None.
        rows: The largest number of examples.

    Raises:
        ArgumentTypeError: The data have another form, or can be iterated only once.
    """
    if validation_data is None:
        return None
    sample = _sample(validation_data, rows) if isinstance(validation_data, tuple) else None
    if (
        sample is None
        and isinstance(validation_data, Iterable)
        and not isinstance(validation_data, (str, bytes, Iterator, Mapping))
    ):
        sample = _sample(next(iter(validation_data), None), rows)
    if sample is None:
        raise ArgumentTypeError(
            "validation_data: expected (inputs, targets) whose first axis counts examples, or "
            "an iterable of such batches or of dicts that can be iterated again (a DataLoader, a "
            f"list), got {_described(validation_data)}. Pass such data."
        )
    return sample


def _sample(batch: Any, rows: int) -> Sample | None:
    """Return the first examples of one batch, or None if it is none."""
    if isinstance(batch, Mapping):
        named = {name: part for name, part in batch.items() if _count(part) is not None}
        return Sample(_first_rows(named, rows)) if _count(named) is not None else None
    if isinstance(batch, (tuple, list)) and _is_batch(batch):
        return Sample(*(_first_rows(part, rows) for part in batch))
    return None


def _is_batch(parts: Any) -> bool:
    """Return whether these are inputs, targets and weights of one batch, and no list of batches."""
    if not 1 <= len(parts) <= 3:
        return False
    counts = [_count(part) for part in parts if part is not None]
    return bool(counts) and None not in counts and len(set(counts)) == 1


def _count(part: Any) -> int | None:
    """Return the number of examples in an array or in nested arrays, or None for anything else."""
    if isinstance(part, (Mapping, list, tuple)):
        parts = list(part.values()) if isinstance(part, Mapping) else list(part)
        counts = {_count(each) for each in parts}
        return counts.pop() if len(counts) == 1 else None
    shape = getattr(part, "shape", None)
    return int(shape[0]) if shape is not None and len(shape) else None


def _first_rows(part: Any, rows: int) -> Any:
    if part is None:
        return None
    if isinstance(part, Mapping):
        return {name: _first_rows(each, rows) for name, each in part.items()}
    if isinstance(part, (list, tuple)):
        return type(part)([_first_rows(each, rows) for each in part])
    return part[:rows]


def _described(data: Any) -> str:
    if isinstance(data, (tuple, list)):
        inside = ", ".join(_described(part) for part in data[:3])
        return f"a {type_name(data)} of {len(data)} ({inside}{', …' if len(data) > 3 else ''})"
    shape = getattr(data, "shape", None)
    return type_name(data) + (f" of shape {tuple(shape)}" if shape is not None else "")
