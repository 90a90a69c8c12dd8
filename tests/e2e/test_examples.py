"""An example's log on TensorBoard's pages: a real training, small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.dashboards import (
    drawn_nodes,
    drawn_paths,
    open_dashboard,
    projector_frame,
    wait_for_colour,
)
from tests.helpers.patience import LONG_SECS
from tests.helpers.tensorboard_server import Server, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

EXAMPLE = Path(__file__).parents[2] / "examples" / "imdb_torch.py"
EPOCHS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    logdir = tmp_path_factory.mktemp("imdb")
    command = [sys.executable, str(EXAMPLE), "--logdir", str(logdir)]
    command += ["--reviews", "300", "--epochs", str(EPOCHS)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * LONG_SECS, check=False
    )
    assert 0 == done.returncode, done.stderr
    assert list((logdir / "checkpoints").glob("*.pt"))
    with serve(logdir, load_fast=True) as server:
        server.wait_for(
            lambda: {"train", "validation"} <= set(server.get("/data/runs")), "the runs"
        )
        yield server
        assert [] == server.complaints()


def test_curves(page: Page, server: Server) -> None:
    """Training and validation are two curves of one card."""
    open_dashboard(page, server, "timeseries", "card-view")
    page.locator("metrics-tag-filter input").fill("^epoch/loss$")
    card = page.locator("scalar-card:visible")  # the groups of all tags stay, hidden
    expect(card).to_have_count(1)
    expect(card.locator("tb-data-table-content-row")).to_have_count(2)
    wait_for_colour(card.locator("line-chart canvas").first, 100)


def test_histograms(page: Page, server: Server) -> None:
    """A weight, its gradient and a layer's output have an outline an epoch each."""
    open_dashboard(page, server, "histograms", "path.outline")
    tags = ["gradients/conv1/weight", "outputs/conv2", "outputs/dense", "weights/embed/weight"]
    page.locator("tf-tag-filterer input").fill("|".join(f"^{tag}$" for tag in tags))
    # What is searched for comes before the groups of tags.
    charts = page.locator("tf-category-paginated-view").first.locator("tf-histogram-loader")
    expect(charts).to_have_count(len(tags))
    for chart in charts.all():
        drawn_paths(chart, "path.outline", EPOCHS)
    assert tags == sorted(charts.evaluate_all("charts => charts.map(chart => chart.tag)"))


def test_graph(page: Page, server: Server) -> None:
    """The model's layers are drawn."""
    open_dashboard(page, server, "graphs", "g.node")
    assert {"embed", "conv1", "pool", "conv2", "dense"} <= drawn_nodes(page)


def test_projector(page: Page, server: Server) -> None:
    """The 2,000 words are there, and found by their labels."""
    open_dashboard(page, server, "projector", "iframe")
    projector = projector_frame(page)
    expect(projector.locator(".numDataPoints")).to_have_text("2000", timeout=LONG_SECS * 1000)
    expect(projector.locator(".dim")).to_have_text("128")
    expect(projector.locator("#notification-dialog")).to_be_hidden(timeout=LONG_SECS * 1000)
    search = projector.locator("vz-projector-inspector-panel vz-projector-input input").first
    search.fill("movie")
    expect(projector.locator(".matches-list .label[title=movie]")).to_have_count(1)
