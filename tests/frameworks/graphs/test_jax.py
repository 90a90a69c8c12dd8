"""Graphs of JAX functions and of Flax and Equinox modules. Needs jax, flax and equinox."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.integrations.jax.graph import build_graph as build
from tests.frameworks.graphs import models_jax as models

MODELS = [
    models.mlp, models.residual_convolution, models.recurrent, models.branches, models.called,
    models.linen_transformer, models.linen_batch_norm, models.linen_recurrent, models.nnx_mlp,
    models.equinox_mlp, models.equinox_transformer,
]  # fmt: skip


def nodes_of(graph):
    return {node.name: node for node in graph.to_graph_def().node}


def inputs_of(nodes, name):
    return list(nodes[name].input)


def shapes_of(node):
    return [
        tuple(dim.size for dim in shape.dim) for shape in node.attr["_output_shapes"].list.shape
    ]


def parameters_of(nodes):
    return {name: shapes_of(node)[0] for name, node in nodes.items() if node.op == "Parameter"}


def upstream(nodes, name):
    """The names of all nodes that a node is computed from."""
    found, waiting = set(), [name]
    while waiting:
        for reference in nodes[waiting.pop()].input:
            source = reference.partition(":")[0]
            if source not in found:
                found.add(source)
                waiting.append(source)
    return found


@pytest.mark.parametrize("make", MODELS)
def test_shapes_and_dtypes(make):
    """Every output of every node has a shape and a dtype, and the results have the model's own."""
    model, inputs = make()
    nodes = nodes_of(build(model, inputs))

    for name, node in nodes.items():
        assert shapes_of(node), name
        assert node.attr["dtype"].WhichOneof("value"), name
    outputs = [shapes_of(node)[0] for node in nodes.values() if node.op == "Output"]
    args, kwargs = (inputs, {}) if isinstance(inputs, tuple) else ((inputs,), {})
    if isinstance(inputs, dict):
        args, kwargs = (), inputs
    if isinstance(model, linen.Module):
        traced = {name: value for name, value in kwargs.items() if name != "train"}
        static = {name: value for name, value in kwargs.items() if name == "train"}
        key = jax.random.key(0)
        expected = jax.eval_shape(
            lambda a, k: model.init_with_output(key, *a, **k, **static)[0], args, traced
        )
    else:
        expected = model(*args, **kwargs)

    assert [leaf.shape for leaf in jax.tree.leaves(expected)] == outputs


@pytest.mark.parametrize("make", MODELS)
def test_inputs_lead_to_results(make):
    """Every placeholder and every parameter that the model needs leads to a result."""
    model, inputs = make()
    nodes = nodes_of(build(model, inputs))
    reached = set().union(
        *(upstream(nodes, name) for name, node in nodes.items() if node.op == "Output")
    )
    needed = {name for name, node in nodes.items() if node.op in {"Placeholder", "Parameter"}}
    # While it trains, batch normalization writes its statistics and does not read them.
    needed -= {"BatchNorm_0/mean", "BatchNorm_0/var"}

    assert needed <= reached


def test_mlp():
    """Named scopes are scopes, and each takes its own weights and the layer before it."""
    nodes = nodes_of(build(*models.mlp()))
    scopes = {name.split("/")[0] for name in nodes}

    assert {"input", "params", "layer_0", "layer_1", "layer_2", "output"} == scopes
    assert ["layer_0/tanh", "params/1/0"] == inputs_of(nodes, "layer_1/dot_general")
    assert ["layer_2/tanh"] == inputs_of(nodes, "output/0")


def test_arguments_that_hold_no_parameters_are_inputs():
    """Leaves of other arguments are placeholders, named by the argument and their place in it."""
    graph = build(lambda batch, scale: batch["x"] * scale, ({"x": jnp.ones(3)}, np.float32(2)))

    assert {"input/batch/x", "input/scale"} == {
        name for name, node in nodes_of(graph).items() if node.op == "Placeholder"
    }


