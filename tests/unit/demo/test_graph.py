"""The demo's model as a graph."""

from __future__ import annotations

import numpy as np

from eventwriter.demo.graph import graph_of
from eventwriter.demo.model import Dropout, Layer, TextClassifier


def test_shapes_in_the_graph_are_those_of_the_arrays() -> None:
    """For each layer and weight, the graph's shape is the shape that the model really has."""
    model = TextClassifier(50, 7, np.random.default_rng(0), embedding_width=8, filters=6)
    model.forward(np.zeros((3, 25), np.int32), training=True)
    graph = graph_of(model, passage_words=25).to_graph_def()
    shapes = {
        node.name: [dim.size for dim in node.attr["_output_shapes"].list.shape[0].dim]
        for node in graph.node
    }

    outputs: list[tuple[Layer, str]] = [
        (model.embed, "embed/Gather"),
        *((layer, layer.name) for layer in model.layers if isinstance(layer, Dropout)),
        (model.conv, "conv/Relu"),
        (model.pool, "pool"),
        (model.dense, "dense/BiasAdd"),
    ]
    for layer, last in outputs:
        assert [-1, *layer.output.shape[1:]] == shapes[last]
        for name, weight in layer.weights.items():
            assert list(weight.shape) == shapes[f"{layer.name}/{name}"]


def test_the_graph_is_one_chain_from_words_to_loss() -> None:
    """Going back from the loss along first inputs, every layer is met, in the model's order."""
    model = TextClassifier(50, 7, np.random.default_rng(0), embedding_width=8, filters=6)
    graph = graph_of(model, passage_words=25).to_graph_def()
    inputs = {node.name: list(node.input) for node in graph.node}

    met, name = [], "loss/Mean"
    while inputs[name]:
        name = inputs[name][-1 if name == "embed/Gather" else 0]
        met.append(name.split("/")[0])
    assert met[-1] == "input"
    layers = [layer.name for layer in reversed(model.layers)]
    assert ["loss", *layers, "input"] == list(dict.fromkeys(met))
