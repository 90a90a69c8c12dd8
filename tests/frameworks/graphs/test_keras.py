"""Graphs of Keras models, on Keras's backend of the day. Needs keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.graphs import build_graph
from eventwriter.integrations.keras.graph import build_graph as build
from tests.frameworks.graphs import models_keras as models

GRAPHS = [
    models.mlp, models.convnet, models.residual, models.transformer, models.nested, models.siamese,
    models.several, models.arithmetic, models.recurrent,
]  # fmt: skip


def nodes_of(graph):
    return {node.name: node for node in graph.to_graph_def().node}


def shapes_of(node):
    return [
        tuple(None if dim.size == -1 else dim.size for dim in shape.dim)
        for shape in node.attr["_output_shapes"].list.shape
    ]


def data_inputs(nodes, name):
    """What a node takes, parameters and constants aside."""
    return [
        reference
        for reference in nodes[name].input
        if nodes[reference.partition(":")[0]].op not in {"Parameter", "Const"}
    ]


def parameters_of(nodes):
    return {name: shapes_of(node)[0] for name, node in nodes.items() if node.op == "Parameter"}


@pytest.mark.parametrize("make", GRAPHS)
def test_weights_layers_and_results(make):
    """Every weight is one node, every layer a scope, every result an output; all have shapes."""
    model = make()
    graph = build(model)
    nodes = nodes_of(graph)

    assert sorted(tuple(weight.shape) for weight in model.weights) == sorted(
        parameters_of(nodes).values()
    )
    expected = {
        layer.name: type(layer).__name__
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer)
    }
    top = {name: layer.class_name for name, layer in graph.layers.items() if "/" not in name}
    assert expected == top
    assert [tuple(tensor.shape) for tensor in model.outputs] == [
        shapes_of(node)[0] for node in nodes.values() if node.op == "Output"
    ]
    assert {f"input/{tensor.name}": tuple(tensor.shape) for tensor in model.inputs} == {
        name: shapes_of(node)[0] for name, node in nodes.items() if node.op == "Placeholder"
    }
    for name, node in nodes.items():
        assert shapes_of(node), name
        assert node.attr["dtype"].WhichOneof("value"), name


@pytest.mark.parametrize("make", [models.mlp, models.convnet])
def test_sequential_is_a_chain(make):
    """Each layer takes the one before it, the first the input; weights are named and in order."""
    model = make()
    nodes = nodes_of(build(model))
    before = f"input/{model.inputs[0].name}"
    for layer in model.layers:
        name = f"{layer.name}/{type(layer).__name__}"
        weights = [f"{layer.name}/{weight.name}" for weight in layer.weights]

        assert [before, *weights] == list(nodes[name].input)
        assert [tuple(layer.output.shape)] == shapes_of(nodes[name])
        before = name
    assert [before] == list(nodes[f"output/{model.layers[-1].name}"].input)


def test_layers_are_remembered():
    """Class, activation and whether it is trained: None where there is nothing to train."""
    graph = build(models.mlp())
    frozen = build(models.residual()).layers["norm"]

    assert ("Dense", "relu", True) == (
        graph.layers["hidden"].class_name,
        graph.layers["hidden"].activation,
        graph.layers["hidden"].trainable,
    )
    assert graph.layers["dropout"].trainable is None
    assert graph.layers["dropout"].activation is None
    assert frozen.trainable is False


def test_residual():
    """The sum takes the image past the convolution."""
    nodes = nodes_of(build(models.residual()))

    assert ["input/image", "norm/BatchNormalization"] == data_inputs(nodes, "add/Add")


def test_attention_takes_its_keywords():
    """Query, key, value and mask of cross attention have edges, though they are keywords."""
    nodes = nodes_of(build(models.transformer()))

    assert {
        "self_add_0/Add", "encoder_norm_0/LayerNormalization", "input/mask",
    } == set(data_inputs(nodes, "cross_attention_0/MultiHeadAttention"))  # fmt: skip
    assert "source_embed/Embedding" in data_inputs(nodes, "encoder_attention_0/MultiHeadAttention")
    assert nodes["self_attention_0/MultiHeadAttention"].attr["use_causal_mask"].b
    assert (8, 2, 4) == parameters_of(nodes)["cross_attention_0/key/kernel"]


def test_nested_models():
    """Models within models are scopes within scopes, joined to what is around them."""
    graph = build(models.nested())
    nodes = nodes_of(graph)

    assert ["input/outer"] == data_inputs(nodes, "middle/head/dense/Dense")
    assert ["middle/head/relu/ReLU"] == data_inputs(nodes, "middle/Add")
    assert ["middle/Add"] == data_inputs(nodes, "dense/Dense")
    assert "Functional" == graph.layers["middle"].class_name
    assert "Sequential" == graph.layers["middle/head"].class_name


def test_nested_model_with_a_dict():
    """A model that is called with a dict takes each input by its name."""
    first, second = keras.Input((2,), name="first"), keras.Input((3,), name="a_second")
    inner = keras.Model([first, second], layers.Concatenate(name="join")([first, second]))
    x, y = keras.Input((2,), name="x"), keras.Input((3,), name="y")
    model = keras.Model([x, y], inner({"a_second": y, "first": x}))
    nodes = nodes_of(build(model))

    assert ["input/x", "input/y"] == data_inputs(nodes, f"{inner.name}/join/Concatenate")


def test_shared_layer():
    """A layer that is called twice has two operations in one scope, and its weights once."""
    nodes = nodes_of(build(models.siamese()))

    assert ["input/left", "tower/kernel", "tower/bias"] == list(nodes["tower/Dense"].input)
    assert ["input/right", "tower/kernel", "tower/bias"] == list(nodes["tower/Dense_1"].input)
    assert ["tower/Dense", "tower/Dense_1"] == data_inputs(nodes, "distance/Subtract")


def test_shared_model():
    """A model that is called twice has its operations twice, and its weights once."""
    tower = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense")], name="tower")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    model = keras.Model([left, right], layers.Add(name="sum")([tower(left), tower(right)]))
    nodes = nodes_of(build(model))

    assert {"tower/dense/kernel", "tower/dense/bias"} == set(parameters_of(nodes))
    assert ["tower/dense/Dense", "tower/dense/Dense_1"] == data_inputs(nodes, "sum/Add")


def test_several_inputs_and_outputs():
    """Outputs in a dict have its keys for names."""
    nodes = nodes_of(build(models.several()))

    assert ["input/a", "input/b"] == data_inputs(nodes, "join/Concatenate")
    assert ["join/Concatenate"] == data_inputs(nodes, "output/joined")
    assert ["score_dense/Dense"] == data_inputs(nodes, "output/score")


def test_arithmetic():
    """In `x * 0.5 + 1 - array` each takes what is before it and a constant with its value."""
    nodes = nodes_of(build(models.arithmetic()))

    assert ["input/x", "const"] == list(nodes["Multiply"].input)
    assert 0.5 == nodes["const"].attr["value"].f
    assert ["Multiply", "const_1"] == list(nodes["Add"].input)
    assert [1.0, 2.0] == list(nodes["const_2"].attr["value"].tensor.float_val)
    assert ["Subtract"] == list(nodes["Sum"].input)


def test_recurrent():
    """A mask is an input, weights of cells are below them, and each state is an output."""
    nodes = nodes_of(build(models.recurrent()))

    assert ["both/Bidirectional", "NotEqual"] == data_inputs(nodes, "lstm/LSTM")
    assert (6, 8) == parameters_of(nodes)["lstm/lstm_cell/kernel"]
    assert ["lstm/LSTM", "lstm/LSTM:1", "lstm/LSTM:2"] == [
        node.input[0] for node in nodes.values() if node.op == "Output"
    ]


@pytest.mark.parametrize("with_inputs", [True, False])
def test_subclassed(with_inputs):
    """A subclassed model's edges are found, within its own layers too, from inputs or its build."""
    model, x = models.subclassed()
    graph = build(model, x if with_inputs else None)
    nodes = nodes_of(graph)

    assert ["input/x"] == data_inputs(nodes, "block_0/inner/Dense")
    assert ["block_0/Add"] == data_inputs(nodes, "block_1/inner/Dense")
    assert ["block_0/dropout/Dropout", "block_0/scale"] == list(nodes["block_0/Multiply"].input)
    assert ["block_1/Add"] == data_inputs(nodes, "head/Dense")
    assert ["Multiply"] == list(nodes["output/logits"].input)
    assert len(model.weights) == len(parameters_of(nodes))
    assert "Block" == graph.layers["block_1"].class_name


