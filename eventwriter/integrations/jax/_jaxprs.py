"""The facts about the equations of a jaxpr that a graph shows: names, calls, shapes, dtypes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# These primitives call their jaxpr with a part of each input.
_SHARDED = frozenset({"shard_map", "xla_pmap"})
_INTEGERS = (int, np.integer)


def called_jaxpr(equation: Any) -> Any:
    """Return the jaxpr that an equation calls once with its own inputs; None for no such call."""
    for param in equation.params.values():
        jaxpr = getattr(param, "jaxpr", param)
        if not hasattr(jaxpr, "eqns"):
            continue
        same = _shapes(jaxpr.invars) == _shapes(equation.invars)
        same = same and _shapes(jaxpr.outvars) == _shapes(equation.outvars)
        parts = equation.primitive.name in _SHARDED and len(jaxpr.invars) == len(equation.invars)
        if same or parts:
            return param
    return None


def opened(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """Return a jaxpr and the values of its constants. Only a closed jaxpr has any."""
    return (jaxpr.jaxpr, jaxpr.consts) if hasattr(jaxpr, "consts") else (jaxpr, ())


def call_name(equation: Any, called: Any) -> str:
    """Return the name of the function that an equation calls, or of its primitive."""
    name: Any = equation.params.get("name")
    if not isinstance(name, str):
        info = getattr(opened(called)[0], "debug_info", None)
        name = getattr(info, "func_name", None)
    return str(name if name and name.isidentifier() else equation.primitive.name)


def unwrapped(called: Any, name: str) -> Any:
    """Leave out a call that only makes a call of the same name, as in jax.nn.relu."""
    jaxpr, _ = opened(called)
    if len(jaxpr.eqns) != 1:
        return called
    only = jaxpr.eqns[0]
    inner = called_jaxpr(only)
    same = only.invars == jaxpr.invars and only.outvars == jaxpr.outvars
    if inner is None or not same or call_name(only, inner) != name:
        return called
    return unwrapped(inner, name)


def attributes(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a primitive that are data. What is not simple becomes text."""
    shown: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, (bool, int, float, str)):
            shown[name] = value
        elif isinstance(value, (tuple, list)) and all(
            isinstance(item, _INTEGERS) for item in value
        ):
            shown[name] = [int(item) for item in value]
        elif isinstance(value, np.dtype) or (isinstance(value, tuple) and not _has_jaxpr(value)):
            text = str(value)
            # An address, or a tuple of None alone, tells nothing.
            if " at 0x" not in text and text.strip("(None, )"):
                shown[name] = text
    return shown


def _has_jaxpr(value: tuple[Any, ...]) -> bool:
    return any(hasattr(getattr(item, "jaxpr", item), "eqns") for item in value)


def _shapes(atoms: Iterable[Any]) -> list[Any]:
    return [getattr(atom.aval, "shape", None) for atom in atoms]


def shape(aval: Any) -> tuple[int | None, ...] | None:
    """Return the shape of an abstract value, with None for a symbolic size."""
    shape = getattr(aval, "shape", None)
    if shape is None:
        return None
    # The sizes of an exported function may be symbols.
    return tuple(size if isinstance(size, int) else None for size in shape)


def dtype(aval: Any) -> str:
    """Return the name of a dtype: "key" for random keys, "opaque" for a value without numbers."""
    return _dtype_name(getattr(aval, "dtype", None))


@functools.lru_cache(maxsize=256)
def _dtype_name(dtype: Any) -> str:
    name = getattr(dtype, "name", "") or str(dtype)
    return name if name.isidentifier() else "key" if name.startswith("key<") else "opaque"


def variables_taken(jaxpr: Any) -> set[Any]:
    """Return the variables that an equation of the jaxpr takes or that the jaxpr returns."""
    atoms = [*jaxpr.outvars, *(atom for equation in jaxpr.eqns for atom in equation.invars)]
    return {atom for atom in atoms if not hasattr(atom, "val")}
