"""Modules of Flax and Equinox, and functions, as functions of arrays alone that JAX can trace.

While such a function is traced, each call of a module marks what it computes with the module's
path: `jax.named_scope` carries the mark, and `module_path` reads it.

    Flax linen    `nn.intercept_methods` sees each call and the module's path
    Flax NNX,     a copy of the model, whose modules become instances of subclasses that mark and
    Equinox       then call; the model itself is not touched

The subclasses keep the path through `jit`, `checkpoint`, `scan` and whatever else flattens a module
and puts it together again.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import numpy as np

from eventwriter.integrations._paths import path_parts

Path: TypeAlias = tuple[str, ...]

# Arguments of these names hold what is trained; what else is passed is data.
PARAMETER_ARGUMENTS = frozenset({"parameters", "params", "variables", "weights"})

_MARK = "\0"
# The attribute of a copy that holds its mark. Flax NNX takes a string as no part of the state.
_ATTRIBUTE = "_eventwriter_mark"


@dataclass(frozen=True)
class Leaf:
    """One array that a program takes.

    Attributes:
        path: The argument's name (none for the model itself), then attributes, keys and indices.
        struct: Its shape and dtype, as a `jax.ShapeDtypeStruct`.
        op: "Placeholder" for data, "Parameter", or "RandomState" for a model's keys and counts.
        value: The array itself, or its struct where only that was given.
    """

    path: Path
    struct: Any
    op: str
    value: Any


@dataclass(repr=False)  # JAX names what it traces, and a model's text can take seconds.
class Program:
    """A function of a list of arrays.

    Attributes:
        leaves: What the arrays are, in order.
        modules: Path -> class of the modules that can be called; complete after tracing.
        outputs: Paths of the arrays that it returns; known after tracing.
        marked: Whether modules that hold their parameters mark what they compute.
    """

    leaves: list[Leaf]
    _call: Callable[[dict[str, Any]], Any]
    _parts: dict[str, _Part]
    modules: dict[Path, type] = field(default_factory=dict)
    outputs: list[Path] = field(default_factory=list)
    marked: bool = True

    def __call__(self, arrays: list[Any]) -> list[Any]:
        """The arrays among what the model returns."""
        values = {}
        rest = arrays
        seen: set[int] = set()
        for name, part in self._parts.items():
            values[name] = part.rebuild(rest[: part.arrays])
            rest = rest[part.arrays :]
            if self.marked:
                self._find_modules(values[name], part.original, (name,) if name else (), seen)
        with self._linen_marks():
            returned = self._call(values)
        leaves, _ = jax.tree_util.tree_flatten_with_path(returned)
        found = {path_parts(keys): leaf for keys, leaf in leaves if _is_array(leaf)}
        self.outputs = list(found)
        return list(found.values())

    def _linen_marks(self) -> contextlib.AbstractContextManager[Any]:
        linen: Any = sys.modules.get("flax.linen")
        if linen is None:
            return contextlib.nullcontext()

        def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            module = context.module
            if module.scope is None:
                return call(*args, **kwargs)
            self.modules.setdefault(module.path, type(module))
            with jax.named_scope(_mark_of(module.path)):
                return call(*args, **kwargs)

        marks: contextlib.AbstractContextManager[Any] = linen.intercept_methods(intercept)
        return marks

    def _find_modules(self, copy: Any, original: Any, path: Path, seen: set[int]) -> None:
        """Has the modules in `copy` mark what they compute with their paths.

        What is not part of the pytree was not copied, and is not touched.
        """
        if copy is original:
            return
        if holds_parameters(copy):
            if id(copy) in seen:
                return
            seen.add(id(copy))
            children, originals = dict(vars(copy)), vars(original)
            if callable(copy):
                kind: Any = type(original)
                self.modules.setdefault(path, kind)
                # A class whose layout cannot be extended stays: what holds it marks in its place.
                with contextlib.suppress(TypeError):
                    object.__setattr__(copy, "__class__", _marking(kind))
                    vars(copy)[_ATTRIBUTE] = _mark_of(path)
        elif isinstance(copy, (list, tuple)):
            children, originals = dict(enumerate(copy)), dict(enumerate(original))
        elif isinstance(copy, dict):
            children, originals = copy, original
        else:
            return
        for name, child in children.items():
            self._find_modules(child, originals.get(name, child), (*path, str(name)), seen)


# From arrays to the value that held such arrays.
_Rebuild: TypeAlias = Callable[[list[Any]], Any]


@dataclass(frozen=True)
class _Part:
    """An argument of a program, and how to have it back from `arrays` arrays."""

    original: Any
    arrays: int
    rebuild: _Rebuild


def program_of(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """What `model` computes from these arguments, whose arrays are taken as shapes and dtypes.

    Raises:
        TypeError: The arguments do not fit the signature of `model`.
    """
    if _is_instance(model, "flax.linen", "Module"):
        return _linen_program(model, args, kwargs)
    if holds_parameters(model):
        named, call = _named(model, args, kwargs)
        return _program({"": model, **named}, lambda values: call(values.pop(""), values))
    named, call = _named(model, args, kwargs)
    return _program(named, lambda values: call(model, values))


def module_path(scope_name: str) -> Path | None:
    """The path that a named scope marks, or None if it is an ordinary one."""
    if not scope_name.startswith(_MARK):
        return None
    return tuple(scope_name.split(_MARK)[1:-1])


def holds_parameters(value: Any) -> bool:
    """Whether it is a module that holds its own parameters: Flax NNX's or Equinox's."""
    return _is_instance(value, "flax.nnx", "Module") or _is_instance(value, "equinox", "Module")


def _linen_program(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    key = jax.eval_shape(lambda: jax.random.key(0))
    if module.scope is not None:
        module, variables = module.unbind()
    elif args and isinstance(args[0], Mapping) and "params" in args[0]:
        variables, args = args[0], args[1:]
    else:
        found, rebuild = _split((args, kwargs))

        def init(key: Any, arrays: list[Any]) -> Any:
            args, kwargs = rebuild(arrays)
            return module.init(key, *args, **kwargs)

        variables = jax.eval_shape(init, key, [leaf.struct for leaf in found])
    mutable = [collection for collection in variables if collection != "params"]
    named, call = _named(module, args, kwargs)

    def apply(values: dict[str, Any]) -> Any:
        variables = values.pop("variables")
        # Random numbers of any name are made from "params" if their name was not given.
        rngs = {"params": values.pop("make_rng")}
        method = functools.partial(module.apply, variables, rngs=rngs, mutable=mutable)
        returned = call(method, values)
        return returned[0] if mutable else returned

    return _program({"variables": variables, "make_rng": key, **named}, apply)


def _named(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], Callable[[Any, dict[str, Any]], Any]]:
    """The arguments by name, and how to call something with such arguments."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # Some written in C have none.
        known = []
    else:
        signature.bind(*args, **kwargs)
        known = [
            name
            for name, parameter in signature.parameters.items()
            if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
        ]
    positional = known[: len(args)] + [f"args_{k}" for k in range(len(known), len(args))]

    def call(function: Any, values: dict[str, Any]) -> Any:
        return function(
            *(values[name] for name in positional), **{name: values[name] for name in kwargs}
        )

    return dict(zip(positional, args, strict=True)) | kwargs, call


