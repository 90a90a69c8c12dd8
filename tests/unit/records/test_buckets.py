"""The law of the buckets: `np.histogram`'s counts, however they were found."""

import threading
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eventwriter.records.buckets import (
    EDGE_LIMIT,
    MAX_BUCKETS,
    NumpyValues,
    bucket,
    equal_width_edges,
)
from tests.helpers.patience import LONG_SECS

MAX = np.finfo(np.float64).max
INTEGERS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u8"]
FLOATS = ["f2", "f4", "f8", ">f4", ">f8", ml_dtypes.bfloat16]
# Sizes around those at which the way of counting changes.
SIZES = st.sampled_from([1, 2, 100, 16383, 16384, 16385, 65535, 65537, 70001])
BUCKETS = st.one_of(st.integers(1, 70), st.sampled_from([255, 256, 257, 1000, MAX_BUCKETS]))

# Other programs run beside the tests.
untimed = settings(deadline=None)


def check_law(array, found):
    """Asserts the law that `_buckets` states, edge by edge, for equal-width buckets of floats."""
    values = array.astype(np.float64).ravel()
    values = np.sort(values[np.isfinite(values)])
    edges, counts = found.edges, found.counts
    assert values.size == counts.sum()
    lo, hi = edges[0], edges[-1]
    eps = np.finfo(np.float32 if array.dtype.itemsize <= 4 else np.float64).eps
    tolerance = 4 * eps * (hi - lo) + np.finfo(np.float64).eps * max(abs(lo), abs(hi))
    below = np.cumsum(counts)[:-1]
    assert (below >= np.searchsorted(values, edges[1:-1] - tolerance)).all()
    assert (below <= np.searchsorted(values, edges[1:-1] + tolerance)).all()
    assert tolerance < np.diff(edges).min()


def around_edges(span, buckets, lo=0):
    """Every integer at which a bucket begins, and the one before it."""
    starts = lo - (-np.arange(buckets + 1) * span // buckets)
    return np.unique(np.concatenate([starts, starts[1:] - 1]))


@st.composite
def drawn_arrays(draw, dtypes):
    """Arrays of every size: few values that Hypothesis chose, repeated and mixed with a range."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    size = draw(SIZES)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind in "biu":
        chosen = draw(hnp.arrays(dtype, st.integers(1, 20)))
        lo, hi = (0, 1) if dtype.kind == "b" else (int(chosen.min()), int(chosen.max()))
        filling = random.integers(lo, hi, size, np.uint64 if lo >= 0 else np.int64, endpoint=True)
    else:
        kind = np.dtype(f"f{dtype.itemsize}") if dtype.kind == "f" else np.dtype(np.float32)
        chosen = draw(
            hnp.arrays(
                kind,
                st.integers(1, 20),
                elements=hnp.from_dtype(kind, allow_nan=False, allow_infinity=False),
            )
        )
        half = chosen.astype(np.float64) / 2
        filling = random.uniform(half.min(), half.max(), size) * 2
    with np.errstate(over="ignore"):
        array = np.concatenate([filling.astype(dtype), chosen.astype(dtype)])
    return random.permutation(array)


@untimed
@given(array=drawn_arrays(INTEGERS), buckets=BUCKETS)
@example(array=np.arange(2**31, 2**31 + 5000, 7, dtype=np.uint32), buckets=30)
@example(array=np.array([0, 2**49 + 1], np.int64), buckets=1)
@example(array=np.array([2**63, 2**64 - 1, 2**63 + 2**53], np.uint64), buckets=30)
@example(array=np.array([-(2**63), 2**63 - 1], np.int64), buckets=30)
@example(array=np.arange(-128, 128, dtype=np.int8), buckets=255)
@example(array=around_edges(300, 2), buckets=2)
@example(array=around_edges(302, 30), buckets=30)  # scaling rounds an edge down
@example(array=around_edges(300, 18), buckets=18)  # np.linspace rounds an edge up
@example(array=around_edges(2**44 - 4, 30, -(2**43)), buckets=30)
@example(array=2**63 + np.arange(9000, dtype=np.uint64), buckets=4)
def test_integers_are_counted_exactly(array, buckets):
    """Integers and bools of every width are counted as np.histogram counts them."""
    found = bucket(NumpyValues(array), buckets)

    assert array.size == found.counts.sum()
    if found.edges[0] < found.edges[-1]:
        numbers = array.view(np.uint8) if array.dtype == np.bool_ else array
        assert np.histogram(numbers, found.edges)[0].tolist() == found.counts.tolist()


@untimed
@given(array=drawn_arrays(FLOATS), buckets=BUCKETS)
@example(array=np.array([-3e38, 0, 3e38], np.float32), buckets=30)
@example(array=np.linspace(0, 1e-40, 300, dtype=np.float32), buckets=30)
@example(array=np.linspace(1, 1 + 6e-6, 300, dtype=np.float32), buckets=30)
@example(array=np.linspace(1, 1 + 1e-13, 300), buckets=30)
@example(array=1.2697867137638703 + np.arange(186) * 2**-52, buckets=34)
@example(array=np.linspace(0, 1e-320, 300), buckets=30)
@example(array=np.linspace(1e6, 1e6 + 1, 20000, dtype=np.float32), buckets=63)
@example(array=np.array([-(2**-24), 1], np.float32), buckets=MAX_BUCKETS)
@example(array=np.linspace(-1e300, 1e300, 20000), buckets=30)
@example(array=np.array([-MAX, 0, MAX]), buckets=30)
def test_floats_are_counted_within_the_law(array, buckets):
    """A float is counted where np.histogram counts it, or beside it within the stated rounding."""
    found = bucket(NumpyValues(array), buckets)

    finite = array.astype(np.float64)
    finite = np.clip(finite[np.isfinite(finite)], -EDGE_LIMIT, EDGE_LIMIT)
    assert array.size - finite.size == found.nonfinite
    if found.edges.size == buckets + 1 and found.edges[0] < found.edges[-1]:
        wide = (found.edges[-1] - found.edges[0]) / buckets >= 8 * np.spacing(
            np.abs(found.edges).max()
        )
        if wide:
            check_law(finite if array.dtype.itemsize == 8 else array, found)
            return
    # Hardly wider than rounding: NumPy counts, so exactly.
    assert finite.size == found.counts.sum()
    if found.edges.size > 1 and found.edges[0] < found.edges[-1]:
        assert np.histogram(finite, found.edges)[0].tolist() == found.counts.tolist()


@untimed
@given(
    array=drawn_arrays([*INTEGERS, *FLOATS]),
    edges=st.lists(
        st.floats(-1e300, 1e300) | st.integers(-300, 300).map(float),
        min_size=2,
        max_size=40,
        unique=True,
    ).map(sorted),
)
def test_given_edges_are_counted_exactly(array, edges):
    """For given edges the counts are np.histogram's exactly; what lies outside is left out."""
    found = bucket(NumpyValues(array), np.array(edges))

    numbers = array if array.dtype.kind in "iu" else array.astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    assert edges == found.edges.tolist()
    assert np.histogram(numbers, edges)[0].tolist() == found.counts.tolist()


@untimed
@given(
    lo=st.floats(allow_nan=False, allow_infinity=False),
    hi=st.floats(allow_nan=False, allow_infinity=False),
    buckets=st.integers(1, 100),
)
@example(lo=-MAX, hi=MAX, buckets=30)
@example(lo=0.0, hi=5e-324 * 20, buckets=30)
@example(lo=1.0, hi=np.nextafter(1.0, 2), buckets=30)
@example(lo=MAX, hi=MAX, buckets=30)
@example(lo=-MAX, hi=-MAX, buckets=30)
def test_edges_can_always_be_drawn(lo, hi, buckets):
    """Edges are finite, ascending, no more than requested, and their difference is finite."""
    lo, hi = sorted((lo, hi))

    edges = equal_width_edges(lo, hi, buckets)

    assert 2 <= edges.size <= buckets + 1
    assert np.isfinite(edges).all()
    assert np.isfinite(edges[-1] - edges[0])
    assert (np.diff(edges) > 0).all() or (edges.size == 2 and edges[0] == edges[1])
    assert [np.clip(v, -EDGE_LIMIT, EDGE_LIMIT) for v in (lo, hi)] == [edges[0], edges[-1]]


@untimed
@given(array=drawn_arrays(["f4", "f8"]), buckets=st.integers(1, 40))
def test_edges_are_numpys(array, buckets):
    """In any ordinary range the edges are those of np.histogram."""
    array = np.clip(array, -1e30, 1e30)
    array[:2] = 0, 1

    found = bucket(NumpyValues(array), buckets)

    assert np.histogram(array.astype(np.float64), buckets)[1].tolist() == found.edges.tolist()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ml_dtypes.bfloat16])
