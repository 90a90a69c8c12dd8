"""Layouts of the page Custom Scalars, as both of TensorBoard's readers give them to the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventwriter import SummaryWriter
from eventwriter.records.custom_scalars import MarginChart, write_margin_charts
from tests.conformance.test_scalars import await_points

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.tensorboard_server import Server


def test_margin_charts(server: Server, run: Path) -> None:
    """The page gets the titles and the tags of each chart, and finds their curves."""
    long = "m" * 300  # its length takes more than a byte
    charts = [
        MarginChart("loss", "loss/mean", "loss/lower", "loss/upper"),
        MarginChart("größe", long, "b", "c"),
    ]
    with SummaryWriter(run) as writer:
        write_margin_charts(writer, f"folds of {run.name}", charts)
        writer.log({"loss/mean": 2.0, "loss/lower": 1.0, "loss/upper": 3.0}, 0)

    await_points(server, run.name, "loss/upper", 1)
    layout = server.wait_for(
        lambda: server.get("/data/plugin/custom_scalars/layout"), "the layout of the charts"
    )
    found = [
        (chart["title"], chart["margin"]["series"])
        for category in layout["category"]
        if category["title"] == f"folds of {run.name}"
        for chart in category["chart"]
    ]
    assert [
        ("loss", [{"value": "loss/mean", "lower": "loss/lower", "upper": "loss/upper"}]),
        ("größe", [{"value": long, "lower": "b", "upper": "c"}]),
    ] == found
    curves = server.get("/data/plugin/custom_scalars/scalars", run=run.name, tag="loss/lower")
    assert 1.0 == curves["tag_to_events"]["loss/lower"][0][2]
