"""Modules that wrap others: of torch.compile, DataParallel and DistributedDataParallel.

A wrapper puts a name before those of the module in it: `_orig_mod.weight`, `module.weight`. Tags
and files have the names of the module, so that a file of the one can be loaded into the other.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch.nn.parallel import DataParallel, DistributedDataParallel

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


def inside(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module in a wrapper, or in wrappers in each other; any other module itself."""
    # The class of compiled modules is not asked for: the import of torch's compiler takes seconds.
    name = "module" if isinstance(module, (DataParallel, DistributedDataParallel)) else "_orig_mod"
    wrapped = dict(module.named_children()).get(name)
    return module if wrapped is None else inside(wrapped)


@contextmanager
def unwrapped(model: torch.nn.Module) -> Iterator[None]:
    """Put the modules in wrappers, anywhere in a model, in the places of the wrappers.

    Within the block the model has its plain names, and what it calls is not compiled. A compiled
    module would pass over hooks that are new.
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
