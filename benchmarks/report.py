"""The table, the summary of the targets, the versions, and all of it as JSON."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import eventwriter
from benchmarks.question import Cell
from benchmarks.questions import load
from benchmarks.results import Spread, reached
from benchmarks.writers import LIBRARIES, OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.question import Question, Target
    from benchmarks.results import Results, Row

OTHERS = ("numpy", "protobuf", "crc32c", "tensorboard", "jax", "fast-histogram", "ml_dtypes")


def versions() -> dict[str, str]:
    """Return the versions of all that is compared, and the machine."""
    found = {"machine": f"{_processor()}, {os.cpu_count()} cores", "system": platform.platform()}
    found["Python"] = platform.python_version()
    peers = [library.distribution for library in LIBRARIES.values()]
    found |= {name: _version(name) for name in dict.fromkeys([*peers, *OTHERS])}
    found[OURS] = eventwriter.__version__  # a checkout is not installed
    return found


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - no file of ours
            names = [line.split(":", 1)[1] for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()


def versions_text() -> str:
    """Return `versions` as lines."""
    return aligned([(name, version) for name, version in versions().items()])


def table(question: Question, results: Results) -> str:
    """Return the table of a question: medians, quartiles where they differ, and ratios."""
    metrics = {
        metric: unit
        for metric, unit in question.units.items()
        if any(row.values(metric) for row in results.rows.values())
    }
    primary = next(iter(question.units))
    heads = [f"{metric} [{unit}]" if unit else metric for metric, unit in metrics.items()]
    lines: list[tuple[str, ...]] = [("case", "writer", *heads, f"{primary} / ours")]
    last = ""
    for (case, contender), row in results.rows.items():
        shown = case if case != last else ""
        last = case
        if row.note:
            lines.append((shown, contender, row.note))
            continue
        ratio = results.ratio(Cell(contender, case, primary), Cell(OURS, case, primary))
        cells = [cell(Spread.of(row.values(metric))) for metric in metrics]
        lines.append((shown, contender, *cells, number(ratio)))
    return f"{question.name}: {question.asks}\n\n{aligned(lines)}"


def cell(spread: Spread | None) -> str:
    """Return a median with its quartiles, `0.52 (0.50-0.55)`."""
    if spread is None:
        return "-"
    low, high = number(spread.low), number(spread.high)
    return number(spread.median) + (f" ({low}-{high})" if low != high else "")


def number(value: float | None) -> str:
    """Return a number with three digits, or all those before the point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def summary(found: Mapping[str, Results]) -> str:
    """Return the targets, what was measured for each, and whether it is reached."""
    lines: list[tuple[str, ...]] = [("target", "limit", "measured", "")]
    for target, outcome in outcomes(found):
        unit = f" {target.unit}" if target.unit else ""
        limit = f"{target.sense} {number(target.limit)}{unit}"
        if outcome is None:
            lines.append((target.text, limit, "-", "not measured"))
        else:
            verdict = "reached" if reached(target, outcome) else "NOT reached"
            lines.append((target.text, limit, f"{number(outcome)}{unit}", verdict))
    return aligned(lines) if len(lines) > 1 else ""


def outcomes(found: Mapping[str, Results]) -> Iterable[tuple[Target, float | None]]:
    """Return every target of the questions asked, with its figure."""
    for name, results in found.items():
        for target in load(name).targets:
            yield target, results.outcome(target)


def as_json(found: Mapping[str, Results]) -> dict[str, Any]:
    """Return everything: every round of every figure, the targets, and the versions."""
    return {
        "versions": versions(),
        "results": [
            {"question": name, "case": case, "writer": contender} | _row_json(row)
            for name, results in found.items()
            for (case, contender), row in results.rows.items()
        ],
        "targets": [
            {
                "text": target.text,
                "sense": target.sense,
                "limit": target.limit,
                "unit": target.unit,
                "measured": outcome,
                "reached": None if outcome is None else reached(target, outcome),
            }
            for target, outcome in outcomes(found)
        ],
    }


def _row_json(row: Row) -> dict[str, Any]:
    if not row.rounds:
        return {"note": row.note}
    metrics = dict.fromkeys(metric for found in row.rounds.values() for metric in found)
    spreads = {metric: Spread.of(row.values(metric)) for metric in metrics}
    return {
        "metrics": {
            metric: asdict(spread) | {"rounds": row.values(metric)}
            for metric, spread in spreads.items()
            if spread is not None
        }
    }


def aligned(lines: list[tuple[str, ...]]) -> str:
    """Return rows of cells in columns. A short row's last cell may run over the columns."""
    full = max(map(len, lines))
    widths = [
        max((len(line[column]) for line in lines if len(line) == full), default=0)
        for column in range(full)
    ]
    # The first cells of short rows count too, but not the one that runs over.
    for line in lines:
        for column, text in enumerate(line[:-1]):
            widths[column] = max(widths[column], len(text))
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=False)).rstrip()
        for line in lines
    )
