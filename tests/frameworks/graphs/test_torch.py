"""Graphs of torch models: nodes, scopes and edges are what the model is. Needs torch."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import logging
import random
import re
import sys
import threading
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from eventwriter._proto.tensor_pb2 import DataType
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.graphs import GraphBuilder, Layer
from eventwriter.integrations.torch.graph import build_graph as build
from eventwriter.integrations.torch.profile import profile_graph as profile
from tests.frameworks.graphs import models_torch as models

if TYPE_CHECKING:
    from eventwriter._proto.graph_pb2 import NodeDef

MODELS = [*models.EXPORTED, *models.NOT_EXPORTED]
# Modules whose call is one operation of torch's.
OPERATIONS = {
    "BatchNorm1d": "batch_norm", "BatchNorm2d": "batch_norm", "Conv1d": "conv1d",
    "Conv2d": "conv2d", "Dropout": "dropout", "Embedding": "embedding", "GRU": "gru",
    "LSTM": "lstm", "LayerNorm": "layer_norm", "Linear": "linear", "Tanh": "tanh",
}  # fmt: skip
DTYPES = {torch.float32: DataType.DT_FLOAT, torch.int64: DataType.DT_INT64}


def read(model: Any, inputs: Any, **options: Any) -> GraphBuilder:
    """The graph, whether or not there is a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EventWriterWarning)
        return build(model, inputs, **options)


def nodes_of(graph: GraphBuilder) -> dict[str, NodeDef]:
    return {node.name: node for node in graph.to_graph_def().node}


def shapes_of(node: NodeDef) -> list[tuple[int, ...]]:
    shapes = node.attr["_output_shapes"].list.shape
    return [tuple(dim.size for dim in shape.dim) for shape in shapes]


def sources_of(node: NodeDef) -> list[str]:
    return [name.removeprefix("^").partition(":")[0] for name in node.input]


def call(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def tensors_in(tree: Any, name: str) -> dict[str, torch.Tensor]:
    """The tensors of nested containers by their keys, joined."""
    if isinstance(tree, torch.Tensor):
        return {name: tree}
    pairs = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree if isinstance(tree, (list, tuple)) else ())
    )
    found = {}
    for key, value in pairs:
        found |= tensors_in(value, f"{name}_{key}".removeprefix("_"))
    return found


def calls_of(model: nn.Module, inputs: Any) -> Counter[tuple[str, str, tuple[int, ...]]]:
    """What each module of `OPERATIONS` gave in a real forward pass: scope, operation, shape."""
    calls: Counter[tuple[str, str, tuple[int, ...]]] = Counter()
    model = copy.deepcopy(model)
    for name, module in model.named_modules():
        operation = OPERATIONS.get(type(module).__name__)
        if operation:

            def note(_module, _args, result, name=name, operation=operation):
                first = result[0] if isinstance(result, tuple) else result
                calls[name.replace(".", "/"), operation, tuple(first.shape)] += 1

            module.register_forward_hook(note)
    call(model, inputs)
    return calls