def test_residual_convolution():
    """The sum takes the image past the convolution; relu's calls of itself are one scope."""
    nodes = nodes_of(build(*models.residual_convolution()))

    assert ["input/image", "conv/conv_general_dilated"] == inputs_of(nodes, "add")
    assert ["add", "relu/const"] == inputs_of(nodes, "relu/max")
    assert 0.0 == nodes["relu/const"].attr["value"].f


def test_scan():
    """A scan's scope holds carried values, one step's inputs, its body and what it gives."""
    nodes = nodes_of(build(*models.recurrent()))

    assert [(3,)] == shapes_of(nodes["scan/element"])
    assert ["input/sequence"] == inputs_of(nodes, "scan/element")
    assert ["scan/carry", "params/state"] == inputs_of(nodes, "scan/cell/dot_general_1")
    assert ["scan/cell/tanh", "scan/mul"] == inputs_of(nodes, "scan/scan")
    assert [(5,), (7, 5)] == shapes_of(nodes["scan/scan"])
    assert ["scan/scan:1"] == inputs_of(nodes, "output/1")


def test_branches():
    """A cond takes what it asks and both branches; a while its condition and its body."""
    nodes = nodes_of(build(*models.branches()))

    assert [
        "convert_element_type", "cond/branch_0/mul", "cond/branch_1/sin",
    ] == inputs_of(nodes, "cond/cond")  # fmt: skip
    assert ["cond/cond"] == inputs_of(nodes, "while/carry")
    assert [
        "while/cond/lt", "while/body/mul", "while/body/add",
    ] == inputs_of(nodes, "while/while")  # fmt: skip
    assert "input/limit" in inputs_of(nodes, "while/cond/lt")


def test_calls():
    """Called functions are scopes of their names; each call of one is a scope of its own."""
    operations = {name for name, node in nodes_of(build(*models.called())).items() if "/" in name}

    assert {
        "input/x", "own_sin/sin", "own_cos/cos", "outer/inner/exp", "outer/const", "outer/mul",
        "outer/inner_1/exp", "outer/add", "output/0",
    } == operations  # fmt: skip


def test_constants():
    """Constants show their value up to 16 elements; larger ones, such as weights, never do."""
    small, large = np.arange(16.0, dtype=np.float32), np.ones(17, np.float32)
    nodes = nodes_of(build(lambda x: (x[:16] + small, x + large), jnp.ones(17)))
    constants = {
        shapes_of(node)[0]: list(node.attr["value"].tensor.float_val)
        for node in nodes.values()
        if node.op == "Const"
    }

    assert small.tolist() == constants[16,]
    assert [] == constants[17,]


def linen_parameters(model, x):
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables["params"])
    return {"/".join(key.key for key in path): leaf.shape for path, leaf in leaves}


def test_linen():
    """A linen module's parameters are in its modules' scopes, and so is what uses them."""
    model, x = models.linen_transformer()
    graph = build(model, x)
    nodes = nodes_of(graph)

    assert linen_parameters(model, x) == parameters_of(nodes)
    for name in parameters_of(nodes):
        scope = name.rpartition("/")[0]
        users = [user for user, node in nodes.items() if name in node.input]
        assert users
        assert {scope} == {user.rpartition("/")[0] for user in users}
    assert "Attention" == graph.layers["Attention_1"].class_name
    assert "MultiHeadDotProductAttention" == (
        graph.layers["Attention_1/MultiHeadDotProductAttention_0"].class_name
    )
    assert graph.layers["Attention_0/up"].trainable
    assert graph.layers["Attention_0/Dropout_0"].trainable is None
    # The residual edges.
    assert "Attention_0/add" in inputs_of(nodes, "Attention_0/add_3")


def test_linen_forms():
    """A module with its variables, its apply, and a bound module have the same graph."""
    model, x = models.linen_transformer(1)
    x = jnp.ones(x.shape)
    variables = model.init(jax.random.key(0), x)
    expected = build(model, x).to_graph_def()

    assert expected == build(model, (variables, x)).to_graph_def()
    assert expected == build(model.bind(variables), x).to_graph_def()
    applied = nodes_of(build(model.apply, (variables, x)))
    assert parameters_of(nodes_of(build(model, x))) == parameters_of(applied)


