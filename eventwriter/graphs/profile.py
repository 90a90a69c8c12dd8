"""Times and memory of a graph's nodes, in the form by which the Graphs page colours them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from eventwriter._proto.run_metadata_pb2 import RunMetadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventwriter._proto.graph_pb2 import GraphDef

_DEFAULT_DEVICE = "/device:CPU:0"


class NodeTime(Protocol):
    """What one node took in one pass.

    Attributes:
        name: The node's, as in the graph.
        start_us: When it started, in microseconds since 1970.
        end_us: When its device was done with it; later than its start.
        bytes: Of the tensors that it gave out.
    """

    name: str
    start_us: int
    end_us: int
    bytes: int


def run_metadata(graph: GraphDef, times: Iterable[NodeTime]) -> RunMetadata:
    """Returns the measured nodes, by the device that the graph says they are on.

    Args:
        graph: As the page has it: names and devices are taken from there.
        times: One for each node that was measured. Nodes that the graph lacks are left out, as
            the page would do.
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
