"""The graph of a torch model, with the time that each operation takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentValueError
from eventwriter.integrations.torch._model import advice, structure_of
from eventwriter.integrations.torch._wrappers import unwrapped
from eventwriter.integrations.torch.graph import plain_module, read

if TYPE_CHECKING:
    from eventwriter.graphs.builder import GraphBuilder
    from eventwriter.integrations.torch._timing import NodeTime


def profile_graph(
    model: Any, inputs: Any, *, strict: bool = True
) -> tuple[GraphBuilder, list[NodeTime]]:
    """Return the graph of a model, and the time that each operation takes.

    The operations run one by one, each until its device is done. They run without gradients, in the
    mode (training or evaluation) that the model is in. So the sum is more than the time of a step.
    The time of `torch.cond` or a loop includes everything inside it.

    Args:
        model: A torch.nn.Module.
        inputs: As in `build_graph`. Here their values matter.
        strict: As in `build_graph`.

    Returns:
        The graph of `build_graph`, and the times of its nodes in the order in which they ran.

    Raises:
        ArgumentTypeError, ArgumentValueError: As in `build_graph`, or there are no inputs.
    """
    model = plain_module(model)
    if inputs is None:
        raise ArgumentValueError(
            f"{type_name(model)}: profile: expected inputs, got None: a profile needs inputs. "
            f"{advice(model)}"
        )
    times: list[NodeTime] = []
    with unwrapped(model):
        graph = read(model, structure_of(model), inputs, strict=strict, times=times)
    return graph, times
