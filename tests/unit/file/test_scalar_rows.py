"""The fast path of scalars writes the bytes of protobuf and `frame`, record by record."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventwriter._file.framing import frame
from eventwriter._file.scalar_rows import MARKER, ROW, ScalarEncoder, markers, varint
from eventwriter.records.scalar_group import ScalarGroup
from eventwriter.records.scalars import scalars_event

BOUNDARY_STEPS = [
    *(-(2**63), -(2**63) + 1, -1, 0),
    *(2 ** (7 * n) + offset for n in range(1, 9) for offset in (-1, 0)),
    *(2**63 - 2, 2**63 - 1),
]
BOUNDARY_VALUES = [
    *(0.0, -0.0, 1.0, -1.0, math.pi, math.inf, -math.inf, math.nan),
    *(3.4028234663852886e38, 3.4028235677973366e38, 1e39, -1e39, 1e308),  # around float32's end
    *(1e-45, 1.4e-45, 7e-46, 5e-324, 1.1754943508222875e-38),  # denormal in float32
    struct.unpack("<d", b"\x01\x00\x00\x00\x00\x00\xf4\xff")[0],  # NaN with a payload
]
WALL_TIMES = st.floats(allow_nan=False, allow_infinity=False).filter(bool)
VALUES = st.floats() | st.sampled_from(BOUNDARY_VALUES)
STEPS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300) | st.sampled_from(BOUNDARY_STEPS)
TAGS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=160).filter(
    lambda tag: len(tag.encode()) <= 470
)


def plain(tag: str, step: int, value: float, wall_time: float) -> bytes:
    return frame(scalars_event({tag: value}, step, wall_time).SerializeToString())


def encode(rows: list[tuple[str, int, float, float]]) -> bytes:
    encoder = ScalarEncoder()
    ids = {tag: encoder.register(tag) for tag, *_ in rows}
    block = b"".join(ROW.pack(wall, step, value, ids[tag]) for tag, step, value, wall in rows)
    return bytes(encoder.encode(block, {}))


@settings(max_examples=300)
@given(st.data())
def test_batch_equals_plain_path(data: st.DataObject) -> None:
    """Any mix of tags, steps, values and wall times becomes the bytes of the plain path."""
    tags = data.draw(st.lists(TAGS, min_size=1, max_size=5))
    rows = data.draw(
        st.lists(st.tuples(st.sampled_from(tags), STEPS, VALUES, WALL_TIMES), max_size=40)
    )

    assert b"".join(plain(*row) for row in rows) == encode(rows)


@pytest.mark.parametrize("step", BOUNDARY_STEPS)
def test_each_width_of_the_step(step: int) -> None:
    """The varint of a step is right for the smallest and the largest step of each width."""
    rows = [("loss", step, value, 1.7e9) for value in BOUNDARY_VALUES]

    assert b"".join(plain(*row) for row in rows) == encode(rows)


@pytest.mark.parametrize("size", [1, 2, 31, 116, 117, 127, 128, 129, 255, 256, 300, 470])
def test_each_width_of_the_lengths(size: int) -> None:
    """The template is right where a length in the record takes one byte, and where it takes two."""
    rows = [("t" * size, step, 0.5, 1.7e9) for step in (0, 1, 200, -1)]

    assert b"".join(plain(*row) for row in rows) == encode(rows)


def test_tables_end_before_a_long_tag_does() -> None:
    """A tag that is too long for the tables is refused, and the longest accepted one is right."""
    encoder = ScalarEncoder()
    longest = max(n for n in range(400, 600) if ScalarEncoder().register("t" * n) is not None)
    rows = [("t" * longest, -1, 0.5, 1.7e9), ("u" * longest, 0, 0.5, 1.7e9)]

    assert longest > 470
    assert encoder.register("t" * (longest + 1)) is None
    assert b"".join(plain(*row) for row in rows) == encode(rows)


@given(st.data())
def test_other_records_keep_their_places(data: st.DataObject) -> None:
    """Records of other kinds are written at the places of their marker rows."""
    encoder = ScalarEncoder()
    rows = data.draw(
        st.lists(st.tuples(st.sampled_from("ab"), STEPS, VALUES, WALL_TIMES) | st.binary())
    )
    ids = {tag: encoder.register(tag) for tag in "ab"}
    block, expected, others = b"", b"", {}
    for key, row in enumerate(rows):
        if isinstance(row, bytes):
            others[key] = row
            block += ROW.pack(0.0, key, 0.0, MARKER)
            expected += row
        else:
            tag, step, value, wall_time = row
            block += ROW.pack(wall_time, step, value, ids[tag])
            expected += plain(*row)

    assert [(key, key) for key in others] == markers(block)
    assert expected == bytes(encoder.encode(block, others))


@given(st.data())
def test_series_equals_plain_path(data: st.DataObject) -> None:
    """A whole curve becomes the bytes of its points, one by one."""
    points = data.draw(st.lists(st.tuples(STEPS, VALUES, WALL_TIMES), max_size=40))
    steps, values, wall_times = zip(*points, strict=True) if points else ((), (), ())
    encoder = ScalarEncoder()
    encoder.register("other")
    tag_id = encoder.register("curve")
    encoded = encoder.encode_series(
        tag_id, np.array(wall_times, "f8"), np.array(steps, "i8"), np.array(values, "f8")
    )

    assert b"".join(plain("curve", *point) for point in points) == bytes(encoded)


@given(st.data())
def test_group_equals_plain_path(data: st.DataObject) -> None:
    """Many scalars in one event become protobuf's bytes, also when the wall time is zero."""
    tags = data.draw(st.lists(TAGS, min_size=1, max_size=10, unique=True))
    metrics = {tag: data.draw(VALUES) for tag in tags}
    step = data.draw(STEPS)
    wall_time = data.draw(WALL_TIMES | st.just(0.0))
    group = ScalarGroup(tags)
    expected = frame(scalars_event(metrics, step, wall_time).SerializeToString())

    assert expected == group.encode(wall_time, step, group.pack(*metrics.values()))


def test_many_tags_grow_the_tables() -> None:
    """Ten thousand tags keep their own templates."""
    rows = [(f"tag/{n}", n, n / 2, 1.7e9) for n in range(10_000)]

    assert b"".join(plain(*row) for row in rows) == encode(rows)


@given(st.integers(0, 2**64 - 1))
def test_varint_round_trip(number: int) -> None:
    """A varint has seven bits a byte, the lowest first. All bytes but the last have the top bit."""
    encoded = varint(number)

    assert number == sum((byte & 0x7F) << 7 * n for n, byte in enumerate(encoded))
    assert [True] * (len(encoded) - 1) + [False] == [byte > 0x7F for byte in encoded]
