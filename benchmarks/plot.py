"""The picture: the headline case of each question, a dot a writer, on a logarithmic scale."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks.questions import load
from benchmarks.report import number
from benchmarks.writers import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.question import Question
    from benchmarks.results import Results

COLUMNS = 3
OUR_COLOUR, PEER_COLOUR, REFERENCE_COLOUR = "#d4691e", "#3f5468", "#9aa5b1"


def plot(found: Mapping[str, Results], path: Path) -> None:
    """Draw what was measured, and write it to a file whose ending names the format."""
    # Needed for --plot alone.
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import NullFormatter  # noqa: PLC0415

    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(5 * COLUMNS, 2.4 * rows), layout="constrained")
    for place, (name, results) in enumerate(found.items(), 1):
        question = load(name)
        metric, unit = next(iter(question.units.items()))
        case = headline(question, results)
        dots = {
            contender: median(values)
            for (other, contender), row in results.rows.items()
            if other == case and (values := row.values(metric)) and median(values) > 0
        }
        colours = [_colour(contender, question) for contender in dots]
        axes = figure.add_subplot(rows, COLUMNS, place)
        axes.set(title=f"{name}: {case}", xlabel=f"{metric} [{unit}], less is better")
        axes.set(xscale="log", ylim=(len(dots) - 0.5, -0.5))
        axes.set_xlim(min(dots.values(), default=1) / 3, max(dots.values(), default=1) * 10)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="x", alpha=0.3)
        axes.scatter(list(dots.values()), range(len(dots)), c=colours, zorder=2)
        axes.set_yticks(range(len(dots)), list(dots))
        for at, value in enumerate(dots.values()):
            axes.annotate(
                number(value), (value, at), (6, 0), textcoords="offset points", va="center"
            )
    figure.savefig(path, dpi=120)


def headline(question: Question, results: Results) -> str:
    """Return the case to draw: the headline, or the first where a quick run has no such."""
    cases = [case for case, _ in results.rows]
    return question.headline if question.headline in cases else cases[0]


def _colour(contender: str, question: Question) -> str:
    if contender == OURS:
        return OUR_COLOUR
    return REFERENCE_COLOUR if contender in question.references else PEER_COLOUR
