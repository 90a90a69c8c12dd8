"""Graphs in both readers: the GraphDef that TensorBoard serves is the one that was logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import text_format
from tensorboard.compat.proto.graph_pb2 import GraphDef as StockGraphDef

from eventwriter import SummaryWriter
from eventwriter._proto.graph_pb2 import GraphDef
from eventwriter.errors import ArgumentValueError
from eventwriter.graphs import for_page
from tests.helpers.runs import logged_graph
from tests.helpers.traps import trap_graph

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.tensorboard_server import Server


def small_graph() -> GraphDef:
    graph = GraphDef()
    graph.versions.producer = 22
    source = graph.node.add(name="input/x", op="Placeholder", device="/device:GPU:0")
    layer = graph.node.add(name="größe/dense", op="MatMul", input=["input/x"])
    for node, sizes in ((source, [-1, 32]), (layer, [-1, 8])):
        shape = node.attr["_output_shapes"].list.shape.add()
        for size in sizes:
            shape.dim.add(size=size)
    layer.attr["note"].s = b"\xff\x00 bytes"
    layer.attr["units"].i = 8
    return graph


def await_graph(server: Server, run: str) -> StockGraphDef:
    """Return the graph that TensorBoard serves for a run, parsed from its text."""
    text = server.wait_for(
        lambda: server.get_bytes("/data/plugin/graphs/graph", run=run), f"graph of run {run!r}"
    )
    return text_format.Parse(text, StockGraphDef())


def as_stock(graph: GraphDef) -> StockGraphDef:
    """Return the same graph as a message of TensorBoard's own class."""
    return StockGraphDef.FromString(graph.SerializeToString())


def test_graph_of_several_runs(server: Server, run: Path) -> None:
    """A GraphDef and its bytes come back whole: nodes, inputs, devices, attributes, shapes."""
    graph = small_graph()
    for name, given in (
        (f"{run.name}/message", graph),
        (f"{run.name}/bytes", graph.SerializeToString()),
    ):
        with SummaryWriter(run.parent / name) as writer:
            writer.add_graph(given)
        expected = as_stock(graph)
        assert expected == await_graph(server, name)
        info = server.get("/data/plugin/graphs/info")[name]
        assert info["run_graph"]


def test_graph_with_every_trap(server: Server, run: Path) -> None:
    """The graph of all names and attributes that trouble TensorBoard is served as it was logged."""
    with SummaryWriter(run) as writer:
        writer.add_graph(trap_graph())
        writer.flush()
        assert as_stock(logged_graph(run)) == await_graph(server, run.name)


def test_graph_beside_scalars(server: Server, run: Path) -> None:
    """A graph that is added to a run which TensorBoard has loaded appears in it."""
    with SummaryWriter(run) as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.flush()
        server.wait_for(
            lambda: server.get("/data/plugin/scalars/scalars", run=run.name, tag="loss"), "loss"
        )
        writer.add_graph(small_graph())
        writer.flush()
        assert {"input/x", "größe/dense"} == {n.name for n in await_graph(server, run.name).node}


def test_a_graph_of_tensorboards_own_class() -> None:
    """TensorBoard's message gives the same page as ours with the same content."""
    graph = trap_graph()

    assert for_page(graph) == for_page(as_stock(graph))


def test_fields_that_the_page_does_not_read() -> None:
    """Stack traces, and all other fields that our schema lacks, are left out."""
    stock = StockGraphDef()
    stock.node.add(name="x", op="Relu").experimental_debug_info.original_node_names.append("x" * 99)
    expected = GraphDef()
    expected.node.add(name="x", op="Relu")

    assert expected == for_page(stock)


def test_a_graph_of_tensorboards_own_class_without_nodes() -> None:
    """A graph without nodes is refused: the page would say that it is empty."""
    with pytest.raises(ArgumentValueError, match="at least one node"):
        for_page(StockGraphDef())
