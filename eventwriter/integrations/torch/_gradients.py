"""The gradients of a torch module, kept from the latest step."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from eventwriter.integrations.torch._wrappers import unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch


class LatestGradients:
    """The gradients that the optimizers used last.

    This object keeps references to the gradients and does not copy them, because most loops drop
    their gradients and make new ones. A loop that sets its gradients to zero in place is found by
    the counter that torch keeps of changes to a tensor. From then on the gradients are copied.

    Args:
        module: The module. What wraps it is left out.
        optimizers: The optimizers of its parameters. Without any, the gradients are those that the
            parameters hold now.
    """

    def __init__(
        self, module: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer]
    ) -> None:
        self._module = module
        self._kept: dict[torch.nn.Parameter, tuple[Any, int]] = {}
        self._copy = False
        self._handles = [self._follow(each, alone=len(optimizers) == 1) for each in optimizers]

    def _follow(self, optimizer: torch.optim.Optimizer, *, alone: bool) -> Any:
        """Keep the gradients of every step. The hook lives no longer than this object."""
        this = weakref.ref(self)

        def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            gradients = this()
            if gradients is not None:
                gradients.keep(None if alone else optimizer)

        return optimizer.register_step_pre_hook(before_step)

    def keep(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Keep the gradients that the parameters hold now.

        Args:
            optimizer: Only the gradients of its parameters: another optimizer uses the others. None
                means all.
        """
        self._copy = self._copy or self._changed()
        own: set[Any] | None = None
        if optimizer is None:
            self._kept = {}
        else:
            own = {each for group in optimizer.param_groups for each in group["params"]}
        for parameter, gradient in self._held():
            if own is None or parameter in own:
                kept = gradient.detach().clone() if self._copy else gradient
                self._kept[parameter] = kept, gradient._version

    def now(self) -> Mapping[str, Any]:
        """Return the gradients by the names of the parameters."""
        if not self._handles:
            found = dict(self._held())
        elif not self._copy and self._changed():
            self._copy = True
            return {}
        else:
            found = {parameter: gradient for parameter, (gradient, _) in self._kept.items()}
        with unwrapped(self._module):
            return {
                name: found[parameter].detach()
                for name, parameter in self._module.named_parameters()
                if parameter in found
            }

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._kept = {}

    def _held(self) -> Iterator[tuple[torch.nn.Parameter, Any]]:
        for parameter in self._module.parameters():
            if parameter.grad is not None:
                yield parameter, parameter.grad

    def _changed(self) -> bool:
        return not self._copy and any(
            gradient._version != version for gradient, version in self._kept.values()
        )
