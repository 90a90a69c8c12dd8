"""Makes a function of arrays alone, which JAX can trace, from a module or a function.

While JAX traces such a function, each call of a module marks its equations with the path of the
module: `jax.named_scope` carries the mark, and `module_path` reads it. How calls are seen:

    Flax linen    `nn.intercept_methods` sees each call and the path of the module
    Flax NNX,     the modules in a copy of the model become instances of subclasses, which mark
    Equinox       and then call; the model itself is not touched

The subclasses keep the path when `jit`, `checkpoint`, `scan` or another transformation flattens a
module and puts it together again.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import numpy as np

from eventwriter.integrations._paths import path_parts

Path: TypeAlias = tuple[str, ...]

# Arguments with these names hold parameters. All other arguments are data.
PARAMETER_ARGUMENTS = frozenset({"parameters", "params", "variables", "weights"})

_MARK = "\0"
# The attribute of a copy that holds its mark. Flax NNX does not count a string as state.
_ATTRIBUTE = "_eventwriter_mark"


@dataclass(frozen=True)
class Leaf:
    """One array that a program takes.

    Attributes:
        path: The name of the argument, then attributes, keys and indices. The model itself has no
            name.
        struct: The shape and dtype, as a `jax.ShapeDtypeStruct`.
        op: "Placeholder" for data, "Parameter", or "RandomState" for random keys and counts.
        value: The array, or its struct if only that was given.
    """

    path: Path
    struct: Any
    op: str
    value: Any


@dataclass(repr=False)  # JAX makes the repr of what it traces: of a model, it can take seconds
class Program:
    """A function of a list of arrays.

    Attributes:
        leaves: A description of each array, in order.
        modules: The classes of the modules that can be called, by path. Complete after tracing.
        outputs: The paths of the arrays that the program returns. Known after tracing.
        marked: Whether modules that hold their parameters mark their equations.
    """

    leaves: list[Leaf]
    _call: Callable[[dict[str, Any]], Any]
    _parts: dict[str, _Part]
    modules: dict[Path, type] = field(default_factory=dict)
    outputs: list[Path] = field(default_factory=list)
    marked: bool = True

    def __call__(self, arrays: list[Any]) -> list[Any]:
        """Return the arrays in the result of the model."""
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

    @contextlib.contextmanager
    def _linen_marks(self) -> Iterator[None]:
        """Mark the calls of linen's modules, instead of the scopes that linen names itself."""
        linen: Any = sys.modules.get("flax.linen")
        if linen is None:
            yield
            return

        def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            module = context.module
            if module.scope is None:
                return call(*args, **kwargs)
            self.modules.setdefault(module.path, type(module))
            with jax.named_scope(_mark_of(module.path)):
                return call(*args, **kwargs)

        with linen.intercept_methods(intercept), linen.override_named_call(False):
            yield

    def _find_modules(self, copy: Any, original: Any, path: Path, seen: set[int]) -> None:
        """Make the modules in `copy` mark their equations with their paths.

        A part that does not belong to the pytree was not copied. It is not touched.
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
                # A class whose layout cannot be extended stays as it is. Then the module that
                # contains it marks the equations.
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


# A function that puts new arrays into a value.
_Rebuild: TypeAlias = Callable[[list[Any]], Any]


@dataclass(frozen=True)
class _Part:
    """An argument of a program: its number of arrays, and how to rebuild it from new ones."""

    original: Any
    arrays: int
    rebuild: _Rebuild


def program_of(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """Return the program that computes `model` from the arrays in these arguments.

    Raises:
        TypeError: The arguments do not fit the signature of `model`.
    """
    if is_instance(model, "flax.linen"):
        return _linen_program(model, args, kwargs)
    if holds_parameters(model):
        named, call = _named(model, args, kwargs)
        return _program({"": model, **named}, lambda values: call(values.pop(""), values))
    named, call = _named(model, args, kwargs)
    return _program(named, lambda values: call(model, values))


def module_path(scope_name: str) -> Path | None:
    """Return the path that a named scope marks; None if it is an ordinary scope."""
    if not scope_name.startswith(_MARK):
        return None
    return tuple(scope_name.split(_MARK)[1:-1])


def holds_parameters(value: Any) -> bool:
    """Return whether `value` is a module that holds its parameters: of Flax NNX or of Equinox."""
    return is_instance(value, "flax.nnx") or is_instance(value, "equinox")


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
        # Flax makes random numbers of any name from "params" if there is no key of that name.
        rngs = {"params": values.pop("make_rng")}
        method = functools.partial(module.apply, variables, rngs=rngs, mutable=mutable)
        returned = call(method, values)
        return returned[0] if mutable else returned

    return _program({"variables": variables, "make_rng": key, **named}, apply)


def _named(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], Callable[[Any, dict[str, Any]], Any]]:
    """Return the arguments by name, and a function that calls a function with such arguments."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions that are written in C have no signature
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
    """Return the arrays in `value`, and a function that rebuilds it from other arrays.

    Everything else in it stays as it is, also the numbers of Python.
    """
    if not is_instance(value, "flax.nnx"):
        return _split_tree(value)
    nnx = sys.modules["flax.nnx"]
    # In a pytree, a module that is shared would be there twice.
    definition, random, state = nnx.split(value, nnx.RngState, ...)
    found, rebuild = _split_tree((random, state))
    leaves = []
    for leaf in found:
        which, *path = leaf.path
        # "value" is the attribute of a Variable that holds its array.
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
    """Return a subclass whose calls mark their equations.

    JAX keeps every class of modules for ever, so the cache may keep the subclasses for ever too.
    """

    def marked_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with jax.named_scope(vars(self)[_ATTRIBUTE]):
            return module_class.__call__(self, *args, **kwargs)

    members = {"__call__": marked_call, "__module__": module_class.__module__}
    if _is_subclass(module_class, "flax.nnx", "Module"):
        return type(module_class)(module_class.__name__, (module_class,), members)
    # The metaclass of Equinox would make a dataclass, which takes a millisecond and has no place
    # for the mark.
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


def is_instance(value: Any, module: str, name: str = "Module") -> bool:
    """Return whether a value is of the class `name` of a module. No module is imported for it."""
    return _is_subclass(type(value), module, name)
