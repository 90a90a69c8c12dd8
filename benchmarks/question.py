"""What a benchmark is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.writers import Library

Metrics = dict[str, float]


class NotMeasuredError(Exception):
    """There is no figure: the library has no such call, or the call would take too long."""


def has_none(*_: Any) -> NoReturn:
    """Stand for a call that a library does not have."""
    raise NotMeasuredError("has none")


@dataclass(frozen=True)
class Cell:
    """One figure of a question's table."""

    contender: str
    case: str
    metric: str


@dataclass(frozen=True)
class Target:
    """What a figure must be.

    Attributes:
        text: Says what the target is about.
        cell: The figure.
        limit: The largest value that reaches the target, or the smallest.
        sense: Whether `limit` is the largest ("at most") or the smallest ("at least").
        per: If given, the figure is divided by this figure of the same round.
        minus: If given, this figure of the same round is subtracted.
        unit: The unit of the result. A ratio has none.
    """

    text: str
    cell: Cell
    limit: float
    sense: Literal["at most", "at least"] = "at most"
    per: Cell | None = None
    minus: Cell | None = None
    unit: str = ""


@dataclass(frozen=True)
class Question:
    """A benchmark.

    Attributes:
        name: For `--only`.
        asks: What it measures, in a sentence or two that stand above its table.
        units: The metrics in the order of their columns, and their units. The first is the one
            that the ratios are of.
        cases: Takes whether it is a quick run; returns what to measure, by its name.
        measure: Takes a library, a case and an empty directory; returns the metrics.
        references: Contenders that are not libraries: lower bounds, and other ways to do the same
            with this package. Each takes a case and an empty directory.
        targets: What this package must reach.
        rounds: How often everything is measured.
        headline: The case that is drawn by `--plot`.
    """

    name: str
    asks: str
    units: Mapping[str, str]
    cases: Callable[[bool], Mapping[str, Any]]
    measure: Callable[[Library, Any, Path], Metrics]
    headline: str
    references: Mapping[str, Callable[[Any, Path], Metrics]] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    rounds: int = 5