def _program(arguments: dict[str, Any], call: Callable[[dict[str, Any]], Any]) -> Program:
    leaves = []
    parts = {}
    for name, value in arguments.items():
        found, rebuild = _split(value)
        parts[name] = _Part(value, len(found), rebuild)
        kept = holds_parameters(value) or name in PARAMETER_ARGUMENTS
        for leaf in found:
            path = ((name,) if name else ()) + leaf.path
            op = "RandomState" if name == "make_rng" else "Parameter" if kept else leaf.op
            op = leaf.op if leaf.op == "RandomState" else op
            leaves.append(Leaf(path, leaf.struct, op, leaf.value))
    return Program(leaves, call, parts)


def _split(value: Any) -> tuple[list[Leaf], _Rebuild]:
    """The arrays in `value`, and how to build it from others.

    Everything else in it, Python's numbers included, stays as it is.
    """
    if not _is_instance(value, "flax.nnx", "Module"):
        return _split_tree(value)
    nnx = sys.modules["flax.nnx"]
    # Taken as a pytree, a module that is shared would be there twice.
    definition, random, state = nnx.split(value, nnx.RngState, ...)
    found, rebuild = _split_tree((random, state))
    leaves = []
    for leaf in found:
        which, *path = leaf.path
        # The last is the attribute of a Variable that holds its array.
        shown = tuple(path[:-1] if path[-1] == "value" else path)
        op = "Parameter" if which == "1" else "RandomState"
        leaves.append(Leaf(shown, leaf.struct, op, leaf.value))
    return leaves, lambda arrays: nnx.merge(definition, *rebuild(arrays))


