"""Times and memory of a torch module's nodes, as the Graphs page takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import text_format
from tensorboard.compat.proto.config_pb2 import RunMetadata as StockRunMetadata

from eventwriter import SummaryWriter
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.sources import build_graph
from tests.frameworks.graphs import models_sklearn, models_torch
from tests.helpers.tensorboard_server import serve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("load_fast", [True, False], ids=["data-server", "python-reader"])
def test_profile_is_served(tmp_path: Path, load_fast: bool) -> None:
    """Every operation of the module has a time above zero, on a device that the page lists."""
    model, inputs = models_torch.mlp()
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_graph(model, inputs, profile=True)
    with serve(tmp_path, load_fast=load_fast) as server:
        text = server.wait_for(
            lambda: server.get_bytes("/data/plugin/graphs/run_metadata", run="run", tag="profile"),
            "the profile",
        )
        assert [] == server.complaints()
    (device,) = text_format.Parse(text, StockRunMetadata()).step_stats.dev_stats
    measured = {stats.node_name: stats for stats in device.node_stats}
    graph = build_graph(model, inputs).to_graph_def()
    computed = {
        node.name for node in graph.node if node.op not in {"Placeholder", "Parameter", "Output"}
    }

    assert device.device.endswith("device:CPU:0")
    assert computed == set(measured)
    assert all(stats.all_end_rel_micros > 0 for stats in measured.values())
    assert sum(memory.total_bytes for stats in measured.values() for memory in stats.memory) > 0


def test_profile_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    """Other frameworks, and a module without inputs, are told so; nothing is written."""
    pipeline, _ = models_sklearn.column_pipeline()
    model, _ = models_torch.mlp()
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(ArgumentTypeError, match=r"add_graph: profile: .*Pipeline"):
            writer.add_graph(pipeline, profile=True)
        with pytest.raises(ArgumentValueError, match=r"add_graph: .*needs inputs"):
            writer.add_graph(model, profile=True)
