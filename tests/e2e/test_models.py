"""Graphs of real models on the page: every node of theirs is drawn, every edge says its shape."""

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
from tests.frameworks.graphs import models_sklearn, models_torch
from tests.helpers.runs import logged_graph
from tests.helpers.tensorboard_server import serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

MODELS = {"torch": models_torch.book_convnet, "sklearn": models_sklearn.column_pipeline}


@pytest.mark.parametrize("framework", MODELS)
def test_model(
    page: Page, tmp_path: Path, take_picture: Callable[[str], None], framework: str
) -> None:
    """All scopes open, and no node of the model is missing."""
    model, inputs = MODELS[framework]()
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_graph(model, inputs)
    graph = logged_graph(tmp_path / "run")
    with serve(tmp_path, load_fast=True) as server:
        open_dashboard(page, server, "graphs", "g.node")
        open_every_scope(page)
        missing = {node.name for node in graph.node} - drawn_nodes(page)
        edges = drawn_edges(page)
        take_picture(f"model-{framework}")
        assert [] == server.complaints()

    assert set() == missing
    if framework == "torch":  # sklearn's one input goes to four steps: such an edge is "4 tensors"
        check_edge_labels(graph, edges)
