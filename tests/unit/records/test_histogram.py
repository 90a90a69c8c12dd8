"""The written form of histograms, and the outcome of every kind of values, bins and raw buckets."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventwriter import SummaryWriter
from eventwriter._proto.summary_pb2 import Summary
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.records import bucket_estimates
from eventwriter.records.buckets import EDGE_LIMIT, MAX_BUCKETS
from eventwriter.records.histogram import histogram_raw_value, histogram_value

NAN, INF = float("nan"), float("inf")
MAX = float(np.finfo(np.float64).max)


def rows(value):
    """The `[k, 3]` rows of a Summary.Value, once its form was checked."""
    k, three = (dim.size for dim in value.tensor.tensor_shape.dim)
    table = np.frombuffer(value.tensor.tensor_content, "<f8").reshape(k, three)
    assert three == 3
    assert np.isfinite(table).all()
    assert table[1:, 0].tolist() == table[:-1, 1].tolist()
    assert (table[:, 1] > table[:, 0]).all() or (k == 1 and table[0, 0] == table[0, 1])
    return table.tolist()


def counted(values, bins="tensorflow", max_bins=None):
    return rows(histogram_value("here", values, bins, max_bins).value)


def test_golden_bytes():
    """The record is, byte for byte, what the format's description says."""
    expected = (
        b'\x0a\x03w/b'  # tag
        b'B\x5c'  # tensor
        b'\x08\x02'  # DT_DOUBLE
        b'\x12\x08\x12\x02\x08\x02\x12\x02\x08\x03'  # shape [2, 3]
        b'"\x30'  # tensor_content
        + np.array([[0, 1, 2], [1, 2, 1]], "<f8").tobytes()
    )  # fmt: skip
    metadata = b"J\x10\x0a\x0c\x0a\x0ahistograms\x20\x02"  # plugin_data, data_class TENSOR
    expected = expected.replace(b"B\x5c", b"B\x3e") + metadata

    value = histogram_value("here", [0.0, 0.5, 2.0], bins=2).value
    value.tag = "w/b"  # a writer sets it

    assert Summary.Value.FromString(expected) == value
    assert expected == value.SerializeToString(deterministic=True)


def test_default_is_thirty_equal_buckets():
    """Torch's default word means 30 equal-width buckets over the values."""
    values = np.arange(3001) / 3000

    table = np.array(counted(values))

    assert 30 == len(table)
    assert np.histogram(values, 30)[1][:-1].tolist() == table[:, 0].tolist()
    assert 3001 == table[:, 2].sum()


