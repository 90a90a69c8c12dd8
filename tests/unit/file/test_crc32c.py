"""CRC-32C, its mask, and the table that corrects the checksum of a template."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventwriter._file.crc32c import (
    MAX_DISTANCE,
    byte_table,
    crc32c,
    mask,
    mask_rows,
    masked_crc32c,
)

# RFC 3720, appendix B.4, and the check value of the CRC catalogue.
KNOWN = [
    (b"", 0x00000000),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
]


def bit_by_bit(data: bytes) -> int:
    """Return the checksum by its definition: a division by the polynomial, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(("data", "expected"), KNOWN)
def test_published_vectors(data: bytes, expected: int) -> None:
    """The checksum is the one that iSCSI and TFRecord call CRC-32C."""
    assert expected == crc32c(data)


@given(st.binary(max_size=64))
def test_equals_definition(data: bytes) -> None:
    """Any buffer has the checksum of the definition."""
    assert bit_by_bit(data) == crc32c(data)


def test_mask_of_published_vector() -> None:
    """The mask rotates by 15 and adds TensorFlow's constant, modulo 2**32."""
    crc = 0xE3069283
    rotated = int(f"{crc:032b}"[-15:] + f"{crc:032b}"[:-15], 2)

    assert (rotated + 0xA282EAD8) % 2**32 == mask(crc) == masked_crc32c(b"123456789")


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1))
def test_mask_rows_equals_mask(crcs: list[int]) -> None:
    """To mask many checksums at once gives the same as to mask each."""
    assert [mask(crc) for crc in crcs] == mask_rows(np.array(crcs, np.uint32)).tolist()


@given(st.data())
def test_changed_bytes_change_the_checksum_as_the_table_says(data: st.DataObject) -> None:
    """crc(changed) is crc(template) XOR the table's entries, wherever the changes are."""
    template = data.draw(st.binary(min_size=1, max_size=MAX_DISTANCE))
    places = data.draw(st.lists(st.integers(0, len(template) - 1), unique=True, max_size=20))
    changed = bytearray(template)
    expected = crc32c(template)
    for place in places:
        change = data.draw(st.integers(0, 255))
        changed[place] ^= change
        expected ^= int(byte_table()[(len(template) - 1 - place) * 256 + change])

    assert expected == crc32c(bytes(changed))
