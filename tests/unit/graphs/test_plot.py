"""plot_graph: boxes, arrows and clusters are the model's, and each format is what it says."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventwriter._proto.graph_pb2 import GraphDef, NodeDef
from eventwriter.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    MissingDependencyError,
    WriteError,
)
from eventwriter.graphs import GraphBuilder, Layer
from eventwriter.graphs.plot import plot_graph
from tests.helpers.patience import LONG_SECS


@dataclass
class Drawn:
    """What a .dot says: texts of the boxes' rows, arrows, and the cluster of each thing."""

    boxes: dict[str, list[list[str]]] = field(default_factory=dict)
    arrows: list[tuple[str, str]] = field(default_factory=list)
    clusters: dict[str, str] = field(default_factory=dict)
    within: dict[str, str] = field(default_factory=dict)


def texts(markup: str, tag: str) -> list[str]:
    found = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", markup)
    return [html.unescape(re.sub(r"<[^>]*>", "", one)) if tag == "td" else one for one in found]


def drawn(path: Path) -> Drawn:
    """Reads a .dot of ours, line by line."""
    found, around = Drawn(), [""]
    for line in path.read_text("utf-8").splitlines():
        if box := re.fullmatch(r' +"(.*)" \[label=<(<table.*</table>)>\];', line):
            found.boxes[box[1]] = [texts(row, "td") for row in texts(box[2], "tr")]
            found.within[box[1]] = around[-1]
        elif arrow := re.fullmatch(r' +"(.*)" -> "(.*)";', line):
            found.arrows.append((arrow[1], arrow[2]))
        elif cluster := re.fullmatch(r' +subgraph "cluster_(.*)" \{', line):
            found.within[f"cluster {cluster[1]}"] = around[-1]
            around.append(cluster[1])
        elif label := re.fullmatch(r" +graph \[label=<(.*)> labeljust=l style=dashed\];", line):
            found.clusters[around[-1]] = html.unescape(re.sub(r"<[^>]*>", "", label[1]))
        elif line == "  " * (len(around) - 1) + "}":
            around.pop()
    assert [] == around
    return found


def model() -> GraphBuilder:
    """Two inputs, a frozen layer, layers within a layer, a free node with two outputs, an end."""
    graph = GraphBuilder()
    ids = graph.placeholder("input/ids", shape=(None, 5), dtype="int32")
    mask = graph.placeholder("input/mask", shape=(None, 5), dtype="bool")
    with graph.scope("embed", layer=Layer("Embedding", trainable=False)):
        table = graph.node("table", "Parameter", shape=(9, 8), dtype="float32")
        x = graph.node("lookup", "Gather", [ids, table], shape=(None, 5, 8), dtype="float32")
    with graph.scope("encoder", layer=Layer("Sequential", trainable=True)):
        with graph.scope("attention", layer=Layer("Attention", trainable=True)):
            y = graph.node("scores", "MatMul", [x, mask], shape=(None, 5, 8), dtype="float32")
            y = graph.node("mix", "MatMul", [y, x], shape=(None, 5, 8), dtype="float32")
        y = graph.node("add", "Add", [x, y], shape=(None, 5, 8), dtype="float32")
        with graph.scope("feed", layer=Layer("Dense", "relu", True)):
            y = graph.node("relu", "Relu", y, shape=(None, 5, 8), dtype="float32")
    parts = graph.node("split", "Split", y, shapes=[(None, 2), None], dtype=["float32", "int64"])
    with graph.scope("head", layer=Layer("Dense", "softmax", True)):
        y = graph.node("softmax", "Softmax", [parts, parts.output(1)], shape=(), dtype="bfloat16")
    graph.node("output/y", "Output", y, shape=(), dtype="bfloat16")
    return graph


