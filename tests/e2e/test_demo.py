"""The demo's logs on all six pages: what its files hold is what is drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import expect

from eventwriter import EventFileReader
from eventwriter._proto.graph_pb2 import GraphDef
from tests.e2e.dashboards import (
    check_edge_labels,
    drawn_edges,
    drawn_nodes,
    drawn_paths,
    open_dashboard,
    open_every_group,
    open_every_scope,
    open_scope,
    pages_of_cards,
    projector_frame,
    settle,
    wait_for_colour,
)
from tests.helpers.patience import LONG_SECS
from tests.helpers.tensorboard_server import Server, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page


class Logged(NamedTuple):
    """What the demo's event files hold.

    Attributes:
        scalars: Points (step, value) by tag and run.
        histograms: Steps by run and tag.
        graph: The model's.
    """

    scalars: dict[str, dict[str, list[tuple[int, float]]]]
    histograms: dict[tuple[str, str], list[int]]
    graph: GraphDef


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of one whole run of the demo."""
    directory: Path = tmp_path_factory.mktemp("logs") / "demo"
    command = [sys.executable, "-m", "eventwriter.cli", "demo", "--no-view"]
    command += ["--logdir", str(directory)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * LONG_SECS, check=False
    )
    assert 0 == done.returncode, done.stderr
    return directory


@pytest.fixture(scope="module")
def server(logdir: Path) -> Iterator[Server]:
    with serve(logdir, load_fast=True) as server:
        server.wait_for(
            lambda: {"train", "validation"} <= set(server.get("/data/runs")), "the demo's runs"
        )
        yield server
        assert [] == server.complaints()


@pytest.fixture(scope="module")
def logged(logdir: Path) -> Logged:
    scalars: defaultdict[str, dict[str, list[tuple[int, float]]]] = defaultdict(dict)
    histograms: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    graphs = []
    for path in sorted(logdir.rglob("*tfevents*")):
        run = str(path.parent.relative_to(logdir))
        for event in EventFileReader(path):
            if event.graph_def:
                graphs.append(GraphDef.FromString(event.graph_def))
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    points = scalars[value.tag].setdefault(run, [])
                    points.append((event.step, value.simple_value))
                elif value.metadata.plugin_data.plugin_name == "histograms":
                    histograms[run, value.tag].append(event.step)
    (graph,) = graphs
    return Logged(dict(scalars), dict(histograms), graph)


def test_time_series(
    page: Page, server: Server, logged: Logged, take_picture: Callable[[str], None]
) -> None:
    """Each tag has its card, of scalars or of histograms.

    The one shows coloured curves and each run's last step and value, the other an outline a step.
    """
    page.set_viewport_size({"width": 1400, "height": 1200})
    open_dashboard(page, server, "timeseries", "scalar-card scalar-card-data-table")
    page.get_by_role("button", name="Close side pane").click()
    tags = page.locator("metrics-tag-filter input")
    tags.fill("epoch/(acc|loss)|kernel")
    tags.press("Escape")  # closes the list of matching tags
    take_picture("time-series")
    tags.fill("")
    for group in page.locator("metrics-card-group-toolbar").all():
        if group.locator("[svgicon=expand_more_24px]").count():
            group.locator("button").click()
    seen = set()
    for _ in pages_of_cards(page):
        for card in page.locator("card-view").all():
            card.scroll_into_view_if_needed()  # what is out of sight is not drawn
            tag = str(card.locator("tb-truncated-path").get_attribute("title"))
            if tag in seen:
                continue
            seen.add(tag)
            if tag in logged.scalars:
                check_scalar_card(card, logged.scalars[tag])
            else:
                drawn_paths(card, "g.histogram path", len(logged.histograms["train", tag]))
    assert {*logged.scalars, *(tag for _, tag in logged.histograms)} == seen


def check_scalar_card(card: Locator, runs: dict[str, list[tuple[int, float]]]) -> None:
    rows = card.locator("tb-data-table-content-row")
    expect(rows).to_have_count(len(runs))
    for row in rows.all():
        run, _, value, step, *_ = re.split(r"\s*[\t\n]\s*", row.inner_text().strip())
        last_step, last_value = runs[run][-1]
        assert str(last_step) == step
        assert last_value == pytest.approx(float(value), rel=1e-3)
    wait_for_colour(card.locator("line-chart canvas").first, 200)


