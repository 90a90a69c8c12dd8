"""Histograms in both readers: the buckets of both histogram dashboards, and the percentiles."""

from __future__ import annotations

import json
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter import SummaryWriter
from eventwriter.errors import EventWriterWarning
from eventwriter.records.buckets import EDGE_LIMIT
from tests.helpers.edge_histograms import EDGE_CASES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.helpers.tensorboard_server import Server


def rows_of(point: list[Any]) -> NDArray[np.float64]:
    """Return the buckets of a served point [wall time, step, rows] as [k, 3] left, right, count."""
    return np.array(point[2], dtype=np.float64).reshape(-1, 3)


def await_histograms(server: Server, run: str, tag: str, count: int) -> list[list[Any]]:
    """Return a tag's points [wall time, step, rows] once there are `count` of them."""

    def enough() -> list[list[Any]]:
        points: list[list[Any]] = server.get("/data/plugin/histograms/histograms", run=run, tag=tag)
        return points if len(points) >= count else []

    return server.wait_for(enough, f"{count} histograms of {tag!r} in run {run!r}")


def test_every_bucket_of_several_runs(server: Server, run: Path) -> None:
    """Each step's wall time, edges and counts come back; the counts are np.histogram's."""
    rng = np.random.default_rng(7)
    logged = {}
    for name in (f"{run.name}/a", f"{run.name}/b"):
        with SummaryWriter(run.parent / name) as writer:
            for tag in ("dense/kernel", "勾配"):
                values = [rng.normal(step, 1 + step, 1000 + step) for step in range(12)]
                logged[name, tag] = values
                for step, value in enumerate(values):
                    writer.add_histogram(tag, value, step, walltime=1.7e9 + step)
    for (name, tag), values in logged.items():
        points = await_histograms(server, name, tag, len(values))
        assert [[1.7e9 + k, k] for k in range(len(values))] == [point[:2] for point in points]
        for value, point in zip(values, points, strict=True):
            rows = rows_of(point)
            assert (value.min(), value.max()) == (rows[0, 0], rows[-1, 1])
            np.testing.assert_array_equal(rows[1:, 0], rows[:-1, 1])
            counts, _ = np.histogram(value, [*rows[:, 0], rows[-1, 1]])
            # A value within rounding of an edge may lie on its other side.
            assert len(value) == rows[:, 2].sum()
            assert np.abs(np.cumsum(counts) - np.cumsum(rows[:, 2])).max() <= 1


def test_given_edges_and_raw_counts(server: Server, run: Path) -> None:
    """bins=edges and add_histogram_raw() are served with the edges and counts that were given."""
    edges = [-1.0, -0.5, 0.0, 2.0, 8.0]
    with SummaryWriter(run) as writer:
        writer.add_histogram("edges", np.array([-1, -0.6, 0.0, 1.0, 1.9, 8.0]), 1, bins=edges)
        writer.add_histogram_raw(
            "raw",
            min=0.0,
            max=3.0,
            num=6,
            sum=9.0,
            sum_squares=17.0,
            bucket_limits=[1.0, 2.0, 3.0],
            bucket_counts=[1, 2, 3],
            global_step=5,
        )
    ((_, _, rows),) = await_histograms(server, run.name, "edges", 1)
    assert [[-1.0, -0.5, 2], [-0.5, 0.0, 0], [0.0, 2.0, 3], [2.0, 8.0, 1]] == rows
    ((_, step, rows),) = await_histograms(server, run.name, "raw", 1)
    assert (5, [[0.0, 1.0, 1], [1.0, 2.0, 2], [2.0, 3.0, 3]]) == (step, rows)


def test_edge_cases(server: Server, run: Path) -> None:
    """Whatever the values are, both dashboards get finite, ascending buckets with exact totals.

    One NaN in one step would blank the whole chart of its tag, so it is looked for in each route:
    Histograms, Distributions and Time Series.
    """
    with SummaryWriter(run) as writer, warnings.catch_warnings():
        warnings.simplefilter("ignore", EventWriterWarning)  # of values that are not finite
        for step, (values, _) in enumerate(EDGE_CASES.values()):
            writer.add_histogram("all in one", values, step)
        for name, (values, _) in EDGE_CASES.items():
            writer.add_histogram(name, values, 3)

    for name, (values, finite) in EDGE_CASES.items():
        (point,) = await_histograms(server, run.name, name, 1)
        rows = rows_of(point)
        assert finite == rows[:, 2].sum(), name
        assert np.isfinite(rows).all(), name
        assert (rows[:, 0] <= rows[:, 1]).all(), name
        np.testing.assert_array_equal(rows[1:, 0], rows[:-1, 1], name)
        if finite:
            kept = values.astype(np.float64)[np.isfinite(values.astype(np.float64))]
            # What lies beyond is counted in the outermost buckets.
            extent = np.clip([kept.min(), kept.max()], -EDGE_LIMIT, EDGE_LIMIT)
            assert (*extent,) == (rows[0, 0], rows[-1, 1]), name

    points = await_histograms(server, run.name, "all in one", len(EDGE_CASES))
    assert list(range(len(EDGE_CASES))) == [step for _, step, _ in points]
    for tag in ("all in one", *EDGE_CASES):
        steps = len(EDGE_CASES) if tag == "all in one" else 1
        percentiles = server.get("/data/plugin/distributions/distributions", run=run.name, tag=tag)
        assert steps == len(percentiles)
        request = json.dumps([{"plugin": "histograms", "tag": tag, "run": run.name}])
        (series,) = server.get("/data/plugin/timeseries/timeSeries", requests=request)
        shown = series["runToSeries"][run.name]
        assert [
            [[b["min"], b["max"], b["count"]] for b in point["summary"]["bins"]]
            if "summary" in point
            else [[b["min"], b["max"], b["count"]] for b in point["bins"]]
            for point in shown
        ] == [rows for _, _, rows in await_histograms(server, run.name, tag, steps)]
        for answer in (percentiles, shown):
            nonfinite = {"NaN", "Infinity", "-Infinity"}.intersection(json.dumps(answer).split('"'))
            assert not nonfinite, tag


def test_what_is_flushed_later_appears(server: Server, run: Path) -> None:
    """Histograms of a run that TensorBoard has loaded grow with every flush()."""
    with SummaryWriter(run) as writer:
        for step in range(3):
            writer.add_histogram("kernel", np.arange(step + 1), step)
            writer.flush()
            points = await_histograms(server, run.name, "kernel", step + 1)
            assert [1.0, 2.0, 3.0][: step + 1] == [rows_of(p)[:, 2].sum() for p in points]


def test_left_out_values_are_reported(server: Server, run: Path) -> None:
    """Values that are not finite are left out with one warning a tag, and the rest is shown."""
    with warnings.catch_warnings(record=True) as caught, SummaryWriter(run) as writer:
        warnings.simplefilter("always")
        for step in range(3):
            writer.add_histogram("gradient", np.array([1.0, math.nan, 2.0]), step)
    (warning,) = caught
    assert warning.category is EventWriterWarning
    assert "gradient" in str(warning.message)
    points = await_histograms(server, run.name, "gradient", 3)
    assert [2.0, 2.0, 2.0] == [rows_of(point)[:, 2].sum() for point in points]