def _split_tree(tree: Any) -> tuple[list[Leaf], _Rebuild]:
    leaves, definition = jax.tree_util.tree_flatten_with_path(tree)
    values = [value for _, value in leaves]
    arrays = [k for k, value in enumerate(values) if _is_array(value)]

    def rebuild(new: list[Any]) -> Any:
        rebuilt = list(values)
        for k, array in zip(arrays, new, strict=True):
            rebuilt[k] = array
        return jax.tree_util.tree_unflatten(definition, rebuilt)

    return [
        Leaf(path_parts(leaves[k][0]), _struct(values[k]), "Placeholder", values[k]) for k in arrays
    ], rebuild


def _is_array(value: Any) -> bool:
    return isinstance(value, (jax.Array, np.ndarray, np.generic, jax.ShapeDtypeStruct))


def _struct(array: Any) -> Any:
    return jax.ShapeDtypeStruct(
        array.shape, jax.dtypes.canonicalize_dtype(array.dtype, allow_extended_dtype=True)
    )


def _mark_of(path: Path) -> str:
    return _MARK + "".join(f"{part}{_MARK}" for part in path)


@functools.cache
def _marking(module_class: Any) -> Any:
    """A subclass whose calls mark what they compute.

    JAX keeps every class of modules for ever, so these are kept as well.
    """

    def marked_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with jax.named_scope(vars(self)[_ATTRIBUTE]):
            return module_class.__call__(self, *args, **kwargs)

    members = {"__call__": marked_call, "__module__": module_class.__module__}
    if _is_subclass(module_class, "flax.nnx", "Module"):
        return type(module_class)(module_class.__name__, (module_class,), members)
    # Equinox's metaclass would make a dataclass of it, in a millisecond, that forgets the mark.
    marking: Any = type.__new__(type(module_class), module_class.__name__, (module_class,), members)

    def flatten(module: Any) -> tuple[list[Any], Any]:
        plain = object.__new__(module_class)
        vars(plain).update(vars(module))
        mark = vars(plain).pop(_ATTRIBUTE)
        children, definition = jax.tree_util.tree_flatten(plain, lambda part: part is not plain)
        return children, (definition, mark)

    def unflatten(auxiliary: Any, children: Any) -> Any:
        definition, mark = auxiliary
        module = jax.tree_util.tree_unflatten(definition, children)
        object.__setattr__(module, "__class__", marking)
        vars(module)[_ATTRIBUTE] = mark
        return module

    jax.tree_util.register_pytree_node(marking, flatten, unflatten)
    return marking


def _is_subclass(kind: type, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and issubclass(kind, getattr(loaded, name))


def _is_instance(value: Any, module: str, name: str) -> bool:
    """Whether `value` is of a class of a library that its maker has loaded."""
    return _is_subclass(type(value), module, name)