def test_own_layer_in_a_functional_model():
    """A layer of the user's own that is made of others shows them."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, models.Block(name="own")(x))
    nodes = nodes_of(build(model))

    assert ["input/x"] == data_inputs(nodes, "own/inner/Dense")
    assert ["input/x", "own/Multiply"] == data_inputs(nodes, "own/Add")


def test_untraceable():
    """A model that needs values shows its layers. A warning at the user's line says why."""
    model, x = models.untraceable()
    with pytest.warns(EventWriterWarning, match=r"Untraceable.*without edges.*raised") as seen:
        graph = build_graph(model, x)

    assert [__file__] == [warning.filename for warning in seen]
    assert len(model.weights) == len(parameters_of(nodes_of(graph)))
    assert {"one", "two", "two/inner", "two/dropout"} == set(graph.layers)


class TwoArguments(keras.Model):
    """Two arguments, of which Keras remembers the first one's shape, and models within."""

    def __init__(self):
        super().__init__(name="two_arguments")
        self.first = models.mlp()
        self.second = keras.Sequential([layers.Dense(3, name="dense")], name="second")

    def call(self, a, b):
        return self.first(a) + self.second(b), a


def test_subclassed_with_models_and_arguments():
    """Models within a subclassed one are scopes; arguments are inputs by their names."""
    model, x = TwoArguments(), np.ones((2, 4), np.float32)
    model(x, x)
    nodes = nodes_of(build(model, (x, x)))

    assert ["input/a"] == data_inputs(nodes, f"{model.first.name}/hidden/Dense")
    assert ["input/b"] == data_inputs(nodes, "second/dense/Dense")
    assert [f"{model.first.name}/classes/Dense", "second/dense/Dense"] == data_inputs(nodes, "Add")
    assert ["Add"] == list(nodes["output/Add"].input)
    assert ["input/a"] == list(nodes["output/input"].input)
    assert build(model, (x, x)).to_graph_def() == build(model, {"a": x, "b": x}).to_graph_def()
    with pytest.warns(EventWriterWarning, match="Pass its arguments as inputs"):
        build(model)