def test_function_around_apply():
    """Parameters that a function passes on to a linen module are in the module's scopes."""
    model, x = models.linen_transformer(1)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)

    def loss(params, x):
        return (model.apply({"params": params}, x) ** 2).mean()

    nodes = nodes_of(build(loss, (variables["params"], x)))
    assert linen_parameters(model, x) == parameters_of(nodes)


def test_nnx_within_jit():
    """A module's scopes hold within NNX's own jit."""
    model, x = models.nnx_mlp()
    nodes = nodes_of(build(nnx.jit(lambda net, x: net(x)), (model, x)))

    assert "net/layers/0/kernel" in inputs_of(nodes, "net/layers/0/dot_general_1")


def test_linen_training():
    """Static arguments are passed as they are: dropout draws from `make_rng` while it trains."""
    model, x = models.linen_transformer(1)

    assert "input/make_rng" not in nodes_of(build(model, x))
    nodes = nodes_of(build(model, {"x": x, "train": True}))
    assert "RandomState" == nodes["input/make_rng"].op
    assert "Attention_0/Dropout_0/_bernoulli/lt" in nodes


def test_linen_collections():
    """Statistics are parameters of their module, and may change."""
    nodes = nodes_of(build(*models.linen_batch_norm()))

    assert {
        "scale", "BatchNorm_0/scale", "BatchNorm_0/bias", "BatchNorm_0/mean", "BatchNorm_0/var",
    } == set(parameters_of(nodes))  # fmt: skip


def test_module_in_a_loop():
    """What a module computes within a scan stays in the scan's scope."""
    nodes = nodes_of(build(*models.linen_recurrent()))

    assert ["RNN_0/scan/carry", "SimpleCell_0/h/kernel"] == inputs_of(
        nodes, "RNN_0/scan/SimpleCell_0/h/dot_general"
    )


def test_nnx():
    """An NNX module's attributes are scopes; a shared module has one scope and two calls in it."""
    model, x = models.nnx_mlp()
    graph = build(model, x)
    nodes = nodes_of(graph)
    expected = {
        "/".join(map(str, path)): variable.shape
        for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param))
    }

    assert expected == parameters_of(nodes)
    assert ["layers/0/add_1"] == inputs_of(nodes, "output/0")
    for call in ("layers/0/dot_general", "layers/0/dot_general_1"):
        assert "layers/0/kernel" in inputs_of(nodes, call)
    assert "Linear" == graph.layers["layers/1"].class_name
    assert {"dropout/rngs/key", "dropout/rngs/count"} == {
        name for name, node in nodes.items() if node.op == "RandomState"
    }


def equinox_parameters(model):
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(model, eqx.is_array))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in leaves
    }


@pytest.mark.parametrize("make", [models.equinox_mlp, models.equinox_transformer])
def test_equinox(make):
    """An Equinox module's attributes are scopes, with its parameters and what it computes."""
    model, inputs = make()
    graph = build(model, inputs)
    nodes = nodes_of(graph)

    assert equinox_parameters(model) == parameters_of(nodes)
    for name in parameters_of(nodes):
        scope = name.rpartition("/")[0]
        assert {scope} == {
            user.rpartition("/")[0] for user, node in nodes.items() if name in node.input
        }
        assert graph.layers[scope].class_name in {"Linear", "LayerNorm"}
        assert graph.layers[scope].trainable


def test_equinox_mask():
    """The mask reaches both blocks."""
    nodes = nodes_of(build(*models.equinox_transformer()))
    users = {name.split("/")[1] for name, node in nodes.items() if "input/mask" in node.input}

    assert {"0", "1"} == users


@pytest.mark.parametrize(
    "wrap",
    [jax.jit, eqx.filter_jit, lambda f: f, jax.checkpoint],
    ids=["jit", "filter", "", "remat"],
)
def test_function_of_a_module(wrap):
    """A function that takes a module: its scopes are below the argument's name, within jit too."""
    model, x = models.equinox_mlp()
    if wrap is jax.jit or wrap is jax.checkpoint:
        model = eqx.nn.Linear(4, 2, key=jax.random.key(0))
    graph = build(wrap(lambda net, x: net(x).sum()), (model, x))
    nodes = nodes_of(graph)

    assert {f"net/{name}" for name in equinox_parameters(model)} == set(parameters_of(nodes))
    for name in parameters_of(nodes):
        scope = name.rpartition("/")[0]
        assert {scope} == {
            user.rpartition("/")[0] for user, node in nodes.items() if name in node.input
        }


