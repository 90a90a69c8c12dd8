"""TFRecord framing."""

from __future__ import annotations

import struct

from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from eventwriter._file.framing import OVERHEAD, frame, header


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_golden_bytes() -> None:
    """A record has the bytes that TensorFlow's writer writes for the same payload."""
    # The record of Event{wall_time: 1.0, file_version: "brain.Event:2"}.
    payload = b"\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x1a\x0dbrain.Event:2"

    assert 24 == len(payload)
    assert (b"\x18" + bytes(7) + b"\xa3\x7f\x4b\x22") == frame(payload)[:12]
    assert payload == frame(payload)[12:-4]


@given(st.binary(max_size=2000))
def test_layout(payload: bytes) -> None:
    """A record is length, checksum, payload, checksum, little-endian, and nothing else."""
    length = struct.pack("<Q", len(payload))
    expected = (
        length + struct.pack("<I", masked(length)) + payload + struct.pack("<I", masked(payload))
    )

    assert expected == frame(payload)
    assert expected[:12] == header(len(payload))
    assert OVERHEAD == len(expected) - len(payload)
