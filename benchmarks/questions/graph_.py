"""add_graph: a GraphDef that is ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measuring import Stopwatch, nbytes, warm_up
from benchmarks.question import Metrics, Question
from benchmarks.writers import LIBRARIES, OURS
from eventwriter._proto.graph_pb2 import GraphDef

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.writers import Library

BUILDER = "eventwriter, GraphBuilder"


@dataclass(frozen=True)
class Case:
    nodes: int


def cases(quick: bool) -> dict[str, Case]:
    counts = (100,) if quick else (100, 1_000, 10_000, 100_000)
    return {f"{nodes:,} nodes": Case(nodes) for nodes in counts}


def graph_def(case: Case) -> bytes:
    """Return layers of ten nodes, each of which takes the one before."""
    graph = GraphDef()
    before = ""
    for number in range(case.nodes):
        node = graph.node.add(name=f"layer_{number // 10}/op_{number % 10}", op="MatMul")
        node.attr["_output_shapes"].list.shape.add().dim.add(size=128)
        if before:
            node.input.append(before)
        before = node.name
    return graph.SerializeToString()


def measure(library: Library, case: Case, directory: Path) -> Metrics:
    warm_up(library, directory)
    writer = library.open(directory / "run")
    graph = writer.parse_graph(graph_def(case))
    with Stopwatch() as watch:
        writer.graph(graph)
        writer.flush()
        writer.close()
    return metrics(watch, case, directory / "run")


def builder(case: Case, directory: Path) -> Metrics:
    from eventwriter.graphs import GraphBuilder  # noqa: PLC0415 - not in a peer's process

    warm_up(LIBRARIES[OURS], directory)
    writer = LIBRARIES[OURS].open(directory / "run")
    with Stopwatch() as watch:
        graph = GraphBuilder()
        before = graph.placeholder("x", shape=(None, 128))
        for number in range(1, case.nodes):
            name = f"layer_{number // 10}/op_{number % 10}"
            before = graph.node(name, "MatMul", [before], shape=(None, 128))
        writer.graph(graph)
        writer.flush()
        writer.close()
    return metrics(watch, case, directory / "run")


def metrics(watch: Stopwatch, case: Case, run: Path) -> Metrics:
    return {
        "cpu": watch.cpu * 1e3,
        "node": watch.cpu / case.nodes * 1e6,
        "size": nbytes(run) / 1e6,
    }


QUESTION = Question(
    name="graph",
    asks=(
        "One GraphDef: all CPU, flush and close included. Ours also mends what TensorBoard's page "
        "could not draw; the peers write what they get. GraphBuilder makes the graph as well."
    ),
    units={"cpu": "ms", "node": "µs", "size": "MB"},
    cases=cases,
    measure=measure,
    headline="10,000 nodes",
    references={BUILDER: builder},
    rounds=3,
)
