"""Masked CRC-32C (Castagnoli), of one buffer or of many rows at once.

A TFRecord stores each checksum masked, because a checksum over data that holds checksums is weak:
`masked = rotate_right(crc, 15) + 0xa282ead8`, modulo 2**32. Source: TensorFlow's lib/hash/crc32c.h.

The C package crc32c computes the checksum of one buffer. For many short records that differ from
a template in a few bytes there is a faster way, because CRC is affine over GF(2): among messages
of one length, a changed byte changes the checksum by an amount that depends only on the changed
bits and on the byte's distance from the end:

    crc(message) = crc(template) ^ XOR over changed bytes of BYTE_TABLE[distance][change]

The template's fields are zero, so that `change` is the field's byte itself. So numpy computes the
checksums of a whole batch with one gather for each byte of a field.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from eventwriter._imports import importing

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Buffer: TypeAlias = bytes | bytearray | memoryview

_POLYNOMIAL = 0x82F63B78  # of Castagnoli, bits reversed
_MASK_DELTA = 0xA282EAD8

MAX_DISTANCE = 512
"""The number of distances in `byte_table`. Each takes 1 KiB, and 512 of them fit into the
second-level cache of a core."""


@cache
def _crc32c() -> Callable[..., int]:
    # Imported at the first checksum, because this import takes as long as protobuf's.
    with importing():
        from crc32c import crc32c  # noqa: PLC0415

    function: Callable[..., int] = crc32c
    return function


def crc32c(data: Buffer) -> int:
    """Return the plain CRC-32C of `data`."""
    return _crc32c()(data)


def extend_crc32c(crc: int, data: Buffer) -> int:
    """Return the plain CRC-32C of the bytes that `crc` is of, followed by `data`."""
    return _crc32c()(data, crc)


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
    """Return the table of how a byte changes the checksum: uint32, `[MAX_DISTANCE * 256]`.

    Entry `distance * 256 + change` is for a byte that `distance` other bytes follow. The table is
    flat, so that a gather over rows of different lengths is one `take`. To build it takes about
    5 ms, once.
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