class Drawing(keras.Model):
    """Draws random numbers and counts its calls."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(1)
        self.dense = layers.Dense(4)
        self.dropout = layers.Dropout(0.5)
        self.counter = self.add_weight(shape=(), name="counter", trainable=False)

    def call(self, x, training=True):
        self.counter.assign(self.counter + 1)
        noise = keras.random.normal((4,), seed=self.generator)
        y = self.dropout(self.dense(x) + noise, training=training)
        return y * self.counter


def left_behind(model):
    """All that building a graph could change of a model."""
    every = [model, *model._flatten_layers(include_self=False)]
    values = [keras.ops.convert_to_numpy(variable.value) for variable in model.variables]
    calls = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in every]
    flags = [(layer.trainable, layer.built, layer.name) for layer in every]
    return [value.tolist() for value in values], calls, flags, len(model.losses)


@pytest.mark.parametrize("make", [*GRAPHS, models.subclassed, models.untraceable])
@pytest.mark.filterwarnings("ignore::eventwriter.errors.EventWriterWarning")
def test_model_is_left_as_it_was(make):
    """Weights, seeds, flags, calls and losses stay, and the names that Keras gives out next."""
    model = make()
    model, inputs = model if isinstance(model, tuple) else (model, None)
    before = left_behind(model)
    first = layers.Add().name
    build(model, inputs)
    second = layers.Add().name

    assert before == left_behind(model)
    assert 1 == number_of(second) - number_of(first)


def number_of(name):
    return int(name.rpartition("_")[2]) if "_" in name else 0


def test_state_is_left_as_it_was():
    """A call that draws and counts leaves no trace of it."""
    model = Drawing()
    x = np.ones((2, 4), np.float32)
    model(x)
    before = left_behind(model)
    nodes = nodes_of(build(model, x))

    assert before == left_behind(model)
    assert "counter" in parameters_of(nodes)


def test_same_graph_each_time():
    """Two builds of one model are equal, although Keras gives operations new numbers."""
    model, x = models.subclassed()

    assert build(model, x).to_graph_def() == build(model, x).to_graph_def()


def test_large_models_fold():
    """Blocks of a hundred layers leave tens of boxes at the top, each layer in one block."""
    model = models.transformer(30)
    graph = build(model)
    nodes = nodes_of(graph)

    assert len({name.split("/")[0] for name in nodes}) <= 40
    assert len(model.weights) == len(parameters_of(nodes))
    attentions = [name for name in graph.layers if "attention" in name]
    assert 90 == len(attentions)
    assert 60 <= len({name.rpartition("/")[0] for name in attentions})


@pytest.mark.parametrize(("name", "scope"), [("dense_{}", "dense"), ("my{}_dense", "blocks")])
def test_long_chain_folds(name, scope):
    """Layers of one class, one after another, go into one scope."""
    dense = [layers.Dense(4, name=name.format(k)) for k in range(100)]
    nodes = nodes_of(build(keras.Sequential([keras.Input((4,)), *dense])))

    assert {"input", scope, "output"} == {name.split("/")[0] for name in nodes}


def test_names_fold():
    """Where names tell of sections, as in Keras's own ResNet, these are the scopes."""
    model = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
    nodes = nodes_of(build(model))

    sections = {layer.name.partition("_")[0] for layer in model.layers[1:]}
    assert {"input", "output", *sections} == {name.split("/")[0] for name in nodes}
    assert [
        "conv2/conv2_block1_0_bn/BatchNormalization",
        "conv2/conv2_block1_3_bn/BatchNormalization",
    ] == data_inputs(nodes, "conv2/conv2_block1_add/Add")


def test_input_without_a_name():
    """An input has the name that Keras gave to its layer."""
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(2)(x))

    assert f"input/{model.layers[0].name}" in nodes_of(build(model))


@pytest.mark.parametrize(
    "make", [models.Subclassed, lambda: keras.Sequential([layers.Dense(2)]), models.Block]
)
def test_never_built(make):
    """A model without shapes is an error that says how to give it some."""
    with pytest.raises(ArgumentValueError, match=r"never built.*model\.build\(input_shape\)"):
        build(make())


def test_no_model():
    """What is no model is refused by its type."""
    with pytest.raises(ArgumentTypeError, match=r"graph of int: expected a keras\.Model"):
        build(3)


def test_inputs_that_do_not_fit():
    """Inputs that do not fit `call` are refused with its signature."""
    model, _ = models.subclassed()
    with pytest.raises(ArgumentValueError, match=r"Subclassed.*call\(x, training=False\)"):
        build(model, {"y": np.ones(3)})