def reached(nodes: dict[str, NodeDef], start: set[str], *, forward: bool) -> set[str]:
    edges: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for source in sources_of(node):
            edges[source if forward else name].append(name if forward else source)
    found, waiting = set(start), list(start)
    while waiting:
        new = set(edges[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


class Numpy(nn.Module):
    """Goes through NumPy, where only strict export can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() * 2) + self.fc(x)


@torch.fx.wrap
def doubled_by_numpy(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(x.detach().numpy() * 2)


class Wrapped(nn.Module):
    """Goes through NumPy in a function that torch.fx is told to leave alone."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, mask: Any = None, *, double: bool = True) -> Any:
        x = x * self.scale
        left, right = (doubled_by_numpy(x) if double and mask is None else x).split(2, -1)
        return {"y": self.fc(x), "parts": [left, right.reshape(x.shape[0], -1)]}


WAYS = {
    "torch.export": models.resnet,
    "torch.export, strict": lambda: (Numpy(), torch.ones(3, 4)),
    "torch.fx": lambda: (Wrapped(), torch.ones(3, 4)),
    "one forward pass": models.undecided,
}


@pytest.mark.parametrize("example", MODELS)
def test_parameters_and_buffers(example):
    """Each parameter and buffer is one node in its module's scope, with what it is."""
    model, inputs = example()
    nodes = nodes_of(read(model, inputs))

    for op, named in (("Parameter", model.named_parameters()), ("Buffer", model.named_buffers())):
        expected = {
            name.replace(".", "/"): ([tuple(value.shape)], DTYPES[value.dtype], value.requires_grad)
            for name, value in named
        }
        assert expected == {
            name: (shapes_of(node), node.attr["dtype"].type, node.attr["trainable"].b)
            for name, node in nodes.items()
            if node.op == op
        }
        assert {"/device:CPU:0"} >= {node.device for node in nodes.values()}


@pytest.mark.parametrize("example", MODELS)
def test_layers(example):
    """Each scope of a module has its class and whether it is trained."""
    model, inputs = example()
    modules = dict(model.named_modules())
    layers = read(model, inputs).layers

    assert layers
    for scope, layer in layers.items():
        module = modules[scope.replace("/", ".")]
        flags = [parameter.requires_grad for parameter in module.parameters()]
        assert type(module).__name__ == layer.class_name
        assert (any(flags) if flags else None) == layer.trainable
    with_parameters = {
        name.replace(".", "/") for name, m in modules.items() if list(m.parameters())
    }
    if example is models.shared:
        with_parameters = {name for name in with_parameters if not name.startswith("again")}
    assert with_parameters - {""} <= layers.keys()


@pytest.mark.parametrize("example", MODELS)
def test_operations(example):
    """Each call of a layer is its operation in the layer's scope, with the shape that it gives."""
    model, inputs = example()
    nodes = nodes_of(read(model, inputs))
    # Both branches of torch.cond are in the graph, as scopes, whichever the values take.
    branches = Counter({("cond/true", "linear", (2, 4)): 1})
    expected = branches if example is models.cond else calls_of(model, inputs)

    found = Counter(
        (name.rpartition("/")[0], node.op, shapes_of(node)[0])
        for name, node in nodes.items()
        if node.op in OPERATIONS.values()
    )
    # Attention calls its projections as functions, in its own scope.
    found = Counter({key: n for key, n in found.items() if not key[0].endswith("attn")})
    assert expected == found


@pytest.mark.parametrize("example", MODELS)
def test_operations_take_the_parameters_of_their_module(example):
    """A weight is taken by the operation of its module, and by those that share it."""
    model, inputs = example()
    graph = nodes_of(read(model, inputs))
    takers = {
        (source, node.op) for node in graph.values() for source in sources_of(node)
        if graph[source].op == "Parameter"
    }  # fmt: skip

    names = {id(value): name.replace(".", "/") for name, value in model.named_parameters()}
    unused = {"positive", "negative"}  # the branches of Undecided, of which one is taken
    for name, module in model.named_modules(remove_duplicate=False):
        operation = OPERATIONS.get(type(module).__name__)
        if operation and name not in unused:
            for _, parameter in module.named_parameters():
                assert (names[id(parameter)], operation) in takers


@pytest.mark.parametrize("example", MODELS)
def test_inputs_and_outputs(example):
    """Inputs and results are there by their names with shapes, and everything is between them."""
    model, inputs = example()
    given = inputs if isinstance(inputs, dict) else {}
    if not given:
        given = {next(iter(inspect.signature(model.forward).parameters)): inputs}
    nodes = nodes_of(read(model, inputs))
    results = tensors_in(call(copy.deepcopy(model), inputs), "")
    expected = {
        f"input/{n}": tuple(t.shape) for k, v in given.items() for n, t in tensors_in(v, k).items()
    }
    returned = {f"output/{name or 0}": tuple(tensor.shape) for name, tensor in results.items()}

    placeholders = {n: shapes_of(node)[0] for n, node in nodes.items() if node.op == "Placeholder"}
    outputs = {n: shapes_of(node)[0] for n, node in nodes.items() if node.op == "Output"}
    assert expected == placeholders
    assert returned == outputs
    assert outputs.keys() <= reached(nodes, set(placeholders), forward=True)
    # Torch takes no value from a causal mask: that it is one says all.
    used = {"input/tgt_mask"} | reached(nodes, set(outputs), forward=False)
    assert placeholders.keys() <= used


def test_shared_modules():
    """A module with two names that is called twice is one scope, and a tied weight one node."""
    nodes = nodes_of(build(*models.shared()))

    assert not [name for name in nodes if name.startswith("again")]
    assert {"block/0/linear", "block/0/linear_1", "block/1/tanh", "block/1/tanh_1"} <= nodes.keys()
    assert ["block/1/tanh_1", "embed/weight"] == sources_of(nodes["out/linear"])


def test_residual_block():
    """The edge around a block is there, and repeated blocks are equal scopes."""
    nodes = nodes_of(build(*models.resnet()))

    assert ["blocks/0/bn2/batch_norm", "stem/conv2d"] == sources_of(nodes["blocks/0/add"])
    first, second = (
        {name.removeprefix(f"blocks/{k}/") for name in nodes if name.startswith(f"blocks/{k}/")}
        for k in (0, 1)
    )
    assert first
    assert first == second


def test_branches():
    """torch.cond is a node that takes its condition and a scope for each branch."""
    nodes = nodes_of(build(*models.cond()))

    assert ["gt", "cond/true/relu", "cond/false/sub"] == sources_of(nodes["cond"])
    assert ["input/x", "fc/weight", "fc/bias"] == sources_of(nodes["cond/true/linear"])
    assert ["input/x"] == sources_of(nodes["cond/false/sub"])


def test_loops():
    """while_loop's condition and body are scopes that take what goes round and what is captured."""

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            with torch.no_grad():
                y = x * 2
            start = (torch.zeros((), dtype=torch.long), y)
            return torch._higher_order_ops.while_loop(
                lambda k, _: k < 3, lambda k, y: (k + 1, self.fc(y)), start
            )

    nodes = nodes_of(build(Loop(), torch.ones(2, 4)))

    assert ["zeros"] == sources_of(nodes["while_loop/cond/lt"])
    assert ["mul", "fc/weight", "fc/bias"] == sources_of(nodes["while_loop/body/linear"])
    assert [(), (2, 4)] == shapes_of(nodes["while_loop"])
    # no_grad leaves no trace: what is inside is an ordinary operation of the module.
    assert ["input/x"] == sources_of(nodes["mul"])


def test_writes_through_views():
    """A node that reads a tensor after a write through a view of it comes after the write."""

    class Write(nn.Module):
        def forward(self, x):
            table = torch.zeros(2, 3)
            table[0] = x
            table += 1
            table[:, 1] = 5
            return table * 2

    nodes = nodes_of(build(Write(), torch.ones(3)))

    assert "output/0" in reached(nodes, {"input/x"}, forward=True)
    last = [name for name, node in nodes.items() if node.op in ("copy_", "fill_")][-1]
    assert f"^{last}" in nodes["mul"].input


def test_several_outputs_have_numbers():
    """An output of a node is taken by its number, with its own shape and dtype."""

    class Two(nn.Module):
        def forward(self, x):
            values, indices = x.max(1)
            return values, indices

    nodes = nodes_of(build(Two(), torch.ones(2, 3)))

    assert [(2,), (2,)] == shapes_of(nodes["max"])
    assert [DataType.DT_FLOAT, DataType.DT_INT64] == list(nodes["max"].attr["dtype"].list.type)
    assert ["max"] == list(nodes["output/0"].input)
    assert ["max:1"] == list(nodes["output/1"].input)


def test_constants_show_small_values():
    """A constant shows its values if they are few, and its shape in any case."""

    class Constants(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.arange(17.0)

        def forward(self, x):
            return x * torch.tensor([1.0, 2.0]), x.sum() + self.table

    nodes = nodes_of(build(Constants(), torch.ones(2)))

    assert [1.0, 2.0] == list(nodes["constant"].attr["value"].tensor.float_val)
    assert "value" not in nodes["table"].attr
    assert [(17,)] == shapes_of(nodes["table"])


def test_dynamic_sizes():
    """Sizes that only the run knows are unknown, of data and where an exported program says so."""

    class Where(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(x), x.nonzero()

    batch = {"x": {0: torch.export.Dim("batch")}}
    program = torch.export.export(Where(), (torch.ones(4, 3),), dynamic_shapes=batch)
    graph = build(program)
    declared, plain = nodes_of(graph), nodes_of(build(Where(), torch.ones(4, 3)))

    assert [(-1, 3)] == shapes_of(declared["input/x"])
    assert [(-1, 2)] == shapes_of(declared["fc/linear"])
    assert Layer("Linear", None, True) == graph.layers["fc"]
    assert ["input/x", "fc/weight", "fc/bias"] == sources_of(declared["fc/linear"])
    assert [(4, 2)] == shapes_of(plain["fc/linear"])
    assert [(-1, 2)] == shapes_of(plain["nonzero"])


def test_activations():
    """A layer that has an activation says which."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
    model = nn.Sequential(layer, nn.RNN(8, 8, batch_first=True))
    layers = build(model, torch.ones(1, 2, 8)).layers

    assert ["gelu", "tanh"] == [layers["0"].activation, layers["1"].activation]


def test_compiled_models():
    """What torch.compile gave is drawn as the model itself, without compiling it."""
    model, inputs = models.mlp()

    assert (
        build(model, inputs).to_graph_def()
        == build(torch.compile(model, backend="eager"), inputs).to_graph_def()
    )


def test_many_modules_are_one_box():
    """A model with more modules than a glance can take is in one scope of its class."""
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(60)])
    graph = build(model, torch.ones(1, 2))

    tops = {name.partition("/")[0] for name in nodes_of(graph)}
    assert {"Sequential", "input", "output"} == tops
    assert Layer("Linear", None, True) == graph.layers["Sequential/59"]


def test_large_models_fold():
    """100 layers of a transformer are 100 equal scopes in one, below 1 KB a node."""
    model, inputs = models.deep_transformer()
    graph = build(model, inputs).to_graph_def()
    names = [node.name for node in graph.node]

    assert {"input", "layers", "output"} == {name.partition("/")[0] for name in names}
    blocks = [
        [name.partition(f"layers/{k}/")[2] for name in names if name.startswith(f"layers/{k}/")]
        for k in range(100)
    ]
    assert [blocks[0]] * 100 == blocks
    assert graph.ByteSize() < 1024 * len(names)


@pytest.mark.parametrize("way", WAYS)
def test_the_ways(way):
    """Each way gives scopes, parameters, shapes and edges; the warning says which and why."""
    model, inputs = WAYS[way]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        graph = build(model, inputs, strict=way == "torch.export, strict")
    nodes = nodes_of(graph)

    messages = [str(warning.message) for warning in caught]
    if way == "torch.export":
        assert not messages
    else:
        assert [EventWriterWarning] == [warning.category for warning in caught]
        name = f"{type(model).__module__}.{type(model).__qualname__}"
        assert messages[0].startswith(
            f"{name}: the graph is from {way}, because torch.export failed ("
        )
    parameters = {name.replace(".", "/") for name, _ in model.named_parameters()}
    assert parameters == {name for name, node in nodes.items() if node.op == "Parameter"}
    outputs = {name for name, node in nodes.items() if node.op == "Output"}
    assert outputs <= reached(nodes, {"input/x"}, forward=True)
    expected = tensors_in(call(copy.deepcopy(model), inputs), "")
    assert {f"output/{k or 0}": [tuple(v.shape)] for k, v in expected.items()} == {
        name: shapes_of(nodes[name]) for name in outputs
    }
    modules = dict(model.named_modules())
    assert {type(modules[k.replace("/", ".")]).__name__ for k in graph.layers} == {
        layer.class_name for layer in graph.layers.values()
    }


def test_forward_pass_takes_the_branches_of_the_values():
    """What no tracer can follow is drawn as it ran: the branch that was taken, module by module."""

    class Branch(Numpy):
        def __init__(self) -> None:
            super().__init__()
            self.other = nn.Linear(4, 4)
            self.script = torch.jit.script(nn.Sequential(nn.Linear(4, 4)))

        def forward(self, x):
            y = super().forward(x)
            y = self.fc(y) if float(y.detach().numpy().sum()) > 1e6 else self.other(y)
            y[:, 0] = 1
            return self.script(y)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = Branch()
    nodes = nodes_of(read(model, torch.ones(2, 4), strict=False))

    assert ["add", "other/weight", "other/bias"] == sources_of(nodes["other/linear"])
    assert ["other/linear"] == sources_of(nodes["setitem"])
    script = next(node for name, node in nodes.items() if name.startswith("script/Recursive"))
    assert ["setitem", "script/0/weight", "script/0/bias"] == sources_of(script)
    assert [script.name] == sources_of(nodes["output/0"])


def test_forward_pass_of_a_module_that_fails():
    """What comes after a part that failed, or that was copied, is in the module that calls it.

    Catches: everything that came later was in the scope of the part that failed.
    """

    class Retrying(Numpy):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Linear(9, 9)
            self.lock = threading.Lock()  # The part can be copied, the model cannot.

        def forward(self, x):
            with contextlib.suppress(RuntimeError):
                x = self.wide(x)
            y = super().forward(x)
            return torch.relu(copy.deepcopy(self.fc)(y) + float(y.detach().numpy().sum()))

    nodes = nodes_of(read(Retrying(), torch.ones(2, 4), strict=False))
    assert "relu" in nodes
    assert {"wide/weight", "wide/bias"} == {name for name in nodes if name.startswith("wide")}


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("saved", [False, True])
def test_forward_pass_of_torchscript_with_keywords(saved):
    """The tensors that a TorchScript module takes are its inputs, by position or by keyword."""

    class Script(nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return first - second

    class Outer(Numpy):
        def __init__(self) -> None:
            super().__init__()
            self.script = torch.jit.script(Script())
            if saved:
                content = io.BytesIO()
                torch.jit.save(self.script, content)
                self.script = torch.jit.load(io.BytesIO(content.getvalue()))

        def forward(self, x):
            y = super().forward(x)
            z = torch.relu(y) + float(y.detach().numpy().sum())
            return self.script(z, second=torch.tanh(y))

    nodes = nodes_of(read(Outer(), torch.ones(2, 4), strict=False))
    script = next(node for name, node in nodes.items() if name.startswith("script/Recursive"))
    assert ["add_1", "tanh"] == sources_of(script)


@pytest.mark.parametrize("compile_it", [False, True])
def test_forward_pass_of_compiled_parts(compile_it):
    """Functions and modules that torch.compile compiled are drawn as they are written.

    Catches: a model whose graph could not be read, because the compiler met the watched pass.
    """

    def scaled(x):
        return torch.tanh(x) * 2

    class Outer(Numpy):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
            self.scaled = torch.compile(scaled, backend="eager") if compile_it else scaled
            if compile_it:
                self.part.compile(backend="eager")

        def forward(self, x):
            y = super().forward(x)
            return self.scaled(self.part(y)) + float(y.detach().numpy().sum())

    model = Outer().eval()
    with torch.no_grad():
        model(torch.ones(2, 4))  # compiles
    nodes = nodes_of(read(model, torch.ones(2, 4), strict=False))

    assert {"part/0/linear", "part/1/relu", "tanh", "mul"} <= nodes.keys()


@pytest.mark.parametrize("way", WAYS)
def test_compiled_modules_run_as_before(way):
    """Reading a graph leaves nothing behind that a compiled module warns of.

    Catches: what torch keeps of a hook on the modules of all models, after it was removed.
    """
    compiled = torch.compile(nn.Linear(2, 2), backend="eager")
    model, inputs = WAYS[way]()
    read(model, inputs, strict=way == "torch.export, strict")

    assert (1, 2) == compiled(torch.ones(1, 2)).shape


@pytest.mark.parametrize(
    ("model", "used"),
    [(models.resnet()[0], "from torch.fx"), (models.undecided()[0], "the tree of modules")],
)
def test_without_inputs(model, used):
    """Without inputs there are modules and parameters, without shapes, and advice."""
    with pytest.warns(EventWriterWarning, match=rf"without inputs.*{used}.*Pass input_to_model"):
        graph = build(model)
    nodes = nodes_of(graph)

    leaves = {
        f"{name.replace('.', '/')}/{type(module).__name__}"
        for name, module in model.named_modules()
        if not list(module.children())
    }
    assert leaves <= nodes.keys()
    for name, parameter in model.named_parameters():
        assert [tuple(parameter.shape)] == shapes_of(nodes[name.replace(".", "/")])


INPUTS = [
    (torch.ones(2, 3), ["input/a"]),
    ((torch.ones(2, 3), torch.ones(3)), ["input/a", "input/b"]),
    ([torch.ones(2, 3), torch.ones(3)], ["input/a", "input/b"]),
    ({"b": torch.ones(3), "a": torch.ones(2, 3)}, ["input/a", "input/b"]),
    ({"p": torch.ones(2, 3), "q": [torch.ones(3), None, 2]}, ["input/a_p", "input/a_q_0"]),
    ((torch.ones(2, 3), None), ["input/a"]),
    ([[torch.ones(2, 3)]], ["input/a_0"]),
]


@pytest.mark.parametrize(("inputs", "expected"), INPUTS)
def test_forms_of_inputs(inputs, expected):
    """Tensors, tuples, lists, dicts, None and numbers are taken as the model takes them."""

    class Any2(nn.Module):
        def forward(self, a, b=None):
            total = 0
            for value in [*(a.values() if isinstance(a, dict) else [a]), b]:
                for item in value if isinstance(value, list) else [value]:
                    total = total if item is None else total + item
            return total

    nodes = nodes_of(build(Any2(), inputs))

    assert expected == sorted(name for name in nodes if name.startswith("input/"))


def test_a_tensor_given_twice():
    """Each argument has its own edges, even if both are one tensor."""

    class Sub(nn.Module):
        def forward(self, a, b):
            return a.relu() - b

    x = torch.ones(2)
    nodes = nodes_of(build(Sub(), (x, x)))

    assert ["input/a"] == sources_of(nodes["relu"])
    assert ["relu", "input/b"] == sources_of(nodes["sub"])


class Careless(nn.Module):
    """Changes whatever a forward pass can change, and may fail in the end."""

    def __init__(self, fails: bool, way: str) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.steps = 0
        self.history: list[int] = []
        self.last: Any = None
        self.fails = fails
        self.way = way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        self.history.append(self.steps)
        self.eval()
        self.register_forward_hook(lambda *_: None)
        self.norm.added = nn.Linear(4, 4)
        random.random()
        np.random.rand()
        x += 1
        x = self.drop(self.norm.train()(x)) + torch.rand(4)
        if self.way == "torch.fx":
            x = doubled_by_numpy(x)
        if self.way == "one forward pass":
            x = x + 1 if x.sum() > 0 else x - 1
        if self.fails:
            raise RuntimeError("out of luck")
        return x


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything of a model that can change, by value or identity."""
    state: dict[str, Any] = {}
    for name, module in model.named_modules():
        for key, value in module.__dict__.items():
            state[f"{name}.{key}"] = id(value) if callable(value) else copy.copy(value)
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        state[name] = (id(value), value.tolist(), value.requires_grad, id(value.grad))
    return state


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("way", ["torch.export", "torch.fx", "one forward pass"])
def test_the_model_is_left_as_it_was(way, fails):
    """Mode, hooks, modules, attributes, buffers, gradients, inputs, random states stay."""
    model = Careless(fails, way)
    x = torch.ones(3, 4)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    calls: list[int] = []
    handle = model.norm.register_forward_hook(lambda *_: calls.append(1))
    before, torch_state = state_of(model), torch.get_rng_state()
    python_state, numpy_state = random.getstate(), np.random.get_state()[1].tolist()

    if fails:
        with pytest.raises(ArgumentValueError, match="out of luck"):
            build(model, x)
    else:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            build(model, x, strict=False)
        assert [way] * (way != "torch.export") == [
            re.search("is from (.*?), because", str(warning.message))[1] for warning in caught
        ]

    assert before == state_of(model)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert python_state == random.getstate()
    assert numpy_state == np.random.get_state()[1].tolist()
    assert torch.equal(torch.ones(3, 4), x)
    # A hook can still be removed: its handle knows the very dict.
    handle.remove()
    assert not model.norm._forward_hooks


@pytest.mark.parametrize("example", [models.transformer, models.undecided])
def test_modes_of_the_caller_do_not_matter(example):
    """Inference mode, no_grad and eval give the operations too, not fused ones."""
    model, inputs = example()
    expected = read(model.eval(), inputs).to_graph_def()

    with torch.no_grad():
        assert expected == read(model, inputs).to_graph_def()
    with torch.inference_mode():
        assert expected == read(model, inputs).to_graph_def()
        assert torch.is_inference_mode_enabled()


def test_torch_is_quiet(capfd, monkeypatch):
    """What torch prints and logs of a failed try stays unsaid; other threads may go on."""
    model, inputs = models.undecided()
    logged = io.StringIO()
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            monkeypatch.setattr(handler, "stream", logged)

    def elsewhere() -> None:
        logger.warning("of another thread")
        print("of another thread", file=sys.stderr)

    class Loud(nn.Module):
        def forward(self, x):
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            return model(x)

    with pytest.warns(EventWriterWarning):
        build(Loud(), inputs)

    lines = [line.rpartition("] ")[2] for line in logged.getvalue().splitlines()]
    assert {"of another thread"} == set(lines)
    printed = capfd.readouterr()
    assert {"of another thread"} == set(printed.err.splitlines())
    assert "" == printed.out


@pytest.mark.parametrize(
    ("model", "inputs", "kind", "message"),
    [
        (
            object(),
            None,
            ArgumentTypeError,
            r"expected a torch.nn.Module or an ExportedProgram, got object",
        ),
        (models.mlp, None, ArgumentTypeError, r"expected a torch.nn.Module.*got function"),
        (
            models.resnet()[0],
            (torch.ones(1), torch.ones(1)),
            ArgumentTypeError,
            r"models_torch.ResNet: .*too many positional.*for forward\(x: .*: one tensor",
        ),
        (
            models.resnet()[0],
            {"images": torch.ones(1)},
            ArgumentTypeError,
            r"models_torch.ResNet: .*torch.export failed.*torch.fx failed.*one forward pass failed",
        ),
        (
            models.mlp()[0],
            np.ones((2, 8)),
            ArgumentTypeError,
            r"Sequential: .*torch.export failed \(.*one forward pass failed \(TypeError: .*Pass",
        ),
        (
            nn.Sequential(nn.LazyLinear(3)),
            torch.ones(2, 2),
            ArgumentValueError,
            r"Sequential: expected.*'0.weight', which has no shape yet.*call the model once",
        ),
    ],
)
def test_refuses(model, inputs, kind, message):
    """An error names the model's type, what was tried and why it failed, and what to pass."""
    with pytest.raises(kind, match=message):
        build(model, inputs)


@pytest.mark.parametrize("way", ["torch.export", "torch.fx", "one forward pass"])
def test_profile(way):
    """Every node of the graph that runs has its time, in order, and the memory that it gave."""
    model, inputs = WAYS[way]()
    expected = nodes_of(read(model, inputs, strict=False))
    before = state_of(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EventWriterWarning)
        graph, times = profile(model, inputs, strict=False)

    assert list(expected) == list(nodes_of(graph))
    still = {"Placeholder", "Parameter", "Buffer", "Output", "Const"}
    assert [name for name, node in expected.items() if node.op not in still] == [
        time.name for time in times
    ]
    assert all(time.start_us < time.end_us for time in times)
    assert sorted(time.start_us for time in times) == [time.start_us for time in times]
    memory = {time.name: time.bytes for time in times}
    if way == "torch.export":
        assert 2 * 8 * 8 * 8 * 4 == memory["stem/conv2d"]
        assert 0 == memory["blocks/0/relu/relu_"]
    assert before == state_of(model)


def test_profile_needs_inputs():
    """A profile without inputs is refused."""
    with pytest.raises(ArgumentValueError, match="a profile needs inputs"):
        profile(models.mlp()[0], None)