@pytest.mark.parametrize("size", [20, 5000, 200_000])
def test_nonfinite_values_are_left_out(dtype, size):
    """NaN and infinities change nothing but the count of what was left out."""
    finite = np.random.default_rng(0).normal(size=size).astype(dtype)
    array = np.insert(finite, [0, 7, 7, size], [np.nan, np.inf, -np.inf, np.nan])

    expected = bucket(NumpyValues(finite), 30)
    found = bucket(NumpyValues(array), 30)

    assert (0, 4) == (expected.nonfinite, found.nonfinite)
    assert expected.edges.tolist() == found.edges.tolist()
    assert expected.counts.tolist() == found.counts.tolist()


@pytest.mark.parametrize("dtype", ["u1", "i4", "f2", "f4", "f8"])
def test_layout_does_not_matter(dtype):
    """Strides, order, byte order and read-only memory do not change the counts."""
    array = np.random.default_rng(1).integers(0, 200, (301, 7, 33)).astype(dtype)
    frozen = array.copy()
    frozen.flags.writeable = False
    wide = np.zeros((602, 7, 99), dtype)
    wide[::2, :, ::3] = array
    expected = bucket(NumpyValues(array), 30)

    for same in (
        np.asfortranarray(array),
        array.transpose(2, 0, 1),
        array[::-1, :, ::-1],
        wide[::2, :, ::3],
        array.astype(array.dtype.newbyteorder(">")),
        frozen,
    ):
        assert expected.counts.tolist() == bucket(NumpyValues(same), 30).counts.tolist()


@pytest.mark.parametrize("dtype", ["f4", ">f8", "i8", "u1"])
def test_memory_does_not_grow_with_the_values(dtype):
    """Four million strided values are counted in less memory than a copy of a tenth of them."""
    array = np.zeros((2_000_000, 4), dtype)[:, ::2]
    array[::3] = 1
    tracemalloc.start()
    try:
        bucket(NumpyValues(array), 30)
        bucket(NumpyValues(array), np.linspace(0, 1, 5))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4_000_000 / 10 * 8


def test_threads_do_not_share_scratch():
    """Threads that count at the same moment get what each would get alone."""
    arrays = [np.random.default_rng(seed).normal(size=300_000) for seed in range(4)]
    expected = [bucket(NumpyValues(array), 30).counts.tolist() for array in arrays]
    found = [None] * len(arrays)
    barrier = threading.Barrier(len(arrays))

    def count(index):
        barrier.wait(LONG_SECS)
        found[index] = bucket(NumpyValues(arrays[index]), 30).counts.tolist()

    threads = [threading.Thread(target=count, args=(index,)) for index in range(len(arrays))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_SECS)

    assert expected == found
