"""The outputs of the layers in a function of JAX."""

from __future__ import annotations

from typing import Any

import jax

from eventwriter.graphs.unique_names import UniqueNames
from eventwriter.integrations.jax._modules import module_path, program_of


def layer_outputs(function: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Return the last value that each layer in a function of JAX computes, by the layer's path.

    The function is traced. Then its program runs equation by equation. A layer that is called
    again after another layer gets a further name with "_1", "_2" and so on.

    Args:
        function: A function, or a module of Flax or Equinox.
        arguments: The positional arguments of the function.
    """
    program = program_of(function, arguments, {})
    traced = jax.make_jaxpr(program)([leaf.struct for leaf in program.leaves])
    jaxpr, constants = traced.jaxpr, traced.consts
    while len(jaxpr.eqns) == 1 and "jaxpr" in jaxpr.eqns[0].params and not constants:
        inner = jaxpr.eqns[0].params["jaxpr"]  # the whole function is jitted
        jaxpr, constants = inner.jaxpr, inner.consts
    values = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= zip(jaxpr.invars, (leaf.value for leaf in program.leaves), strict=True)
    outputs: dict[str, Any] = {}
    unique = UniqueNames()
    names: dict[str, str] = {}  # the layers that are being called now, by their paths
    for equation in jaxpr.eqns:
        bound = equation.primitive.get_bind_params(equation.params)
        # JAX before 0.10 returns (functions, parameters), later versions return the parameters.
        functions, parameters = bound if isinstance(bound, tuple) else ((), bound)
        taken = [value.val if hasattr(value, "val") else values[value] for value in equation.invars]
        results = equation.primitive.bind(*functions, *taken, **parameters)
        results = results if equation.primitive.multiple_results else [results]
        values |= zip(equation.outvars, results, strict=True)
        paths = _scopes(equation)
        names = {path: name for path, name in names.items() if path in paths}
        for path in paths:
            if path not in names:
                names[path] = unique.claim(path)
            outputs[names[path]] = results[-1]
    return outputs


def _scopes(equation: Any) -> list[str]:
    """Return the paths of the layers that contain an equation, the outermost first."""
    paths: list[str] = []
    for scope in equation.source_info.name_stack.stack:
        name = scope.name
        if type(scope).__name__ != "Scope" or name.startswith("eqx.nn."):
            continue
        module = module_path(name)
        outer = paths[-1:] if module is None else []
        path = "/".join([*outer, *(module or [name])]) if module != () else ""
        if path and path not in paths:
            paths.append(path)
    return paths
