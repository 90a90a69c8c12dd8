"""The graph of a torch model, with the time that each operation takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentValueError
from eventwriter.integrations.torch._model import advice, structure_of
from eventwriter.integrations.torch.graph import plain_module, read

if TYPE_CHECKING:
    from eventwriter.graphs.builder import GraphBuilder
    from eventwriter.integrations.torch._timing import NodeTime


def profile_graph(
    model: Any, inputs: Any, *, strict: bool = True
) -> tuple[GraphBuilder, list[NodeTime]]:
    """The graph of a model, and how long each of its operations takes.

    The operations run one by one, each until its device is done, without gradients and in the mode
    (training or not) that the model is in. So the sum is more than a step takes. What runs inside
    of `torch.cond` and the like counts for the whole of it.

    Args:
        model: A torch.nn.Module.
        inputs: As in `build_graph`. Their values count here.
        strict: As in `build_graph`.

    Returns:
        The graph of `build_graph`, and the times of its nodes in the order in which they ran.

    Raises:
        ArgumentTypeError, ArgumentValueError: As in `build_graph`, or there are no inputs.
    """
    model = plain_module(model)
    if inputs is None:
        raise ArgumentValueError(f"{type_name(model)}: a profile needs inputs. {advice(model)}")
    times: list[NodeTime] = []
    graph = read(model, structure_of(model), inputs, strict=strict, times=times)
    return graph, times
