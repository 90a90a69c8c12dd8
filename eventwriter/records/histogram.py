"""Histograms, in the one form that both of TensorBoard's readers show identically.

    Summary.Value
      tag                                   the tag
      metadata.plugin_data.plugin_name      "histograms", content empty (version 0)
      metadata.data_class                   DATA_CLASS_TENSOR
      tensor.dtype, tensor.tensor_shape     DT_DOUBLE, [k, 3]
      tensor.tensor_content                 k rows of three little-endian float64:
                                            | left edge 8 B | right edge 8 B | count 8 B |

The metadata is on every value: a reader takes it from the first that it sees of a tag, in each
file. Edges ascend, are contiguous and finite (a single NaN or infinite edge breaks TensorBoard's
drawing of every step on that chart); buckets are closed-open, the last one is closed. Format:
TensorBoard's plugins/histogram/metadata.py and summary_v2.py.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from eventwriter._proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from eventwriter._proto.tensor_pb2 import DT_DOUBLE
from eventwriter._values.arrays import TorchValues, as_numpy
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.records.buckets import EDGE_LIMIT, MAX_BUCKETS, NumpyValues, bucket

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

# What TensorBoard itself writes, and what its page draws: it re-bins to 30 over all steps shown.
DEFAULT_BUCKETS = 30
# What np.histogram_bin_edges chooses is bounded by this: its "fd" asks for billions where one value
# lies far outside, and the page shows 30.
_ESTIMATED_BUCKETS = 1000
_ESTIMATORS = ("auto", "doane", "fd", "rice", "scott", "sqrt", "stone", "sturges")


class HistogramResult(NamedTuple):
    """What `histogram_value` makes.

    Attributes:
        value: Ready for a Summary.
        nonfinite: How many values were left out because they are NaN or infinite.
    """

    value: Summary.Value
    nonfinite: int


# What is beyond a type's range has a defined outcome, also where the user has NumPy raise.
@np.errstate(all="ignore")
def histogram_value(
    tag: str,
    values: Any,
    bins: str | int | Sequence[float] | Array = "tensorflow",
    max_bins: int | None = None,
) -> HistogramResult:
    """Counts values into buckets; one pass over them for the extent, one for the counts.

    Counts are `np.histogram`'s for the edges written: exactly for bools, integers and tensors that
    torch reduces; a float within rounding of an edge may be counted beside it
    (`eventwriter.records.buckets` says how near). Extra memory does not grow with the values,
    unless they have to become an array first (sequences, torch's bfloat16 on the CPU). A torch
    tensor is reduced on its device, and only the counts are fetched.

    What does not fill its buckets evenly:

    - no finite value: no buckets, `[0, 3]`, drawn flat;
    - all (finite) values equal v: one bucket `[v, v, n]`, drawn as a spike;
    - a range too narrow for as many distinct edges: one bucket for each pair of neighbouring
      numbers in it;
    - beyond 2**1008, or 2.74e303: counted in the outermost buckets, which end there. TensorBoard's
      percentiles would overflow.

    Args:
        tag: The tag.
        values: Bools, integers or real floats of any dtype, shape and framework, or a nested
            sequence.
        bins: `"tensorflow"` (torch's default word) means 30 equal-width buckets from the least to
            the greatest finite value. An int k, 1 <= k <= 65536, means k of them. One of NumPy's
            words ("auto", "doane", "fd", "rice", "scott", "sqrt", "stone", "sturges") lets NumPy
            choose how many, of which 1000 are taken at most; it costs NumPy's time and memory. An
            array `[k + 1]`, finite and strictly ascending, 1 <= k <= 65536, means these edges;
            values outside of them are left out.
        max_bins: At least 1; None for no limit. More equal-width buckets than this become so many;
            buckets between given edges are merged, the same number each (but for the last), until
            there are no more.

    Raises:
        ArgumentTypeError: The values, `bins` or `max_bins` have a type, dtype or shape that is not
            named above.
        ArgumentValueError: `bins` or `max_bins` has a value that is not named above.
    """
    where = f"add_histogram({tag!r})"
    limit = MAX_BUCKETS if max_bins is None else _count(f"{where}: max_bins", max_bins)
    if isinstance(bins, str) and bins in _ESTIMATORS:
        array = as_numpy(values, f"{where}: values")
        found = bucket(NumpyValues(array), min(limit, _estimate(array, bins)))
    else:
        wanted = _resolve_bins(where, bins, limit)
        found = bucket(
            TorchValues(values)
            if TorchValues.accepts(values)
            else NumpyValues(as_numpy(values, f"{where}: values")),
            wanted,
        )
    return HistogramResult(_value(tag, found.edges, found.counts), found.nonfinite)


def histogram_raw_value(
    tag: str,
    min: float,  # noqa: A002 - torch's signature
    max: float,  # noqa: A002 - torch's signature
    num: float,
    sum: float,  # noqa: A002 - torch's signature
    sum_squares: float,
    bucket_limits: Sequence[float] | Array,
    bucket_counts: Sequence[float] | Array,
) -> Summary.Value:
    """Makes a histogram of buckets that are counted already, with torch's signature.

    Empty buckets at both ends are left out, since their limits are often far away; then the first
    bucket begins at `min` and the last ends at `max` where these lie inside them. So what is
    written is as wide as the data. Without any count nothing is left: `[0, 3]`, drawn flat.

    Args:
        tag: The tag.
        min: Least value.
        max: Greatest value.
        num: Checked to be a number, and not written: the form holds edges and counts alone.
        sum: The same.
        sum_squares: The same.
        bucket_limits: Right edges of the buckets, `[k]`, finite, strictly ascending. A bucket
            begins where the one before ends.
        bucket_counts: Counts, `[k]`, finite, not negative.

    Raises:
        ArgumentTypeError: A scalar that is no number, or an array of another type or shape.
        ArgumentValueError: Limits, counts, `min` or `max` that are not as described.
    """
    where = f"add_histogram_raw({tag!r})"
    scalars = {"min": min, "max": max, "num": num, "sum": sum, "sum_squares": sum_squares}
    least, greatest, *_ = (_number(f"{where}: {name}", value) for name, value in scalars.items())
    limits = _vector(f"{where}: bucket_limits", bucket_limits)
    counts = _vector(f"{where}: bucket_counts", bucket_counts)
    if limits.size != counts.size:
        raise ArgumentValueError(
            f"{where}: expected as many bucket_limits as bucket_counts, "
            f"got {limits.size} and {counts.size}. A limit is the right edge of its bucket."
        )
    _require_ascending(f"{where}: bucket_limits", limits)
    _require(
        f"{where}: bucket_counts",
        np.isfinite(counts) & (counts >= 0),
        counts,
        "counts >= 0, finite",
    )
    filled = np.flatnonzero(counts)
    if not filled.size:
        return _value(tag, np.zeros(1), counts[:0])
    if not (np.isfinite(least) and np.isfinite(greatest) and least <= greatest):
        raise ArgumentValueError(
            f"{where}: expected finite min <= max, got {least} and {greatest}. "
            "They are the least and the greatest value counted."
        )
    first, last = filled[0], filled[-1]
    # A bucket's left edge; the first of all begins at min, or is as narrow as can be.
    left = np.minimum(least, limits[0]) if first == 0 else limits[first - 1]
    edges = np.concatenate(([left], limits[first : last + 1]))
    if edges[0] <= least < edges[1]:
        edges[0] = least
    if edges[-2] < greatest <= edges[-1]:
        edges[-1] = greatest
    return _value(tag, np.clip(edges, -EDGE_LIMIT, EDGE_LIMIT), counts[first : last + 1])


def _value(tag: str, edges: Array, counts: Array) -> Summary.Value:
    rows = np.empty((len(counts), 3), "<f8")
    rows[:, 0] = edges[:-1]
    rows[:, 1] = edges[1:]
    rows[:, 2] = counts
    value = Summary.Value(tag=tag)
    value.metadata.plugin_data.plugin_name = "histograms"
    value.metadata.data_class = DATA_CLASS_TENSOR
    value.tensor.dtype = DT_DOUBLE
    value.tensor.tensor_shape.dim.add(size=len(counts))
    value.tensor.tensor_shape.dim.add(size=3)
    value.tensor.tensor_content = rows.tobytes()
    return value


def _resolve_bins(where: str, bins: Any, limit: int) -> int | Array:
    """A number of equal-width buckets, or edges, of at most `limit` buckets."""
    if isinstance(bins, str):
        if bins != "tensorflow":
            raise ArgumentValueError(
                f"{where}: bins: expected 'tensorflow' (30 buckets), one of "
                f"{', '.join(_ESTIMATORS)}, a number or an array of edges, got {bins!r}."
            )
        return min(limit, DEFAULT_BUCKETS)
    if as_numpy(bins, f"{where}: bins").ndim == 0:
        return min(limit, _count(f"{where}: bins", bins))
    edges = _vector(f"{where}: bins", bins)
    if not 2 <= edges.size <= MAX_BUCKETS + 1:
        raise ArgumentValueError(
            f"{where}: bins: expected 2 to {MAX_BUCKETS + 1} edges, got {edges.size}. "
            "k buckets have k + 1 edges."
        )
    _require_ascending(f"{where}: bins", edges)
    if edges[-1] > EDGE_LIMIT or edges[0] < -EDGE_LIMIT:
        raise ArgumentValueError(
            f"{where}: bins: expected edges within {EDGE_LIMIT:.4g} of 0, got {edges[0]} to "
            f"{edges[-1]}. TensorBoard's page computes their difference."
        )
    merged = -(-(edges.size - 1) // limit)
    return np.append(edges[:-1:merged], edges[-1])


def _estimate(array: Array, word: str) -> int:
    """How many buckets NumPy's estimator chooses, at most `_ESTIMATED_BUCKETS`."""
    finite = array.astype(np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    if not finite.size or finite.min() == finite.max():
        return 1
    # To one range for all: NumPy's estimators multiply values, which overflows.
    finite /= np.abs(finite).max()
    if word in {"auto", "fd"}:
        # NumPy would make all the edges, though there is no memory for them.
        quartiles = np.subtract(*np.percentile(finite, (75, 25)))
        width = 2 * quartiles / np.cbrt(finite.size)
        if width and np.ptp(finite) / width > _ESTIMATED_BUCKETS:
            return _ESTIMATED_BUCKETS
    return min(_ESTIMATED_BUCKETS, len(np.histogram_bin_edges(finite, word)) - 1)


def _count(where: str, value: Any) -> int:
    """A number of buckets."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(
            f"{where}: expected an integer, got {value!r} of type {type(value).__name__}."
        ) from None
    if not 1 <= count <= MAX_BUCKETS:
        raise ArgumentValueError(f"{where}: expected 1 to {MAX_BUCKETS}, got {count}.")
    return count


def _number(where: str, value: Any) -> float:
    array = as_numpy(value, where)
    if array.ndim:
        raise ArgumentTypeError(f"{where}: expected a number, got an array of shape {array.shape}.")
    return float(array)


def _vector(where: str, value: Any) -> Array:
    array = as_numpy(value, where)
    if array.ndim != 1:
        raise ArgumentTypeError(
            f"{where}: expected an array of one dimension, got shape {array.shape}."
        )
    return array.astype(np.float64)


def _require_ascending(where: str, edges: Array) -> None:
    _require(where, np.isfinite(edges), edges, "finite numbers")
    ascends = np.append(True, edges[1:] > edges[:-1])
    _require(where, ascends[: edges.size], edges, "strictly ascending numbers")


def _require(where: str, good: Array, values: Array, expected: str) -> None:
    if not good.all():
        index = int(good.argmin())
        raise ArgumentValueError(f"{where}: expected {expected}, got {values[index]} at [{index}].")