@pytest.mark.parametrize(
    ("values", "expected", "nonfinite"),
    [
        pytest.param([], [], 0, id="empty"),
        pytest.param(np.zeros((3, 0, 2), np.int8), [], 0, id="no elements in a shape"),
        pytest.param([NAN, NAN], [], 2, id="all NaN"),
        pytest.param([INF, -INF, NAN], [], 3, id="nothing finite"),
        pytest.param(2.5, [[2.5, 2.5, 1]], 0, id="0-d"),
        pytest.param(True, [[1, 1, 1]], 0, id="one bool"),
        pytest.param([7, 7, 7], [[7, 7, 3]], 0, id="constant"),
        pytest.param([INF, 3.0, NAN, 3.0], [[3, 3, 2]], 2, id="constant but for what is left out"),
        pytest.param([0.0, -0.0], [[0, 0, 2]], 0, id="zeros"),
        pytest.param([False, True, True], [[0, 0.5, 1], [0.5, 1, 2]], 0, id="bools"),
        pytest.param([-1.0, NAN, 1.0, -INF], [[-1, 0, 1], [0, 1, 1]], 2, id="some not finite"),
        pytest.param([0.0, 5e-324], [[0, 5e-324, 2]], 0, id="neighbours at 0"),
        pytest.param([0.0, 1e-323], [[0, 5e-324, 1], [5e-324, 1e-323, 1]], 0, id="three denormals"),
        pytest.param(np.array([1, 1 + 2**-52]), [[1, 1 + 2**-52, 2]], 0, id="neighbours at 1"),
        pytest.param(
            np.array([2**53, 2**53 + 1], np.int64),
            [[2**53, 2**53, 2]],
            0,
            id="integers that are one float64",
        ),
        pytest.param(
            np.array([2**63 - 1, -(2**63), 0]),
            [[-(2**63), 0, 1], [0, 2**63, 2]],
            0,
            id="all of int64",
        ),
        pytest.param(
            np.array([0, 2**64 - 1, 2**63], np.uint64),
            [[0, 2**63, 1], [2**63, 2**64, 2]],
            0,
            id="all of uint64",
        ),
        pytest.param(
            np.array([2**64 - 4096, 2**64 - 2048], np.uint64),
            [[2**64 - 4096, 2**64 - 2048, 2]],
            0,
            id="neighbours in uint64",
        ),
        pytest.param(
            np.array([-3e38, 3e38], np.float32),
            [[float(np.float32(-3e38)), 0, 1], [0, float(np.float32(3e38)), 1]],
            0,
            id="a range beyond float32",
        ),
        pytest.param(
            [-MAX, 0.0, MAX],
            [[-EDGE_LIMIT, 0, 1], [0, EDGE_LIMIT, 2]],
            0,
            id="a range beyond float64",
        ),
        pytest.param([MAX, MAX], [[EDGE_LIMIT, EDGE_LIMIT, 2]], 0, id="constant, beyond"),
        pytest.param(
            np.array([0, 65504], np.float16), [[0, 32752, 1], [32752, 65504, 1]], 0, id="float16"
        ),
        pytest.param(
            np.array([-1, 3], ml_dtypes.bfloat16), [[-1, 1, 1], [1, 3, 1]], 0, id="bfloat16"
        ),
        pytest.param(np.array([1, 3], np.longdouble), [[1, 2, 1], [2, 3, 1]], 0, id="long double"),
        pytest.param(
            np.ma.masked_array([1, 9, 3], [0, 1, 0]), [[1, 2, 1], [2, 3, 1]], 1, id="masked"
        ),
    ],
)
def test_outcome_of_values(values, expected, nonfinite):
    """Each kind of values has its defined outcome, with edges that can be drawn."""
    if isinstance(values, np.ndarray):
        values.flags.writeable = False

    result = histogram_value("here", values, bins=2)

    assert expected == rows(result.value)
    assert nonfinite == result.nonfinite


def test_negative_zero_is_no_edge():
    """The outermost edges are never -0.0, which a page would print as such."""
    content = histogram_value("here", [-0.0, -1.0], bins=1).value.tensor.tensor_content

    assert np.array([-1, 0, 2], "<f8").tobytes() == content


@pytest.mark.parametrize(
    ("bins", "max_bins", "expected"),
    [
        (1, None, [[0, 4, 5]]),
        (np.int64(2), None, [[0, 2, 2], [2, 4, 3]]),
        (np.array(2), None, [[0, 2, 2], [2, 4, 3]]),
        ([0, 4], None, [[0, 4, 5]]),
        ((1, 2.5), None, [[1, 2.5, 2]]),
        (np.array([-1, 1, 2, 8]), None, [[-1, 1, 1], [1, 2, 1], [2, 8, 3]]),
        ([10, 11], None, [[10, 11, 0]]),
        ("tensorflow", 2, [[0, 2, 2], [2, 4, 3]]),
        (100, 2, [[0, 2, 2], [2, 4, 3]]),
        ("auto", 2, [[0, 2, 2], [2, 4, 3]]),
        ("sqrt", None, [[0, 4 / 3, 2], [4 / 3, 8 / 3, 1], [8 / 3, 4, 2]]),
        ([0, 1, 2, 3, 4], 2, [[0, 2, 2], [2, 4, 3]]),
        ([0, 1, 2, 3, 4], 3, [[0, 2, 2], [2, 4, 3]]),
        ([0, 1, 2, 3], 2, [[0, 2, 2], [2, 3, 2]]),
        ([0, 1, 2], 9, [[0, 1, 1], [1, 2, 2]]),
    ],
)
def test_bins(bins, max_bins, expected):
    """A number, edges and words mean what they say; max_bins bounds the number of buckets."""
    assert expected == counted([0, 1, 2, 3, 4], bins, max_bins)


@pytest.mark.parametrize("values", [[], [NAN]])
def test_given_edges_without_values(values):
    """Given edges are written even when nothing lies between them."""
    assert [[0, 1, 0], [1, 2, 0]] == counted(values, [0, 1, 2])


@pytest.mark.parametrize("word", ["auto", "doane", "fd", "rice", "scott", "sqrt", "sturges"])
def test_words_choose_as_numpy_does(word):
    """NumPy's words give as many buckets as np.histogram has for the finite values."""
    values = np.random.default_rng(3).normal(size=500)

    expected = np.histogram(values, word)[1]
    found = np.array(counted([*values, NAN, INF], word))

    assert expected[:-1].tolist() == found[:, 0].tolist()


