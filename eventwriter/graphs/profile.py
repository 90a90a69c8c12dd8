"""Times and memory of the nodes of a graph, by which the Graphs page can colour them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from eventwriter._proto.run_metadata_pb2 import RunMetadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventwriter._proto.graph_pb2 import GraphDef

_DEFAULT_DEVICE = "/device:CPU:0"


class NodeTime(Protocol):
    """The time and memory of one node in one pass.

    Attributes:
        name: The name of the node in the graph.
        start_us: The start, in microseconds since 1970.
        end_us: The time when its device had finished it. It is later than the start.
        bytes: The size of its results.
    """

    name: str
    start_us: int
    end_us: int
    bytes: int


def run_metadata(graph: GraphDef, times: Iterable[NodeTime]) -> RunMetadata:
    """Return the measured nodes, grouped by the device that they have in the graph.

    Args:
        graph: The graph as the page has it, with its names and devices.
        times: One for each node that was measured. A node that is not in the graph is left out,
            because the page would ignore it.
    """
    devices = {node.name: node.device or _DEFAULT_DEVICE for node in graph.node}
    metadata = RunMetadata()
    by_device = {}
    for time in times:
        device = devices.get(time.name)
        if device is None:
            continue
        if device not in by_device:
            by_device[device] = metadata.step_stats.dev_stats.add(device=device)
        took = time.end_us - time.start_us
        stats = by_device[device].node_stats.add(
            node_name=time.name,
            all_start_micros=time.start_us,
            op_end_rel_micros=took,
            all_end_rel_micros=took,
        )
        stats.memory.add(allocator_name="memory", total_bytes=time.bytes, peak_bytes=time.bytes)
    return metadata
