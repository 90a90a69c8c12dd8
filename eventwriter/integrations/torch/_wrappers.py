"""Modules that wrap others: of torch.compile, DataParallel and DistributedDataParallel.

A wrapper puts a name before those of the module in it: `_orig_mod.weight`, `module.weight`. Tags
and files have the names of the module, so that a file of the one can be loaded into the other.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

if TYPE_CHECKING:
    from collections.abc import Iterator


def inside(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module in a wrapper, or in wrappers in each other; any other module itself."""
    # The class of compiled modules is not asked for: the import of torch's compiler takes seconds.
    name = "module" if isinstance(module, (DataParallel, DistributedDataParallel)) else "_orig_mod"
    wrapped = dict(module.named_children()).get(name)
    return module if wrapped is None else inside(wrapped)


@contextmanager
def unwrapped(model: torch.nn.Module) -> Iterator[None]:
    """Give a model its plain names within the block.

    The modules in wrappers, anywhere in the model, are put in the places of the wrappers.
    """
    places = [
        (module._modules, name, child)
        for module in model.modules()
        for name, child in module._modules.items()
        if child is not None and inside(child) is not child
    ]
    try:
        for children, name, child in places:
            children[name] = inside(child)
        yield
    finally:
        for children, name, child in places:
            children[name] = child


def run_uncompiled(model: torch.nn.Module, /, *args: Any, **kwargs: Any) -> Any:
    """Return what a model returns. What torch.compile compiled in it runs as it is written.

    There are no wrappers around functions, nor around modules whose own method `compile` was
    called. What is compiled passes over hooks that are new, and cannot be watched.
    """
    if "torch._dynamo" not in sys.modules:  # Nothing is compiled. The import takes seconds.
        return model(*args, **kwargs)

    @torch.compiler.disable  # type: ignore[untyped-decorator, unused-ignore]
    def run() -> Any:  # Torch allows the next line only in what is not compiled itself.
        with torch.compiler.set_stance("force_eager"):
            return model(*args, **kwargs)

    return run()