def test_outermost_layers(tmp_path: Path) -> None:
    """By default: outermost layers and free nodes with names and classes; no parameters, no end."""
    found = drawn(plot_graph(model(), tmp_path / "m.dot"))

    assert {
        "input/ids": [["input/ids (Placeholder)"]],
        "input/mask": [["input/mask (Placeholder)"]],
        "embed": [["embed (Embedding)"]],
        "encoder": [["encoder (Sequential)"]],
        "split": [["split (Split)"]],
        "head": [["head (Dense)"]],
    } == found.boxes
    assert [
        ("input/ids", "embed"),
        ("embed", "encoder"),
        ("input/mask", "encoder"),
        ("encoder", "split"),
        ("split", "head"),
    ] == found.arrows
    assert {} == found.clusters


def test_everything(tmp_path: Path) -> None:
    """With all options: clusters, activations, shapes, dtypes and trainability, by layer."""
    path = plot_graph(
        model(),
        tmp_path / "m.dot",
        show_shapes=True,
        show_dtype=True,
        show_layer_activations=True,
        show_trainable=True,
        expand_nested=True,
    )
    found = drawn(path)
    one = "(None, 5, 8)"

    assert {
        "input/ids": [
            ["input/ids (Placeholder)"],
            ["Output shape: (None, 5)", "Output dtype: int32"],
        ],
        "input/mask": [
            ["input/mask (Placeholder)"],
            ["Output shape: (None, 5)", "Output dtype: bool"],
        ],
        "embed": [
            ["embed (Embedding)"],
            [
                "Input shape: (None, 5)",
                f"Output shape: {one}",
                "Output dtype: float32",
                "Non-trainable",
            ],
        ],
        "encoder/attention": [
            ["attention (Attention)"],
            [
                f"Input shape: [{one}, (None, 5)]",
                f"Output shape: {one}",
                "Output dtype: float32",
                "Trainable",
            ],
        ],
        "encoder/add": [
            ["add (Add)"],
            [f"Input shape: [{one}, {one}]", f"Output shape: {one}", "Output dtype: float32"],
        ],
        "encoder/feed": [
            ["feed (Dense)"],
            ["Activation: relu"],
            [
                f"Input shape: {one}",
                f"Output shape: {one}",
                "Output dtype: float32",
                "Trainable",
            ],
        ],
        "split": [
            ["split (Split)"],
            [
                f"Input shape: {one}",
                "Output shape: [(None, 2), ?]",
                "Output dtype: [float32, int64]",
            ],
        ],
        "head": [
            ["head (Dense)"],
            ["Activation: softmax"],
            [
                "Input shape: [(None, 2), ?]",
                "Output shape: ()",
                "Output dtype: bfloat16",
                "Trainable",
            ],
        ],
    } == found.boxes
    assert {"encoder": "encoder (Sequential)"} == found.clusters
    assert {"encoder/attention", "encoder/add", "encoder/feed"} == {
        box for box, around in found.within.items() if around == "encoder"
    }
    assert ("encoder/attention", "encoder/add") in found.arrows
    assert ("embed", "encoder/add") in found.arrows
    assert 8 == len(found.arrows)


def test_without_names(tmp_path: Path) -> None:
    """show_layer_names=False leaves the classes."""
    found = drawn(plot_graph(model(), tmp_path / "m.dot", show_layer_names=False))

    assert [["Embedding"]] == found.boxes["embed"]


def test_layer_that_is_the_model_itself(tmp_path: Path) -> None:
    """The picture begins below it, expanded or not, and names are within it."""
    graph = GraphBuilder()
    x = graph.placeholder("input/x")
    with graph.scope("net", layer=Layer("Net")):
        with graph.scope("block", layer=Layer("Sequential")), graph.scope("a", layer=Layer("A")):
            x = graph.node("run", "Op", x)
        x = graph.node("add", "Add", x)
    graph.node("output/y", "Output", x)
    folded = drawn(plot_graph(graph, tmp_path / "m.dot"))
    expanded = drawn(plot_graph(graph, tmp_path / "m.dot", expand_nested=True))

    assert [["block (Sequential)"]] == folded.boxes["net/block"]
    assert [["add (Add)"]] == folded.boxes["net/add"]
    assert {"net/block": "block (Sequential)"} == expanded.clusters
    assert [["a (A)"]] == expanded.boxes["net/block/a"]


