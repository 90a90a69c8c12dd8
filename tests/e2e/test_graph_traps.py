"""The graph of everything that troubles the Graphs page: made fit for it, nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventwriter import SummaryWriter
from tests.e2e.dashboards import (
    check_edge_labels,
    drawn_edges,
    drawn_nodes,
    open_dashboard,
    open_every_scope,
)
from tests.helpers.runs import logged_graph
from tests.helpers.tensorboard_server import Server, serve
from tests.helpers.traps import trap_graph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_graph(trap_graph())
    return tmp_path


@pytest.fixture
def server(logdir: Path) -> Iterator[Server]:
    with serve(logdir, load_fast=True) as server:
        yield server
        assert [] == server.complaints()


def test_every_trap(page: Page, server: Server, logdir: Path) -> None:
    """All scopes open, every node that was logged is drawn, and edges say their shapes."""
    graph = logged_graph(logdir / "run")
    open_dashboard(page, server, "graphs", "g.node")
    open_every_scope(page)
    names = {node.name for node in graph.node}
    assert names <= drawn_nodes(page)
    check_edge_labels(graph, drawn_edges(page))
