"""The fast path of scalars writes the bytes of protobuf and `frame`, record by record."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventwriter._file.encoder import Encoder
from eventwriter._file.framing import frame
from eventwriter._file.rows import (
    MARKER,
    ROW,
    count_records,
    markers,
    pack_rows,
    record_struct,
    whole_rows,
)
from eventwriter._file.templates import varint
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
    return frame(scalars_event([(tag, value)], step, wall_time).SerializeToString())


def encode(rows: list[tuple[str, int, float, float]]) -> bytes:
    encoder = Encoder()
    ids = {tag: encoder.templates.register((tag,)) for tag, *_ in rows}
    block = b"".join(ROW.pack(wall, step, ids[tag], value) for tag, step, value, wall in rows)
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
    templates = Encoder().templates
    longest = max(n for n in range(400, 600) if templates.register(("t" * n,)) is not None)
    rows = [("t" * longest, -1, 0.5, 1.7e9), ("u" * longest, 0, 0.5, 1.7e9)]

    assert longest > 470
    assert templates.register(("t" * (longest + 1),)) is None
    assert b"".join(plain(*row) for row in rows) == encode(rows)


SETS = [("a",), ("b",), ("a", "b"), tuple("abc"), tuple("abcd"), tuple("defghij"), ("t" * 600, "u")]
LOGGED = st.sampled_from(SETS).flatmap(
    lambda tags: st.tuples(
        st.just(tags), STEPS, st.lists(VALUES, min_size=len(tags), max_size=len(tags)), WALL_TIMES
    )
)


@settings(max_examples=300)
@given(st.lists(LOGGED | st.binary(), max_size=40))
def test_all_kinds_of_rows_keep_their_places(records: list[Any]) -> None:
    """Scalars, many scalars in one event, and other records come out in the order of their rows.

    Each has the bytes of the plain path.
    """
    encoder = Encoder()
    block, expected, others = b"", [], {}
    for key, record in enumerate(records):
        if isinstance(record, bytes):
            others[key] = record
            block += ROW.pack(0.0, key, MARKER, 0.0)
            expected.append(record)
        else:
            tags, step, values, wall_time = record
            template_id = encoder.templates.register(tags)
            block += record_struct(len(tags)).pack(wall_time, step, template_id, *values)
            event = scalars_event(zip(tags, values, strict=True), step, wall_time)
            expected.append(frame(event.SerializeToString()))

    assert list(others) == [key for _, key in markers(block)]
    assert len(records) == count_records(block)
    assert b"".join(expected) == bytes(encoder.encode(block, others))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 100, 9999, 10_000])
def test_values_of_a_record(count: int) -> None:
    """A record of any number of values takes whole rows, and each value comes out at its tag."""
    encoder = Encoder()
    tags = tuple(f"{number}" for number in range(count))
    values = [number / 8 for number in range(count)]
    rows = record_struct(count).pack(1.7e9, 5, encoder.templates.register(tags), *values)
    event = scalars_event(zip(tags, values, strict=True), 5, 1.7e9)

    assert (1 + (count + 1) // 3) * ROW.size == len(rows)  # one value, then three in a row
    assert frame(event.SerializeToString()) == bytes(encoder.encode(rows, {}))


def test_sets_without_a_template() -> None:
    """A set of too many tags, and one that comes after too many sets, gets no template.

    Catches: memory without a bound for a dict that has new names at each step.
    """
    templates = Encoder().templates
    many = tuple(f"{number}" for number in range(10_001))
    long = [tuple(f"{set_}/{number:0>1000}" for number in range(100)) for set_ in range(60)]
    found = [templates.register(tags) for tags in long]

    assert templates.register(many) is None
    assert list(range(1, 40)) == found[:39]
    assert {None} == set(found[-10:])
    assert found[0] == templates.register(long[0])
    assert templates.register(("a",)) is not None


@given(st.lists(st.integers(1, 12), max_size=12), st.integers(5, 20))
def test_no_record_is_taken_in_part(counts: list[int], most: int) -> None:
    """As many whole records are taken as fit, at least one of them."""
    records = [record_struct(count).pack(1.0, 2, 3, *[0.0] * count) for count in counts]
    rows = [len(record) // ROW.size for record in records]
    expected = max(sum(rows[:n]) for n in range(len(rows) + 1) if sum(rows[:n]) <= most)

    assert expected == whole_rows(b"".join(records), most)
    assert expected or not counts


@given(st.data())
def test_curve_equals_plain_path(data: st.DataObject) -> None:
    """The rows of a whole curve become the bytes of its points, one by one."""
    points = data.draw(st.lists(st.tuples(STEPS, VALUES, WALL_TIMES), max_size=40))
    steps, values, wall_times = zip(*points, strict=True) if points else ((), (), ())
    encoder = Encoder()
    encoder.templates.register(("other",))
    template_id = encoder.templates.register(("curve",))
    assert template_id is not None
    rows = pack_rows(
        template_id, np.array(wall_times, "f8"), np.array(steps, "i8"), np.array(values, "f8")
    )

    assert b"".join(plain("curve", *point) for point in points) == bytes(encoder.encode(rows, {}))


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