def test_one_layer_is_a_box(tmp_path: Path) -> None:
    """A model of one layer that is made of no others shows that layer."""
    graph = GraphBuilder()
    with graph.scope("dense", layer=Layer("Dense")):
        graph.node("matmul", "MatMul", graph.node("bias", "Buffer"))

    assert {"dense": [["dense (Dense)"]]} == drawn(plot_graph(graph, tmp_path / "m.dot")).boxes


def test_shared_layer(tmp_path: Path) -> None:
    """A layer that is used twice is one box, with what comes in at either time."""
    graph = GraphBuilder()
    a = graph.placeholder("input/a", shape=(1, 2))
    b = graph.placeholder("input/b", shape=(3, 2))
    for x in (a, b, a):
        with graph.scope("shared", layer=Layer("Dense")):
            graph.node("matmul", "MatMul", x, shape=(None, 4))
    found = drawn(plot_graph(graph, tmp_path / "m.dot", show_shapes=True))

    assert [("input/a", "shared"), ("input/b", "shared")] == found.arrows
    assert "Input shape: [(1, 2), (3, 2)]" == found.boxes["shared"][1][0]


def test_node_named_as_a_layer(tmp_path: Path) -> None:
    """The page draws such a node inside of the scope, and so does the picture."""
    graph = GraphBuilder()
    with graph.scope("loop", layer=Layer("Loop")), graph.scope("body", layer=Layer("")):
        inner = graph.node("add", "Add")
    graph.node("loop", "Loop", inner)
    graph.node("end", "Neg", "loop")
    folded = drawn(plot_graph(graph, tmp_path / "m.dot"))
    expanded = drawn(plot_graph(graph, tmp_path / "m.dot", expand_nested=True))

    assert {"loop", "end"} == set(folded.boxes)
    assert {"loop/body": "loop", "loop": "loop", "end": "", "cluster loop": ""} == expanded.within
    assert [["body (Add)"]] == expanded.boxes["loop/body"]


def test_graph_def_without_layers(tmp_path: Path) -> None:
    """Each scope of a GraphDef, message or bytes, is a layer; inputs stay boxes of their own."""
    graph = GraphDef()
    nodes: list[tuple[str, str, list[str]]] = [
        ("input/x", "Placeholder", []),
        ("conv/kernel", "VariableV2", []),
        ("conv/Conv2D", "Conv2D", ["input/x", "conv/kernel"]),
        ("dense/MatMul", "MatMul", ["conv/Conv2D:0", "^input/x"]),
        ("dense/act/Relu", "Relu", ["dense/MatMul"]),
        ("loss", "Mean", ["dense/act/Relu", "^conv/Conv2D"]),
    ]
    for name, op, inputs in nodes:
        graph.node.append(NodeDef(name=name, op=op, input=inputs))
    expected = {
        "input/x": [["input/x (Placeholder)"]],
        "conv": [["conv (Conv2D)"]],
        "dense": [["dense"]],
        "loss": [["loss (Mean)"]],
    }
    for form in (graph, graph.SerializeToString()):
        found = drawn(plot_graph(form, tmp_path / "m.dot"))

        assert expected == found.boxes
        assert [("input/x", "conv"), ("conv", "dense"), ("dense", "loss")] == found.arrows


PARTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)
EDGES = st.lists(st.integers(0, 100), max_size=3)
NODES = st.lists(st.tuples(PARTS, EDGES, st.sampled_from(["Op", "Parameter"])), min_size=1)