@pytest.mark.parametrize("word", ["auto", "doane", "fd", "rice", "scott", "sqrt", "sturges"])
@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_words_see_a_sample_of_many_values(monkeypatch, word, draw):
    """For many values the number of buckets is near NumPy's, at a fraction of its memory."""
    monkeypatch.setattr(bucket_estimates, "_SAMPLED", 1 << 16)
    values = getattr(np.random.default_rng(3), draw)(size=(1 << 10, 1 << 10))
    tracemalloc.start()
    try:
        found = len(counted(values, word))
        assert tracemalloc.get_traced_memory()[1] < values.nbytes
    finally:
        tracemalloc.stop()

    expected = min(1000, len(np.histogram_bin_edges(values, word)) - 1)
    assert abs(found - expected) <= max(1, 0.02 * expected)


def test_words_see_nothing_in_many_values_that_are_not_finite(monkeypatch):
    """A sample without a finite value has one bucket for the values that are."""
    monkeypatch.setattr(bucket_estimates, "_SAMPLED", 4)
    assert [[3, 3, 1]] == counted([NAN] * 1000 + [3], "auto")


@pytest.mark.parametrize("values", [[], [NAN], [3, 3, 3]])
def test_words_without_a_range(values):
    """A word needs no range: nothing and a constant have the outcome that a number gives."""
    assert counted(values, 1) == counted(values, "stone")


@pytest.mark.parametrize("word", ["fd", "auto"])
@pytest.mark.parametrize("far", [1e9, 1e300])
def test_words_are_bounded(word, far):
    """One value far away costs nothing, where NumPy would make billions of edges."""
    values = np.append(np.random.default_rng(3).normal(size=1000), far)

    assert len(counted(values, word)) <= 1000


@pytest.mark.parametrize(
    ("bins", "max_bins", "error", "match"),
    [
        ("tensorboard", None, ArgumentValueError, r"bins: expected 'tensorflow'.*'tensorboard'"),
        (0, None, ArgumentValueError, "bins: expected 1 to 65536, got 0"),
        (MAX_BUCKETS + 1, None, ArgumentValueError, "bins: expected 1 to 65536, got 65537"),
        (2.0, None, ArgumentTypeError, "bins: expected an integer, got 2.0 of type float"),
        (True, None, ArgumentTypeError, "bins: expected an integer, got True"),
        (None, None, ArgumentTypeError, "bins: expected an array .* got NoneType"),
        ([[0, 1]], None, ArgumentTypeError, r"bins: expected .* one dimension, got shape \(1, 2\)"),
        ([[0], [1, 2]], None, ArgumentTypeError, "bins: expected an array"),
        ([1], None, ArgumentValueError, "bins: expected 2 to 65537 edges, got 1"),
        ([0, 1, 1], None, ArgumentValueError, r"strictly ascending numbers, got 1.0 at \[2\]"),
        ([0, NAN], None, ArgumentValueError, r"finite numbers, got nan at \[1\]"),
        ([-INF, 0], None, ArgumentValueError, r"finite numbers, got -inf at \[0\]"),
        ([-MAX, MAX], None, ArgumentValueError, "expected edges within 2.743e.303 of 0"),
        (30, 0, ArgumentValueError, "max_bins: expected 1 to 65536, got 0"),
        (30, 1.5, ArgumentTypeError, "max_bins: expected an integer, got 1.5"),
    ],
)
def test_bad_bins(bins, max_bins, error, match):
    """Bins that mean nothing are refused; the error names tag, argument, what came and expected."""
    with pytest.raises(error, match=r"^add_histogram\('a/t'\): ") as raised:
        histogram_value("add_histogram('a/t')", [1, 2], bins, max_bins)
    assert raised.match(match)


def test_bad_values():
    """Values that are no numbers are refused by the tag's name."""
    with pytest.raises(ArgumentTypeError, match=r"^add_histogram\('a/t'\): values: expected"):
        histogram_value("add_histogram('a/t')", ["x"])


def raw(limits, counts, least=0.0, greatest=10.0):
    return rows(histogram_raw_value("here", {"min": least, "max": greatest}, limits, counts))


