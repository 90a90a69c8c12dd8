"""Masked CRC-32C (Castagnoli): of one buffer, and of many rows at once.

A TFRecord stores each checksum masked, because a checksum over data that holds checksums
is weak: `masked = rotate_right(crc, 15) + 0xa282ead8`, modulo 2**32.

The checksum of a buffer is the C package crc32c's work. For many short records that differ
from a template in a few bytes there is a faster way. CRC is affine over GF(2): for messages
of one length, changing a byte changes the checksum by an amount that depends only on the
changed bits and on the distance of the byte from the end:

    crc(message) = crc(template) ^ XOR over changed bytes of BYTE_TABLE[distance][change]

With the template's fields zero, `change` is the field's byte itself. So numpy computes the
checksums of a whole batch with one gather for each byte of a field, whatever the rest says.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Buffer: TypeAlias = bytes | bytearray | memoryview

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
_MASK_DELTA = 0xA282EAD8

MAX_DISTANCE = 512
"""Distances that `byte_table` covers, in bytes. The table takes 1 KiB a distance: at 512 it
still fits a core's second-level cache."""


@cache
def _crc32c() -> Callable[[Buffer], int]:
    # Imported at the first checksum: the package's own import costs as much as protobuf's.
    from crc32c import crc32c  # noqa: PLC0415

    function: Callable[[Buffer], int] = crc32c
    return function


def crc32c(data: Buffer) -> int:
    """Return the plain CRC-32C of `data`."""
    return _crc32c()(data)


def mask(crc: int) -> int:
    """Return the masked form of a checksum, as TFRecord stores it."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def masked_crc32c(data: Buffer) -> int:
    """Return the masked CRC-32C of `data`."""
    return mask(crc32c(data))


def mask_rows(crcs: np.ndarray) -> np.ndarray:
    """Return the masked form of each checksum. Shape `[n]`, uint32, in and out."""
    return ((crcs >> np.uint32(15)) | (crcs << np.uint32(17))) + np.uint32(_MASK_DELTA)


@cache
def byte_table() -> np.ndarray:
    """Return by how much a byte changes the checksum: uint32, `[MAX_DISTANCE * 256]`.

    Entry `distance * 256 + change` is for a byte that `distance` others follow. Flat, so that
    a gather over rows of different lengths is one `take`. Built in about 5 ms, once.
    """
    table = np.empty((MAX_DISTANCE, 256), np.uint32)
    last = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        last = np.where(last & 1, (last >> 1) ^ np.uint32(_POLYNOMIAL), last >> 1)
    table[0] = last
    for distance in range(1, MAX_DISTANCE):
        before = table[distance - 1]
        table[distance] = last[before & 0xFF] ^ (before >> 8)
    flat = table.reshape(-1)
    flat.flags.writeable = False
    return flat