def test_scalars(
    page: Page, server: Server, logged: Logged, take_picture: Callable[[str], None]
) -> None:
    """Each tag has a chart, and in it each run a curve through its points."""
    open_dashboard(page, server, "scalars", "path.line")
    open_every_group(page)
    cards = page.locator("tf-scalar-card")
    expect(cards).to_have_count(len(logged.scalars))
    for card in cards.all():
        runs = logged.scalars[card.evaluate("card => card.tag")]
        # The values and, above them, the same smoothed.
        lines = drawn_paths(card, "path.line", 2 * len(runs))
        vertices = sorted(line.count("L") + 1 for line in lines)
        points = sorted(2 * [len(points) for points in runs.values()])
        # A vertex that falls on the pixel of the one before is left out.
        assert all(0.9 * many < some <= many for some, many in zip(vertices, points, strict=True))
    page.locator("tf-tag-filterer input").fill("epoch")
    page.mouse.move(900, 500)
    page.mouse.wheel(0, -9000)
    take_picture("scalars")


@pytest.mark.parametrize(
    ("dashboard", "loader", "paths"),
    [
        ("histograms", "tf-histogram-loader", "path.outline"),
        ("distributions", "tf-distribution-loader", "path.area"),
    ],
)
def test_histograms(
    page: Page,
    server: Server,
    logged: Logged,
    take_picture: Callable[[str], None],
    dashboard: str,
    loader: str,
    paths: str,
) -> None:
    """Each tag has a chart: of one outline a step, or of the 8 bands between 9 percentiles."""
    open_dashboard(page, server, dashboard, paths)
    open_every_group(page)
    seen = []
    for _ in pages_of_cards(page):
        for chart in page.locator(loader).all():
            run, tag = chart.evaluate("chart => [chart.run, chart.tag]")
            seen.append((run, tag))
            steps = logged.histograms[run, tag]
            drawn_paths(chart, paths, len(steps) if dashboard == "histograms" else 8)
    assert sorted(logged.histograms) == sorted(seen)
    page.locator("tf-tag-filterer input").fill("kernel|out")
    page.mouse.move(900, 500)
    page.mouse.wheel(0, -9000)
    take_picture(dashboard)


def test_graph(
    page: Page, server: Server, logged: Logged, take_picture: Callable[[str], None]
) -> None:
    """Scopes open, every node is drawn by its name, and every edge says its tensor's shape."""
    open_dashboard(page, server, "graphs", "g.node")
    assert {node.name.split("/")[0] for node in logged.graph.node} == drawn_nodes(page)
    open_scope(page, "conv")
    page.get_by_text("Fit to screen").click()
    settle(page)
    page.mouse.move(1200, 700)  # what is fit begins below the title, and so ends below the page
    page.mouse.down()
    page.mouse.move(1200, 650)
    page.mouse.up()
    take_picture("graphs")
    open_every_scope(page)
    assert {node.name for node in logged.graph.node} <= drawn_nodes(page)
    check_edge_labels(logged.graph, drawn_edges(page))


def test_projector(page: Page, server: Server, take_picture: Callable[[str], None]) -> None:
    """The embedding has 2,000 points of 128 dimensions, drawn, and its words can be searched."""
    open_dashboard(page, server, "projector", "iframe")
    projector = projector_frame(page)
    expect(projector.locator(".numDataPoints")).to_have_text("2000", timeout=LONG_SECS * 1000)
    expect(projector.locator(".dim")).to_have_text("128")
    # Says what it computes while it does, and shows errors.
    expect(projector.locator("#notification-dialog")).to_be_hidden(timeout=LONG_SECS * 1000)
    wait_for_colour(projector.locator("#scatter canvas").first, 2000)
    search = projector.locator("vz-projector-inspector-panel vz-projector-input input").first
    search.fill("class")
    match = projector.locator(".matches-list .label[title=class]")
    expect(match).to_have_count(1)
    take_picture("projector")
