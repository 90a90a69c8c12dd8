"""The demo's model as a graph. Each layer is a scope; operations have TensorFlow's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventwriter.graphs import GraphBuilder

if TYPE_CHECKING:
    from eventwriter.demo.model import Layer, TextClassifier
    from eventwriter.graphs import Output


def graph_of(model: TextClassifier, passage_words: int) -> GraphBuilder:
    """Return the graph of a model in training, from words and topics to the loss.

    Args:
        model: Its weights give the shapes.
        passage_words: The number of words in a passage. The batch size is left open.
    """
    graph = GraphBuilder()

    def operation(name: str, op: str, inputs: list[Output], *shape: int) -> Output:
        """Add a node with a float32 output `[batch size, *shape]`."""
        return graph.node(name, op, inputs, shape=(None, *shape), dtype="float32")

    def weights(layer: Layer) -> list[Output]:
        return [
            graph.node(name, "VariableV2", shape=weight.shape, dtype="float32")
            for name, weight in layer.weights.items()
        ]

    width = model.embed.weights["embeddings"].shape[1]
    kernel_size, _, filters = model.conv.weights["kernel"].shape
    topics = model.dense.weights["bias"].size
    positions = passage_words - kernel_size + 1

    with graph.scope("input"):
        words = graph.placeholder("words", shape=(None, passage_words), dtype="int32")
        labels = graph.placeholder("topics", shape=(None,), dtype="int32")
    with graph.scope(model.embed.name):
        inputs = [*weights(model.embed), words]
        outputs = operation("Gather", "GatherV2", inputs, passage_words, width)
    outputs = operation("embed_dropout", "Dropout", [outputs], passage_words, width)
    with graph.scope(model.conv.name):
        kernel, bias = weights(model.conv)
        outputs = operation("Conv1D", "Conv1D", [outputs, kernel], positions, filters)
        outputs = operation("BiasAdd", "BiasAdd", [outputs, bias], positions, filters)
        outputs = operation("Relu", "Relu", [outputs], positions, filters)
    outputs = operation(model.pool.name, "Max", [outputs], filters)
    outputs = operation("pool_dropout", "Dropout", [outputs], filters)
    with graph.scope(model.dense.name):
        kernel, bias = weights(model.dense)
        outputs = operation("MatMul", "MatMul", [outputs, kernel], topics)
        logits = operation("BiasAdd", "BiasAdd", [outputs, bias], topics)
    with graph.scope("loss"):
        losses = operation("CrossEntropy", "SparseSoftmaxCrossEntropyWithLogits", [logits, labels])
        graph.node("Mean", "Mean", [losses], shape=(), dtype="float32")
    return graph
