"""Keeps torch.compile from tracing this package.

Inside a compiled function, torch traces what the function calls, and turns NumPy's calls into
torch's. NumPy code that encodes records does not survive that: `add_histogram` ended the training,
and `flush` lost values. So this package is put on torch's list of packages that are not traced:
torch leaves the compiled graph for each call of ours, and for `print` too.

The list is in the module `torch._dynamo.trace_rules`, which torch imports when a program compiles
for the first time. Until then a hook waits among Python's finders of modules. It imports nothing by
itself.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_RULES = "torch._dynamo.trace_rules"
_PACKAGE = "eventwriter"


def leave_untraced() -> None:
    """Put this package on torch's list, now or when torch loads the list."""
    rules = sys.modules.get(_RULES)
    if rules is not None:
        _register(rules)
    else:
        sys.meta_path.insert(0, _Hook())


def _register(rules: ModuleType) -> None:
    # The list is torch's own affair. Where a version of torch has no such function, our calls are
    # traced as before.
    with suppress(Exception):
        rules.add(_PACKAGE)


class _Hook:
    """A finder of modules that finds only torch's list, to extend the list after it was loaded."""

    def __init__(self) -> None:
        self._done = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the signature of all finders
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return where the list is, with a loader that extends it. Return None for the rest."""
        if self._done or fullname != _RULES:
            return None
        self._done = True
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register(module)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
