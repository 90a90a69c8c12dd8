"""What was measured, and whether a target is reached."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.question import Cell, Metrics, Target


@dataclass
class Row:
    """One contender at one case.

    Attributes:
        rounds: The metrics of every round that gave some, by the round's number.
        note: Why there are none, where there are none.
    """

    rounds: dict[int, Metrics] = field(default_factory=dict)
    note: str = ""

    def values(self, metric: str) -> list[float]:
        """Return a metric of every round that has it."""
        return [metrics[metric] for metrics in self.rounds.values() if metric in metrics]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread | None:
        """Return the spread of some values, None where there are none."""
        if not values:
            return None
        low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        return cls(median(values), low, high)


class Results:
    """The rows of one question, by case and contender, in the order of the table."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}

    def row(self, case: str, contender: str) -> Row:
        """Return the row of a contender at a case, made where missing."""
        return self.rows.setdefault((case, contender), Row())

    def by_round(self, cell: Cell) -> dict[int, float]:
        """Return one figure of every round that has it."""
        row = self.rows.get((cell.case, cell.contender), Row())
        return {
            number: metrics[cell.metric]
            for number, metrics in row.rounds.items()
            if cell.metric in metrics
        }

    def ratio(self, cell: Cell, base: Cell) -> float | None:
        """Return the median of one figure over another of the same round."""
        return self._pairwise(operator.truediv, cell, base)

    def outcome(self, target: Target) -> float | None:
        """Return the figure that a target is about; None where something was not measured."""
        if target.per is not None:
            return self.ratio(target.cell, target.per)
        if target.minus is not None:
            return self._pairwise(operator.sub, target.cell, target.minus)
        values = self.by_round(target.cell).values()
        return median(values) if values else None

    def _pairwise(
        self, operation: Callable[[float, float], float], one: Cell, other: Cell
    ) -> float | None:
        ones, others = self.by_round(one), self.by_round(other)
        pairs = [(ones[number], others[number]) for number in ones.keys() & others.keys()]
        return median(operation(*pair) for pair in pairs) if pairs else None


def reached(target: Target, outcome: float) -> bool:
    """Return whether a figure is what its target asks for."""
    return outcome <= target.limit if target.sense == "at most" else outcome >= target.limit
