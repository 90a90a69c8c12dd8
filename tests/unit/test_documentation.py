"""Every example in the documents and in docstrings is run.

Those about a framework are run in tests/frameworks, and those that need Graphviz in tests/e2e.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter import EventFileReader, SummaryWriter, callbacks
from eventwriter.graphs import GraphBuilder
from tests.helpers import documentation
from tests.helpers.scanner import event_file

if TYPE_CHECKING:
    from pathlib import Path


class View(callbacks.NumpyView):
    """A model of the reader's that answers all that the examples show."""

    def gradients(self, batch: tuple[Any, ...] | None) -> dict[str, Any]:
        return dict(self.weights())


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    """What the examples take for granted: the reader's own model and data, and our own names."""
    with SummaryWriter(tmp_path / "read") as read:
        read.add_scalar("loss", 1.0, 0)
    values = np.linspace(0, 1, 30, dtype=np.float32)
    table = np.random.default_rng(0).normal(size=(5, 3))
    view = View(
        {"embed/table": table},
        {"learning_rate": 0.1},
        activations=lambda x: {"embed": table[x]},
        embeddings=("embed/table",),
    )
    x, y = np.arange(4), np.zeros(4)
    log = callbacks.TensorBoard(tmp_path / "log")
    edges = {"limits": [0.5, 1.0], "counts": [20, 10], "num": 30, "min": 0.0, "max": 1.0}
    return {
        **vars(callbacks),
        "SummaryWriter": SummaryWriter,
        "EventFileReader": EventFileReader,
        "GraphBuilder": GraphBuilder,
        "Recording": object,
        "log": log,
        "epoch": 3,
        "loss": 0.5,
        "values": values,
        "steps": range(30),
        "walltimes": 1.7e9 + values,
        **edges,
        "sum": 15.0,
        "sum_squares": 10.2,
        "pixels": np.zeros((3, 8, 8)),
        "matrix": table,
        "words": list("abcde"),
        "model": view,
        "inputs": None,
        "optimizer": None,
        "x_val": x,
        "y_val": y,
        "train": [(x, y)] * 2,
        "path": event_file(tmp_path / "read"),
        "train_step": lambda x, y: {"loss": 0.5, "acc": 0.5},
        "evaluate": lambda x, y: {"val_loss": 0.5, "val_acc": 0.5},
        "backward": lambda x, y: 0.5,
        "step": lambda: None,
        "policy": view,
        "collect": lambda policy: SimpleNamespace(steps=100, reward=300.0),
        "improve": lambda policy, rollout: {"loss": 0.5},
        "writer": SummaryWriter(tmp_path / "writer"),
    }


@pytest.mark.parametrize(
    "example", documentation.examples("unit"), ids=lambda example: example.place
)
def test_example(
    example: documentation.Example,
    names: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs as it stands, without a warning, and without unexplained names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(names["log"], "training", callbacks.Loop(None), raising=False)
    if "add_graph(model" in example.code:
        names["model"] = GraphBuilder()
        names["model"].placeholder("x", shape=(1,), dtype="float32")
    try:
        example.run(names)
    finally:
        names["writer"].close()
        names["log"].close("finished")


def test_examples_are_found() -> None:
    """Each document with Python in it is read, and each kind of place in the package."""
    places = {example.place.split(":")[0] for example in documentation.examples("unit")}

    assert {"README.md", "eventwriter/__init__.py", "eventwriter/graphs/builder.py"} <= places
    assert documentation.examples("frameworks")
    assert documentation.examples("e2e")


@pytest.mark.parametrize(
    "example",
    [it for it in documentation.in_docstrings() if not documentation.is_python(it.code)],
    ids=lambda example: example.place,
)
def test_drawing(example: documentation.Example) -> None:
    """A block that is no Python is a drawing: a typing error leaves no example out."""
    statement = r"(?m)^ *(from \w|import \w|with .*:$|for .*:$|def \w|class \w|@|writer\.|loop\.)"

    assert not re.search(statement, example.code)