@given(NODES, st.sets(PARTS.map("/".join)))
def test_boxes_and_arrows_of_any_graph(
    tmp_path_factory: pytest.TempPathFactory,
    nodes: list[tuple[list[str], list[int], str]],
    scopes: set[str],
) -> None:
    """Each node but parameters is in the box of its outermost layer, and arrows are its edges."""
    graph = GraphBuilder()
    for scope in sorted(scopes):
        with graph.scope(f"top/{scope}", layer=Layer("Layer")):
            pass
    with graph.scope("other", layer=Layer("Layer")):  # so that no layer is the model itself
        graph.node("node", "Op")
    outputs = []
    box_of: dict[str, str] = {"other/node": "other"}
    arrows = []
    for parts, inputs, op in nodes:
        taken = [outputs[index % len(outputs)] for index in inputs if outputs]
        added = graph.node("/".join(["top", *parts, "node"]), op, taken)
        outputs.append(added)
        if op == "Parameter":
            continue
        prefixes = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        layer = next((f"top/{prefix}" for prefix in prefixes if prefix in scopes), added.name)
        box_of[added.name] = layer
        arrows += [(box_of[x.name], layer) for x in taken if x.name in box_of]
    found = drawn(plot_graph(graph, tmp_path_factory.mktemp("plot") / "m.dot"))

    assert set(box_of.values()) == set(found.boxes)
    assert [(a, b) for a, b in dict.fromkeys(arrows) if a != b] == found.arrows


def test_dot_is_stable(tmp_path: Path) -> None:
    """Equal graphs give equal text, in other processes too, which hash otherwise."""
    path = plot_graph(model(), tmp_path / "here.dot", expand_nested=True, show_shapes=True)
    code = (
        "from tests.unit.graphs.test_plot import model, plot_graph\n"
        f"path = {str(tmp_path / 'there.dot')!r}\n"
        "plot_graph(model(), path, expand_nested=True, show_shapes=True)"
    )
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[3]
    subprocess.run(command, timeout=LONG_SECS, check=True, cwd=root, env={"PYTHONHASHSEED": "7"})

    assert path.read_bytes() == (tmp_path / "there.dot").read_bytes()


def test_dot_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the package graphviz nor Graphviz."""
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.setenv("PATH", "")
    path = tmp_path / "m.dot"

    assert path == plot_graph(model(), path)
    assert path.read_bytes().startswith(b"digraph model {\n")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the line that installs it, and nothing is written."""
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "eventwriter\[plot\]"'):
        plot_graph(model(), tmp_path / "m.png")

    assert [] == list(tmp_path.iterdir())


def test_without_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install Graphviz, and nothing is written."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"apt-get.*brew.*conda"):
        plot_graph(model(), tmp_path / "m.png")

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"to_file": "m.jpg"}, r"to_file.*\.png, \.svg, \.pdf, \.dot.*'m\.jpg'"),
        ({"to_file": "m"}, r"\.png, \.svg, \.pdf, \.dot"),
        ({"rankdir": "UP"}, r"rankdir.*TB, BT, LR, RL.*'UP'"),
        ({"dpi": 0}, "dpi.*got 0"),
        ({"dpi": 72.5}, "dpi"),
    ],
)
def test_bad_values(tmp_path: Path, options: dict[str, Any], match: str) -> None:
    """Each names what is allowed."""
    with pytest.raises(ArgumentValueError, match=match):
        plot_graph(model(), **{"to_file": tmp_path / "m.dot", **options})


def test_bad_types(tmp_path: Path) -> None:
    """A path that is none, and a model that no source can read."""
    with pytest.raises(ArgumentTypeError, match="to_file: expected a path, got int"):
        plot_graph(model(), 3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="got dict"):
        plot_graph({}, tmp_path / "m.dot")


def test_nothing_to_draw(tmp_path: Path) -> None:
    """A graph of parameters alone has no boxes."""
    graph = GraphBuilder()
    graph.node("w", "Parameter")
    with pytest.raises(ArgumentValueError, match="parameters and constants only"):
        plot_graph(graph, tmp_path / "m.dot")


def test_disk_that_refuses(tmp_path: Path) -> None:
    """The error names the file; what was there stays, and nothing is left over."""
    blocked = tmp_path / "m.dot"
    blocked.mkdir()
    with pytest.raises(WriteError, match=r"m\.dot cannot be written"):
        plot_graph(model(), blocked)
    with pytest.raises(WriteError, match="cannot be written"):
        plot_graph(model(), tmp_path / "none" / "m.dot")

    assert [blocked] == list(tmp_path.iterdir())
