"""Histograms that are out of the ordinary, drawn: none of them blanks the chart it is in."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from eventwriter import SummaryWriter
from eventwriter.errors import EventWriterWarning
from tests.e2e.dashboards import drawn_paths, open_dashboard
from tests.helpers.edge_histograms import EDGE_CASES
from tests.helpers.tensorboard_server import Server, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    logdir: Path = tmp_path_factory.mktemp("logdir")
    with SummaryWriter(logdir / "run") as writer, warnings.catch_warnings():
        warnings.simplefilter("ignore", EventWriterWarning)  # of values that are not finite
        for step, (values, _) in enumerate(EDGE_CASES.values()):
            writer.add_histogram("all in one", values, step)
    with serve(logdir, load_fast=True) as server:
        yield server
        assert [] == server.complaints()


@pytest.mark.parametrize(
    ("dashboard", "chart", "paths", "count"),
    [
        ("timeseries", "histogram-card", "g.histogram path", len(EDGE_CASES)),
        ("histograms", "tf-histogram-loader", "path.outline", len(EDGE_CASES)),
        ("distributions", "tf-distribution-loader", "path.area", 8),
    ],
)
def test_every_step_is_drawn(
    page: Page, server: Server, dashboard: str, chart: str, paths: str, count: int
) -> None:
    """Every step of a tag has its outline, and no coordinate of the chart is NaN."""
    open_dashboard(page, server, dashboard, chart)
    drawn_paths(page.locator(chart), paths, count)
