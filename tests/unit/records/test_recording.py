"""What every kind of record shares."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventwriter._proto.event_pb2 import Event
from eventwriter._proto.summary_pb2 import Summary
from eventwriter.records.recording import event_of


@given(
    st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300),
    st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0]),
    st.integers(0, 300) | st.sampled_from([16_380, 16_384, 2_097_152]),
)
def test_an_event_has_the_bytes_of_protobuf(step: int, wall_time: float, size: int) -> None:
    """An event whose bytes are joined equals the one that protobuf writes."""
    value = Summary.Value(tag="a")
    value.tensor.tensor_content = bytes(size)
    event = Event(wall_time=wall_time, step=step, summary=Summary(value=[value]))

    assert event.SerializeToString(deterministic=True) == event_of(value, step, wall_time)
