"""Histograms, in the one form that both of TensorBoard's readers show identically.

    Summary.Value
      tag                                   the tag
      metadata.plugin_data.plugin_name      "histograms", content empty (version 0)
      metadata.data_class                   DATA_CLASS_TENSOR
      tensor.dtype, tensor.tensor_shape     DT_DOUBLE, [k, 3]
      tensor.tensor_content                 k rows of three little-endian float64:
                                            | left edge 8 B | right edge 8 B | count 8 B |

Every value carries the metadata: in each file, a reader takes it from the first value of a tag.
Edges ascend, are contiguous and finite. A single NaN or infinite edge breaks TensorBoard's drawing
of every step on that chart. Buckets are closed-open, and the last one is closed. Source of the
format: TensorBoard's plugins/histogram/metadata.py and summary_v2.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from eventwriter._imports import importing
from eventwriter._proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from eventwriter._proto.tensor_pb2 import DT_DOUBLE
from eventwriter._values import arguments
from eventwriter._values.arrays import as_numpy, is_torch_tensor
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.records.buckets import EDGE_LIMIT, MAX_BUCKETS, NumpyValues, bucket
from eventwriter.records.recording import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventwriter.records.buckets import Values
    from eventwriter.records.recording import Recording
    from eventwriter.typing import ArrayLike, Scalar, Seconds, Step

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
    Bins: TypeAlias = str | int | Sequence[float] | Array

# TensorBoard itself writes 30 buckets, and its page draws 30: it counts into 30 new buckets over
# all steps that it shows.
DEFAULT_BUCKETS = 30

_ESTIMATORS = ("auto", "doane", "fd", "rice", "scott", "sqrt", "stone", "sturges")


def add_histogram(
    self: Recording,
    tag: str,
    values: ArrayLike,
    global_step: Step | None = None,
    bins: Bins = "tensorflow",
    walltime: Seconds | None = None,
    max_bins: int | None = None,
) -> None:
    """Log how values are distributed.

    The values are counted at the call; those of a torch tensor on the tensor's own device. Values
    that are NaN or infinite are left out. The first time that a tag has any, a warning says how
    many.

    Args:
        tag: The name; slashes group.
        values: Bools, integers or real floats of any dtype, shape and framework, or a nested
            sequence.
        global_step: As in `add_scalar`.
        bins: `"tensorflow"`, which is torch's default word, means 30 equal-width buckets from the
            least to the greatest finite value. An int k, 1 <= k <= 65536, means k of them. One of
            NumPy's words ("auto", "doane", "fd", "rice", "scott", "sqrt", "stone", "sturges") lets
            NumPy choose the number, at most 1000; of more than a million values it sees a sample.
            An array `[k + 1]`, finite and strictly ascending, 1 <= k <= 65536, means these edges;
            values outside of them are left out.
        walltime: As in `add_scalar`.
        max_bins: At least 1; None for no limit. More equal-width buckets become this many. Buckets
            between given edges are merged, the same number each (but for the last), until there
            are no more than this.

    Raises:
        ArgumentTypeError, ArgumentValueError: Nothing was written.
        WriterClosedError: The writer is closed.

    Warns:
        EventWriterWarning: Values were NaN or infinite.
    """
    call = Call(self, "add_histogram", tag, global_step, walltime)
    value, nonfinite = histogram_value(call.where, values, bins, max_bins)
    self._write(call, "histograms", value)
    if nonfinite:
        self._warn_once(
            "nonfinite",
            tag,
            f"{call.where}: {nonfinite} values that are NaN or infinite were left out. "
            "Further ones of this tag are left out without a warning.",
        )


def add_histogram_raw(
    self: Recording,
    tag: str,
    min: Scalar,  # noqa: A002 - torch's signature
    max: Scalar,  # noqa: A002 - torch's signature
    num: Scalar,
    sum: Scalar,  # noqa: A002 - torch's signature
    sum_squares: Scalar,
    bucket_limits: ArrayLike,
    bucket_counts: ArrayLike,
    global_step: Step | None = None,
    walltime: Seconds | None = None,
) -> None:
    """Log a histogram whose buckets are counted already, with torch's signature.

    Empty buckets at both ends are left out, because their limits are often far away. Then the first
    bucket begins at `min` and the last one ends at `max`, where these lie inside the two buckets.
    So the histogram is as wide as the data. Without any count nothing is left: the histogram has
    no buckets and is drawn flat.

    Args:
        tag: The name; slashes group.
        min: Least value.
        max: Greatest value.
        num: Checked to be a number, and not written, because the format has only edges and counts.
        sum: Checked and not written, like `num`.
        sum_squares: Checked and not written, like `num`.
        bucket_limits: Right edges of the buckets, `[k]`, finite, strictly ascending. A bucket
            begins where the one before ends.
        bucket_counts: Counts, `[k]`, finite, not negative.
        global_step: As in `add_scalar`.
        walltime: As in `add_scalar`.

    Raises:
        ArgumentTypeError, ArgumentValueError: Nothing was written.
        WriterClosedError: The writer is closed.
    """
    call = Call(self, "add_histogram_raw", tag, global_step, walltime)
    numbers = {"min": min, "max": max, "num": num, "sum": sum, "sum_squares": sum_squares}
    value = histogram_raw_value(call.where, numbers, bucket_limits, bucket_counts)
    self._write(call, "histograms", value)


class HistogramResult(NamedTuple):
    """What `histogram_value` makes.

    Attributes:
        value: The value, without a tag.
        nonfinite: How many values were left out because they are NaN or infinite.
    """

    value: Summary.Value
    nonfinite: int


# A value beyond a type's range has a defined outcome, also where the user has NumPy raise.
@np.errstate(all="ignore")
def histogram_value(
    where: str, values: ArrayLike, bins: Bins = "tensorflow", max_bins: int | None = None
) -> HistogramResult:
    """Count values into buckets: one pass over them for the extent, one for the counts.

    Counts are those of `np.histogram` for the edges written: exactly for bools, integers and
    tensors that torch counts. A float within rounding of an edge may be counted in the bucket
    beside it; `buckets` says how near. Extra memory does not grow with the values, unless they
    have to become an array first (sequences, torch's bfloat16 on the CPU). A torch tensor is
    counted on its device, and only the counts are fetched.

    Special cases:

    - no finite value: no buckets, `[0, 3]`, drawn flat;
    - all finite values equal v: one bucket `[v, v, n]`, drawn as a spike;
    - a range too narrow for as many distinct edges: one bucket for each pair of neighbouring
      numbers in it;
    - values beyond 2**1008 (2.74e303): counted in the outermost buckets, which end there.
      TensorBoard's percentiles would overflow.

    Args:
        where: Names the call in errors.
        values: As in `add_histogram`.
        bins: As in `add_histogram`.
        max_bins: As in `add_histogram`.

    Raises:
        ArgumentTypeError: The values, `bins` or `max_bins` have a wrong type, dtype or shape.
        ArgumentValueError: `bins` or `max_bins` has a wrong value.
    """
    limit = MAX_BUCKETS if max_bins is None else _count(f"{where}: max_bins", max_bins)
    if isinstance(bins, str) and bins in _ESTIMATORS:
        with importing():
            from eventwriter.records.bucket_estimates import estimate_buckets  # noqa: PLC0415
        array = as_numpy(values, f"{where}: values")
        held = NumpyValues(array)
        found = bucket(held, min(limit, estimate_buckets(held, array, bins)))
    else:
        wanted = _resolve_bins(where, bins, limit)
        found = bucket(_countable(where, values), wanted)
    return HistogramResult(_value(found.edges, found.counts), found.nonfinite)


def _countable(where: str, values: ArrayLike) -> Values:
    if is_torch_tensor(values):
        with importing():
            from eventwriter.records.torch_values import TorchValues  # noqa: PLC0415
        if TorchValues.accepts(values):
            return TorchValues(values)
    return NumpyValues(as_numpy(values, f"{where}: values"))


def histogram_raw_value(
    where: str,
    numbers: dict[str, Scalar],
    bucket_limits: ArrayLike,
    bucket_counts: ArrayLike,
) -> Summary.Value:
    """Make a histogram of buckets that are counted already.

    Args:
        where: Names the call in errors.
        numbers: "min", "max" and whatever else has to be a number.
        bucket_limits: As in `add_histogram_raw`.
        bucket_counts: As in `add_histogram_raw`.

    Raises:
        ArgumentTypeError: A scalar is no number, or an array has another type or shape.
        ArgumentValueError: Limits, counts, "min" or "max" are not as described.
    """
    least, greatest, *_ = (_number(f"{where}: {name}", value) for name, value in numbers.items())
    limits = _vector(f"{where}: bucket_limits", bucket_limits)
    counts = _vector(f"{where}: bucket_counts", bucket_counts)
    if limits.size != counts.size:
        raise ArgumentValueError(
            f"{where}: expected as many bucket_limits as bucket_counts, got {limits.size} and "
            f"{counts.size}. Pass the right edge of each bucket as its limit."
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
        return _value(np.zeros(1), counts[:0])
    if not (np.isfinite(least) and np.isfinite(greatest) and least <= greatest):
        raise ArgumentValueError(
            f"{where}: expected finite min <= max, got {least} and {greatest}. "
            "Pass the least and the greatest value that was counted."
        )
    first, last = filled[0], filled[-1]
    # A bucket's left edge; the first of all begins at min, or is as narrow as can be.
    left = np.minimum(least, limits[0]) if first == 0 else limits[first - 1]
    edges = np.concatenate(([left], limits[first : last + 1]))
    if edges[0] <= least < edges[1]:
        edges[0] = least
    if edges[-2] < greatest <= edges[-1]:
        edges[-1] = greatest
    return _value(np.clip(edges, -EDGE_LIMIT, EDGE_LIMIT), counts[first : last + 1])


def _value(edges: Array, counts: Array) -> Summary.Value:
    rows = np.empty((len(counts), 3), "<f8")
    rows[:, 0] = edges[:-1]
    rows[:, 1] = edges[1:]
    rows[:, 2] = counts
    value = Summary.Value()
    value.metadata.plugin_data.plugin_name = "histograms"
    value.metadata.data_class = DATA_CLASS_TENSOR
    value.tensor.dtype = DT_DOUBLE
    value.tensor.tensor_shape.dim.add(size=len(counts))
    value.tensor.tensor_shape.dim.add(size=3)
    value.tensor.tensor_content = rows.tobytes()
    return value


def _resolve_bins(where: str, bins: Any, limit: int) -> int | Array:
    """Return a number of equal-width buckets, or edges, for at most `limit` buckets."""
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
            "Pass k + 1 edges for k buckets."
        )
    _require_ascending(f"{where}: bins", edges)
    if edges[-1] > EDGE_LIMIT or edges[0] < -EDGE_LIMIT:
        raise ArgumentValueError(
            f"{where}: bins: expected edges within {EDGE_LIMIT:.4g} of 0, got {edges[0]} to "
            f"{edges[-1]}. TensorBoard's page computes their difference. Scale the values."
        )
    merged = -(-(edges.size - 1) // limit)
    return np.append(edges[:-1:merged], edges[-1])


def _count(where: str, value: Any) -> int:
    """Return a number of buckets."""
    return arguments.count(value, where, least=1, most=MAX_BUCKETS)


def _number(where: str, value: Any) -> float:
    array = as_numpy(value, where)
    if array.ndim:
        raise ArgumentTypeError(
            f"{where}: expected a number, got an array of shape {array.shape}. Reduce it first."
        )
    return float(array)


def _vector(where: str, value: Any) -> Array:
    array = as_numpy(value, where)
    if array.ndim != 1:
        raise ArgumentTypeError(
            f"{where}: expected an array of one dimension, got shape {array.shape}. Reshape it."
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