RAW_OUTCOMES = {
    "range": ([1, 2, 3], [1, 0, 2], 0.5, 2.5, [[0.5, 1, 1], [1, 2, 0], [2, 2.5, 2]]),
    "limits as they are": ([1, 2], [1, 2], 0, 2, [[0, 1, 1], [1, 2, 2]]),
    "trimmed": ([0, 1, 2, 3], [0, 4, 5, 0], 0.5, 1.5, [[0.5, 1, 4], [1, 1.5, 5]]),
    "far limits": ([-MAX, 1, 2, MAX], [0, 1, 1, 1], -3, 7, [[-3, 1, 1], [1, 2, 1], [2, 7, 1]]),
    "far values": ([1, MAX], [1, 1], -MAX, MAX, [[-EDGE_LIMIT, 1, 1], [1, EDGE_LIMIT, 1]]),
    "min and max elsewhere": ([1, 2], [0, 1], 5, 9, [[1, 2, 1]]),
    "max elsewhere": ([1, 2], [1, 1], -5, 9, [[-5, 1, 1], [1, 2, 1]]),
    "constant": ([3], [8], 3, 3, [[3, 3, 8]]),
    "fraction": ([5], [0.25], 1, 2, [[1, 2, 0.25]]),
    "no counts": ([1, 2], [0, 0], NAN, INF, []),
    "no buckets": ([], [], 0, 0, []),
    "arrays": (np.array([1, 2], "f4"), np.array([1, 2], "u1"), 0, 2, [[0, 1, 1], [1, 2, 2]]),
}


@pytest.mark.parametrize(
    ("limits", "counts", "least", "greatest", "expected"),
    RAW_OUTCOMES.values(),
    ids=RAW_OUTCOMES,
)
def test_raw_outcome(limits, counts, least, greatest, expected):
    """Right edges, counts, min and max become rows that can be drawn."""
    assert expected == raw(limits, counts, least, greatest)


@settings(deadline=None)
@given(
    edges=st.lists(st.integers(-1000, 1000), min_size=2, max_size=20, unique=True).map(sorted),
    data=st.data(),
)
def test_raw_keeps_counts(edges, data):
    """Whatever min, max and empty buckets are, no count is lost or moved beyond its limits."""
    k = len(edges) - 1
    counts = data.draw(st.lists(st.integers(0, 5), min_size=k, max_size=k))
    least, greatest = sorted(
        data.draw(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)))
    )

    table = raw(edges[1:], counts, min(least, edges[0]), greatest)

    assert sum(counts) == sum(count for _, _, count in table)
    for _, right, count in table[:-1]:
        assert counts[edges[1:].index(right)] == count


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"bucket_limits": [1, 2, 3]}, ArgumentValueError, "as many bucket_limits .* got 3 and 2"),
        ({"bucket_limits": [2, 1]}, ArgumentValueError, "bucket_limits: expected strictly"),
        ({"bucket_limits": [1, INF]}, ArgumentValueError, "bucket_limits: expected finite"),
        ({"bucket_limits": 1}, ArgumentTypeError, r"bucket_limits: .* got shape \(\)"),
        ({"bucket_limits": ["a"]}, ArgumentTypeError, "bucket_limits: expected an array"),
        ({"bucket_counts": [1, -1]}, ArgumentValueError, r"counts >= 0, finite, got -1.0 at \[1\]"),
        ({"bucket_counts": [NAN, 1]}, ArgumentValueError, "counts >= 0, finite, got nan"),
        ({"min": 3, "max": 2}, ArgumentValueError, "finite min <= max, got 3.0 and 2.0"),
        ({"max": INF}, ArgumentValueError, "finite min <= max, got 0.0 and inf"),
        ({"sum": "x"}, ArgumentTypeError, "sum: expected an array"),
        ({"num": None}, ArgumentTypeError, "num: expected an array"),
        ({"sum_squares": [1]}, ArgumentTypeError, r"sum_squares: expected a number, got .* \(1,\)"),
    ],
)
def test_bad_raw(changed, error, match, tmp_path):
    """Buckets that contradict themselves are refused; the error names tag and argument."""
    arguments = {
        "min": 0, "max": 2, "num": 3, "sum": 3, "sum_squares": 5,
        "bucket_limits": [1, 2], "bucket_counts": [1, 2],
    }  # fmt: skip
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram_raw("a/t", **arguments)

        with pytest.raises(error, match=r"^add_histogram_raw\('a/t'\): ") as raised:
            writer.add_histogram_raw("a/t", **arguments | changed)
        assert raised.match(match)