def test_module_beside_another_of_its_structure():
    """A function that maps over a model and a tree that is like it can be traced all the same."""

    def step(model, moments, x):
        gradients = eqx.filter_grad(lambda model: model(x).sum())(model)
        return jax.tree.map(lambda a, b: a + b, gradients, moments[0])

    model = eqx.nn.Linear(4, 2, key=jax.random.key(0))
    nodes = nodes_of(build(step, (model, (model,), jnp.ones(4))))

    assert {"output/weight", "output/bias"} <= set(nodes)


def test_static_fields_are_not_touched():
    """A module in a static field is not copied when the model is, and keeps its class."""

    class Holder(eqx.Module):
        held: eqx.nn.Identity = eqx.field(static=True)
        inner: eqx.nn.Linear

        def __call__(self, x):
            return self.held(self.inner(x))

    model = Holder(eqx.nn.Identity(), eqx.nn.Linear(4, 2, key=jax.random.key(0)))
    build(model, jnp.ones(4))

    assert type(model.held) is eqx.nn.Identity
    assert type(model.inner) is eqx.nn.Linear


def test_nnx_is_left_as_it_was():
    """Tracing draws no random number, changes no class and no value of an NNX model."""
    model, x = models.nnx_mlp()
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]
    count = model.dropout.rngs.count[...]
    build(model, x)
    after = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]

    assert count == model.dropout.rngs.count[...]
    assert type(model) is models.Perceptron
    assert type(model.first) is nnx.Linear
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old, new)


def test_nothing_is_computed():
    """Shapes are enough, for parameters and for inputs; a callback in the model never runs."""
    ran = []

    def model(params, x):
        jax.debug.callback(ran.append, x)
        return params["w"] * x

    struct = jax.ShapeDtypeStruct((3,), jnp.bfloat16)
    nodes = nodes_of(build(model, ({"w": struct}, struct)))
    jax.effects_barrier()

    assert [] == ran
    assert [(3,)] == shapes_of(nodes["output/0"])


@pytest.mark.parametrize("make", [models.linen_transformer, models.equinox_transformer])
def test_large_models_fold(make):
    """A hundred blocks leave tens of boxes at the top, with each block a scope of its own."""
    model, inputs = make(100)
    nodes = nodes_of(build(model, inputs))
    tops = {name.split("/")[0] for name in nodes}

    assert len(tops) <= 40
    blocks = {tuple(name.split("/")[:2]) for name in nodes if not name.startswith(("in", "out"))}
    assert len(blocks) >= 100


def test_same_graph_each_time():
    """Two builds of one model are equal."""
    model, inputs = models.equinox_transformer()

    assert build(model, inputs).to_graph_def() == build(model, inputs).to_graph_def()


def test_no_callable():
    """What cannot be called is refused by its type."""
    with pytest.raises(ArgumentTypeError, match=r"graph of dict: expected a function"):
        build({"params": 1})


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (models.linen_transformer, None),
        (models.linen_transformer, {"y": np.ones(3)}),
        (models.nnx_mlp, np.ones((2, 5))),
        (models.equinox_mlp, (np.ones(4), np.ones(4), np.ones(4))),
        (models.mlp, np.ones(3)),
    ],
)
def test_inputs_that_do_not_fit(make, inputs):
    """The error names the model, what it was traced with, and what to pass."""
    model, _ = make()
    with pytest.raises(
        ArgumentValueError, match=r"expected inputs.*got \(.*\): (.|\n)*Pass its arguments"
    ):
        build(model, inputs)


def test_values_that_decide():
    """A Python branch on a traced value cannot be traced: JAX's reason is in the error."""
    with pytest.raises(ArgumentValueError, match=r"float32\[\](.|\n)*traced"):
        build(lambda x: x if x > 0 else -x, np.float32(1))
