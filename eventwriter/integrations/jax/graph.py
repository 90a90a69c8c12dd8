"""Graphs of JAX functions, and of Flax and Equinox modules, from their jaxprs.

    in JAX                                     in the graph
    named_scope, a module's call               a scope
    jit, custom_jvp, custom_vjp, checkpoint    a scope of the function's name, its inside in place
    scan, while                                a scope with a node for each carried value, the body,
                                               and a node that gives the results
    cond, switch                               a scope with scopes branch_0 (False), branch_1, ...
                                               and a node that gives the results
    any other primitive                        a node of its name
    literals, arrays of a closure              constants, with their value up to 16 elements

Nothing is computed: JAX traces the model with shapes and dtypes alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.attributes import one_for_all
from eventwriter.graphs.builder import GraphBuilder, Layer, Output
from eventwriter.graphs.call_arguments import call_arguments
from eventwriter.graphs.limits import MAX_BOXES, MAX_SHOWN_ELEMENTS
from eventwriter.graphs.unique_names import UniqueNames
from eventwriter.integrations.jax._jaxprs import (
    attributes,
    call_name,
    called_jaxpr,
    dtype,
    opened,
    shape,
    unwrapped,
    variables_taken,
)
from eventwriter.integrations.jax._modules import (
    PARAMETER_ARGUMENTS,
    Path,
    Program,
    module_path,
    program_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MIN_SERIES = 8
_SERIES = re.compile(r"(.*?)_?(\d+)")
# Equinox names the scopes of its layers by their classes. The paths of the layers say more.
_UNSHOWN_SCOPE = "eqx.nn."


def build_graph(model: Any, inputs: Any = None, *, strict: bool = True) -> GraphBuilder:  # noqa: ARG001
    """Return the graph of what `model` computes from `inputs`.

        build_graph(predict, (params, x))          # a function
        build_graph(nn.Dense(8), x)                # Flax linen; also (variables, x)
        build_graph(nnx.Linear(4, 8, rngs=rngs), x)
        build_graph(eqx.nn.Linear(4, 8, key=key), x[0])
        build_graph(lambda model, x: jax.vmap(model)(x), (model, x))

    The arrays in `inputs` are the inputs of the model, at any depth of lists, tuples, dicts and
    other pytrees. A `jax.ShapeDtypeStruct` can stand for an array. Other values are passed on, so
    that `{"x": x, "train": False}` calls `model(x=x, train=False)`. Random keys are arrays.

    Parameters are the arrays that a module holds: they are in the scope of the module. The arrays
    in an argument named params, parameters, variables or weights are parameters too. An array of a
    closure is a constant, so pass modules as arguments. A linen module needs no variables, because
    it is initialised with shapes alone. Its dropout draws from `make_rng`. Its collections other
    than params, such as `batch_stats`, may change.

    If the top level has more than 40 boxes, series of boxes are folded: `Block_0` to `Block_99`
    become `Block_0-99`. Use `jax.named_scope` to name what a function repeats.

    Args:
        model: A function, or a module of Flax linen, Flax NNX or Equinox. It is not changed.
        inputs: One array, a tuple of positional arguments, a dict of keyword arguments, or None for
            no arguments.
        strict: Not used: JAX has one way of tracing.

    Raises:
        ArgumentTypeError: `model` cannot be called.
        ArgumentValueError: JAX cannot trace `model` with these inputs.
    """
    where = f"graph of {type_name(model)}"
    if not callable(model):
        raise ArgumentTypeError(
            f"{where}: expected a function or a module of Flax or Equinox, got an object that "
            "cannot be called."
        )
    args, kwargs = call_arguments(inputs)
    try:
        program, jaxpr = _traced(model, args, kwargs)
    except Exception as error:
        raise ArgumentValueError(
            f"{where}: expected inputs that it can be traced with, got {_described(args, kwargs)}: "
            f"{error}. Pass its arguments: one array, a tuple of positional arguments, or a dict "
            "of keyword arguments."
        ) from error
    return _Translation(program, jaxpr).graph


def _traced(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Program, Any]:
    program = program_of(model, args, kwargs)
    structs = [leaf.struct for leaf in program.leaves]
    try:
        return program, jax.make_jaxpr(program)(structs)
    except Exception:
        if not program.modules:
            raise
        # Optimizers compare the structure of one module with that of another. Marks in one of them
        # make the two differ.
        program.marked = False
        return program, jax.make_jaxpr(program)(structs)


class _Place(NamedTuple):
    """The place of nodes in the graph.

    Attributes:
        scope: The scope of the nodes.
        module: The module that computes them.
        root: The scope that contains the scopes of modules. The scope of a module is found from
            here, wherever the module is called. The body of a loop is a root of its own, because it
            contains what it repeats.
        root_module: The module that `root` is part of.
    """

    scope: Path = ()
    module: Path = ()
    root: Path = ()
    root_module: Path = ()

    def within(self, name_stack: Any) -> _Place:
        """Return the place inside the scopes that JAX noted of an equation."""
        place = self
        for entry in name_stack.stack:
            # An entry may also be a transformation, such as vmap, which is no scope.
            name = getattr(entry, "name", "") if type(entry).__name__ == "Scope" else ""
            module = module_path(name)
            if module is not None:
                depth = len(self.root_module)
                below = module[depth:] if module[:depth] == self.root_module else module
                place = place._replace(scope=place.root + below, module=module)
            elif name and not name.startswith(_UNSHOWN_SCOPE):
                place = place._replace(scope=(*place.scope, name))
        return place

    def rooted(self, scope: Path) -> _Place:
        """Return the place inside a loop or a branch."""
        return _Place(scope, self.module, scope, self.module)


class _Constant(NamedTuple):
    """An array of a closure. It becomes a node when something takes it."""

    value: Any


class _Values:
    """The node of each variable of one jaxpr."""

    def __init__(self, translation: _Translation, jaxpr: Any, consts: Sequence[Any]) -> None:
        self._translation = translation
        self._nodes: dict[Any, Output | _Constant] = {
            var: _Constant(value) for var, value in zip(jaxpr.constvars, consts, strict=True)
        }

    def read(self, atoms: Iterable[Any], scope: Path) -> list[Output]:
        """Return the nodes of variables and literals. Constants become nodes in `scope`."""
        return [self._read(atom, scope) for atom in atoms]

    def _read(self, atom: Any, scope: Path) -> Output:
        if hasattr(atom, "val"):
            return self._translation.constant(atom.val, atom.aval, scope)
        node = self._nodes[atom]
        if isinstance(node, _Constant):
            node = self._nodes[atom] = self._translation.constant(node.value, atom.aval, scope)
        return node

    def write(self, variables: Sequence[Any], nodes: Sequence[Output]) -> None:
        self._nodes.update(zip(variables, nodes, strict=True))


class _Translation:
    """Translates a jaxpr into a graph, equation by equation."""

    def __init__(self, program: Program, closed: Any) -> None:
        self.graph = GraphBuilder()
        self._names = UniqueNames()
        self._modules = program.modules
        jaxpr = closed.jaxpr
        self._folds = _folds(_top_scopes(jaxpr) | {path[0] for path in program.modules if path})
        values = _Values(self, jaxpr, closed.consts)
        parameters = self._inputs(program, jaxpr, values)
        self._layers(parameters)
        self._equations(jaxpr, values, _Place())
        results = values.read(jaxpr.outvars, ())
        for path, result, atom in zip(program.outputs, results, jaxpr.outvars, strict=True):
            name = "/".join(path) or "0"
            self._node(("output",), name, "Output", [result], [atom.aval])

    def constant(self, value: Any, aval: Any, scope: Path) -> Output:
        """Add the node of a constant, with its value if the value is small."""
        attrs = {}
        numeric = aval.dtype == jax.numpy.bfloat16 or getattr(aval.dtype, "kind", "") in "biuf"
        if numeric and np.size(value) <= MAX_SHOWN_ELEMENTS:
            array = np.asarray(value)
            attrs["value"] = array if array.ndim else array.item()
        return self._node(scope, "const", "Const", [], [aval], attrs)

    def _inputs(self, program: Program, jaxpr: Any, values: _Values) -> list[Path]:
        """Add the nodes of all inputs of the program. Return the paths of its parameters."""
        taken = variables_taken(jaxpr)
        parameters = []
        for leaf, var in zip(program.leaves, jaxpr.invars, strict=True):
            if leaf.op == "RandomState" and var not in taken:
                continue
            path = leaf.path
            if leaf.op == "Placeholder" or path == ("make_rng",):
                path = ("input", "/".join(path))
            else:
                path = self._in_module(path)
                parameters.append(path)
            values.write([var], [self._node(path[:-1], path[-1], leaf.op, [], [var.aval])])
        return parameters

    def _in_module(self, path: Path) -> Path:
        """Return the path of a parameter inside its module, or `path` unchanged.

        A path of Flax linen has the name of an argument, perhaps a collection, and then the path of
        the module.
        """
        if path[0] not in PARAMETER_ARGUMENTS:
            return path
        tails = (path[k:] for k in (1, 2) if k < len(path))
        return next((tail for tail in tails if tail[:-1] in self._modules), path)

    def _layers(self, parameters: list[Path]) -> None:
        """Tell the graph which scopes are modules, the outer ones first."""
        trained = {path[:depth] for path in parameters for depth in range(len(path))}
        for path, module in sorted(self._modules.items(), key=lambda item: len(item[0])):
            layer = Layer(module.__name__, trainable=True if path in trained else None)
            if path:
                with self.graph.scope("/".join(self._folded(path)), layer=layer):
                    pass

    def _equations(self, jaxpr: Any, values: _Values, outside: _Place) -> None:
        places: dict[Any, _Place] = {}
        for equation in jaxpr.eqns:
            stack = equation.source_info.name_stack
            place = places.get(stack)
            if place is None:
                place = places[stack] = outside.within(stack)
            inputs = values.read(equation.invars, place.scope)
            flow = _FLOWS.get(equation.primitive.name)
            called = called_jaxpr(equation)
            if flow is not None:
                outputs = flow(self, equation, inputs, place)
            elif called is not None:
                name = call_name(equation, called)
                called = unwrapped(called, name)
                scope = self._claim(place.scope, name)
                outputs = self._inside(called, inputs, place._replace(scope=scope))
            else:
                outputs = self._operation(place.scope, equation, inputs)
            values.write(equation.outvars, outputs)

    def _inside(self, called: Any, inputs: Sequence[Output], place: _Place) -> list[Output]:
        """Add the nodes of a jaxpr that is called with `inputs`. Return its results."""
        jaxpr, consts = opened(called)
        values = _Values(self, jaxpr, consts)
        values.write(jaxpr.invars, inputs)
        self._equations(jaxpr, values, place)
        return values.read(jaxpr.outvars, place.scope)

    def _scan(self, equation: Any, inputs: list[Output], place: _Place) -> list[Output]:
        scope = self._claim(place.scope, "scan")
        params = equation.params
        carried = params["num_consts"] + params["num_carry"]
        taken = inputs[: params["num_consts"]]
        body = params["jaxpr"]
        for k, (value, var) in enumerate(zip(inputs, body.jaxpr.invars, strict=True)):
            if k >= carried:
                taken.append(self._node(scope, "element", "Element", [value], [var.aval]))
            elif k >= params["num_consts"]:
                taken.append(self._node(scope, "carry", "Carry", [value], [var.aval]))
        results = self._inside(body, taken, place.rooted(scope))
        return self._operation(scope, equation, results)

    def _while(self, equation: Any, inputs: list[Output], place: _Place) -> list[Output]:
        scope = self._claim(place.scope, "while")
        params = equation.params
        conditions, bodies = params["cond_nconsts"], params["body_nconsts"]
        carried = [
            self._node(scope, "carry", "Carry", [value], [atom.aval])
            for value, atom in zip(inputs[conditions + bodies :], equation.outvars, strict=True)
        ]
        inside = place.rooted(scope)
        results = []
        for name, consts in (
            ("cond", inputs[:conditions]),
            ("body", inputs[conditions : conditions + bodies]),
        ):
            part = inside.rooted((*scope, name))
            results += self._inside(params[f"{name}_jaxpr"], consts + carried, part)
        return self._operation(scope, equation, results)

    def _cond(self, equation: Any, inputs: list[Output], place: _Place) -> list[Output]:
        scope = self._claim(place.scope, "cond")
        which, *operands = inputs
        results = [which]
        for k, branch in enumerate(equation.params["branches"]):
            results += self._inside(branch, operands, place.rooted((*scope, f"branch_{k}")))
        return self._operation(scope, equation, results)

    def _operation(self, scope: Path, equation: Any, inputs: Sequence[Output]) -> list[Output]:
        """Add the node of one primitive. Return all of its outputs."""
        name = equation.primitive.name
        avals = [var.aval for var in equation.outvars]
        node = self._node(scope, name, name, inputs, avals, attributes(equation.params))
        return [node.output(k) for k in range(len(avals))]

    def _node(
        self,
        scope: Path,
        name: str,
        op: str,
        inputs: Sequence[Output],
        avals: Sequence[Any],
        attrs: dict[str, Any] | None = None,
    ) -> Output:
        name = self._names.claim("/".join((*self._folded(scope), name)))
        dtypes = [dtype(aval) for aval in avals]
        return self.graph.node(
            name,
            op,
            list(inputs),
            shapes=[shape(aval) for aval in avals],
            dtype=one_for_all(dtypes),
            attrs=attrs,
        )

    def _claim(self, scope: Path, name: str) -> Path:
        """Return a new scope for one call."""
        folded = "/".join((*self._folded(scope), name))
        return (*scope, name + self._names.claim(folded)[len(folded) :])

    def _folded(self, scope: Path) -> Path:
        return self._folds.get(scope[0], ()) + scope if scope else scope


_FLOWS = {"scan": _Translation._scan, "while": _Translation._while, "cond": _Translation._cond}


def _top_scopes(jaxpr: Any) -> set[str]:
    stacks = {equation.source_info.name_stack for equation in jaxpr.eqns}
    return {scope[0] for stack in stacks if (scope := _Place().within(stack).scope)}


def _folds(boxes: set[str]) -> dict[str, Path]:
    """Return the outer scopes that boxes of the top level are put into, if there are too many."""
    if len(boxes) <= MAX_BOXES:
        return {}
    series: dict[str, list[int]] = {}
    for box in boxes:
        if found := _SERIES.fullmatch(box):
            series.setdefault(found[1], []).append(int(found[2]))
    folds: dict[str, Path] = {}
    for box in boxes:
        found = _SERIES.fullmatch(box)
        members = series[found[1]] if found else []
        if found and len(members) >= _MIN_SERIES:
            folds[box] = (f"{found[1] or 'layers'}_{min(members)}-{max(members)}",)
    return folds


def _described(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Describe the arguments for an error: arrays by dtype and shape, other values by type."""

    def one(value: Any) -> str:
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            return f"{value.dtype}{list(value.shape)}"
        return type_name(value)

    parts = [one(arg) for arg in args] + [f"{name}={one(arg)}" for name, arg in kwargs.items()]
    return f"({', '.join(parts)})"
