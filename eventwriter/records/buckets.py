"""The edges and counts of a histogram, in NumPy alone.

One pass over the values finds their extent, and one pass counts them. Both passes take the array
in pieces that stay in the processor's cache. `np.nditer` hands out the pieces and casts them, for
any strides, byte order and dtype. So extra memory does not grow with the array.

Most values find their bucket by arithmetic: subtract, scale, truncate. The law of this fast path:

- Integers and bools are counted exactly as `np.histogram` counts them for the same edges.
- A float may be counted on either side of an inner edge that is no further away than

      4 * eps(T) * (hi - lo)  +  eps(float64) * max(|lo|, |hi|)

  where T is float32 for floats of up to 32 bits, and float64 otherwise. This distance is less than
  a bucket. So a value is never counted beyond the neighbouring bucket.
- Every value is counted once.

Where the arithmetic could be further off than that, `np.histogram` itself counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

# A piece is 256 KiB of float32. It stays in a core's cache together with its scratch memory, and
# the interpreter's share of the time is small. Measured: smaller pieces are slower, larger ones
# are no faster.
_PIECE = 1 << 16
# Pairs of bucket numbers, a byte each, are counted at once. This is worth it where the table of
# 256 * (k + 1) counts is small and there are many values.
_PAIRED_BUCKETS = 63
_PAIRED_SIZE = 1 << 14
# So many buckets take 1.5 MiB in the file. A float32 can still stand at a hundred distinct places
# in each of them.
MAX_BUCKETS = 1 << 16
# TensorBoard must not overflow. It computes hi - lo, also over several steps. For percentiles it
# multiplies the width of a bucket by up to 10,000 (hundredths of a percent).
EDGE_LIMIT = 2.0**1008

# Scratch memory that no call uses at the moment. Getting it from the system and giving it back for
# each call takes longer than counting a piece.
_spare_scratch: list[Array] = []
_SPARES = 4  # threads that count at the same time without a wait; 1.5 MiB each at the most


class Buckets(NamedTuple):
    """A histogram.

    Attributes:
        edges: float64 `[k + 1]`, finite, strictly ascending. `[v, v]` where all values are v. `[0]`
            for k = 0.
        counts: int64 `[k]`. Buckets are closed-open, and the last one is closed.
        nonfinite: How many values are NaN or infinite. They are in no bucket.
    """

    edges: Array
    counts: Array
    nonfinite: int


class Values(Protocol):
    """Values that can be counted: `NumpyValues`, or `torch_values.TorchValues` on a device."""

    size: int
    lo: float
    hi: float
    nonfinite: int

    def count(self, edges: Array) -> Array:
        """Return the counts of the values within the edges, int64 `[k]`."""

    def count_all(self, edges: Array) -> Array:
        """Return the counts of all finite values, int64 `[k]`, for `equal_width_edges`."""


def bucket(values: Values, bins: int | Array) -> Buckets:
    """Count values into buckets.

    Args:
        values: The values.
        bins: A number of equal-width buckets over the finite values, from 1 to `MAX_BUCKETS`. Or
            edges: float64 `[k + 1]`, finite, strictly ascending. Values outside of these edges are
            left out.
    """
    if not isinstance(bins, int):
        return Buckets(bins, values.count(bins), values.nonfinite)
    finite = values.size - values.nonfinite
    if not finite:
        return Buckets(np.zeros(1), np.zeros(0, np.int64), values.nonfinite)
    edges = equal_width_edges(values.lo, values.hi, bins)
    if edges[0] == edges[-1]:
        return Buckets(edges, np.array([finite], np.int64), values.nonfinite)
    return Buckets(edges, values.count_all(edges), values.nonfinite)


def equal_width_edges(lo: float, hi: float, buckets: int) -> Array:
    """Return edges of equal-width buckets from lo to hi, as `np.histogram(..., buckets)` does.

    Three things differ, so that the edges can be drawn. The edges of a constant v are `[v, v]`. A
    range that is too narrow for so many distinct float64 edges has one bucket for each distinct
    edge. The outermost edges are at most `EDGE_LIMIT` from 0.

    Returns:
        float64 `[k + 1]` with 1 <= k <= buckets, finite, strictly ascending (except for a
        constant).
    """
    # Adding 0 turns -0.0 into 0.0.
    first = max(float(lo), -EDGE_LIMIT) + 0.0
    last = min(float(hi), EDGE_LIMIT) + 0.0
    if first >= last:
        only = min(first, EDGE_LIMIT)
        return np.array([only, only])
    edges = _linspace(first, last, buckets)
    if (edges[1:] > edges[:-1]).all():
        return edges
    # The step between denormal numbers is rounded itself, and leads beyond the end.
    edges = np.minimum(edges, last)
    distinct: Array = edges[np.append(True, edges[1:] != edges[:-1])]
    return distinct


def _take_scratch() -> Array:
    """Return uint8 `[3, 8 * _PIECE]`: three arrays as long as a piece, 8 bytes an element."""
    try:
        return _spare_scratch.pop()
    except IndexError:
        return np.empty((3, 8 * _PIECE), np.uint8)


def _return_scratch(scratch: Array) -> None:
    if len(_spare_scratch) < _SPARES:
        _spare_scratch.append(scratch)


def _linspace(first: float, last: float, intervals: int) -> Array:
    """Return `np.linspace(first, last, intervals + 1)`, in a third of its time."""
    step = (last - first) / intervals
    if not step:
        return np.linspace(first, last, intervals + 1)
    edges: Array = np.arange(intervals + 1) * step
    edges += first
    edges[-1] = last
    return edges


class NumpyValues:
    """The values of an array.

    Attributes:
        size: Number of elements.
        lo: Least finite value, exactly; an int for integers. inf when there is none.
        hi: Greatest finite value; -inf when there is none.
        nonfinite: How many are NaN or infinite.
    """

    def __init__(self, array: Array) -> None:
        """Find the extent.

        Args:
            array: An array of any shape, strides and byte order, of bools, integers or real floats
                (bfloat16 too).
        """
        self._array = array
        self._integers = array.dtype.kind in "iu"
        # Bools and 16-bit floats are counted as float32, which holds them exactly.
        self._dtype = (
            array.dtype.newbyteorder("=")
            if self._integers or array.dtype.itemsize >= 4
            else np.dtype(np.float32)
        )
        self.size = array.size
        self.nonfinite = 0
        self.lo, self.hi = math.inf, -math.inf
        # Some versions of NumPy report a comparison with NaN as invalid.
        with np.errstate(invalid="ignore"):
            for piece in self._pieces(self._dtype):
                lo, hi = piece.min().item(), piece.max().item()
                # NaN and infinities show up in min or max. Only then is a mask worth its time.
                if not self._integers and not (math.isfinite(lo) and math.isfinite(hi)):
                    finite = piece[np.isfinite(piece)]
                    self.nonfinite += piece.size - finite.size
                    if not finite.size:
                        continue
                    lo, hi = finite.min().item(), finite.max().item()
                self.lo, self.hi = min(self.lo, lo), max(self.hi, hi)

    def count(self, edges: Array) -> Array:
        """Count the values in each bucket. Values outside of the edges are left out.

        Args:
            edges: float64 `[k + 1]`, strictly ascending.

        Returns:
            int64 `[k]`, as `np.histogram(values, edges)` returns.
        """
        counts = np.zeros(len(edges) - 1, np.int64)
        for piece in self._finite_pieces(self._dtype):
            counts += np.histogram(piece, edges)[0]
        return counts

    def count_all(self, edges: Array) -> Array:
        """Count all finite values, for edges that `equal_width_edges` made of `lo` and `hi`.

        Values beyond the outermost edges (beyond `EDGE_LIMIT`) go into the outermost buckets.

        Returns:
            int64 `[k]`, by the law at the top of this module.
        """
        if self._integers:
            # This is faster if there are no more different integers than values.
            if self.hi - self.lo < min(max(self.size, 256), _PIECE):
                return self._count_each_integer(edges)
            exact = self._exact_arithmetic(edges)
        else:
            exact = self._float_arithmetic(edges)
        if exact is not None:
            return self._count_by_arithmetic(len(edges) - 1, *exact)
        counts = np.zeros(len(edges) - 1, np.int64)
        for piece in self._finite_pieces(np.dtype(np.float64)):
            counts += np.histogram(np.clip(piece, edges[0], edges[-1]), edges)[0]
        return counts

    def _count_each_integer(self, edges: Array) -> Array:
        """Count every integer from lo to hi by itself, then add up those that share a bucket."""
        span = int(self.hi) - int(self.lo) + 1
        counts = np.zeros(span, np.int64)
        # This cast wraps modulo 2**64, and so does the subtraction below. So the differences are
        # right for uint64 too.
        least = np.array([self.lo], self._dtype).astype(np.int64)
        offsets = np.empty(min(self.size, _PIECE), np.int64)
        for piece in self._pieces(np.dtype(np.int64)):
            found = offsets[: piece.size]
            np.subtract(piece, least, out=found)
            counts += np.bincount(found, minlength=span)
        integers = (np.arange(span, dtype=np.int64) + least).astype(self._dtype)
        starts = np.searchsorted(integers.astype(np.float64), edges[1:-1])
        below = np.concatenate(([0], np.cumsum(counts)))
        return np.diff(below[np.concatenate(([0], starts, [span]))])

    def _exact_arithmetic(self, edges: Array) -> tuple[np.dtype[Any], float, float] | None:
        """Return the dtype, offset and scale that count integers exactly, or None."""
        buckets = len(edges) - 1
        lo, span = int(self.lo), int(self.hi) - int(self.lo)
        if max(abs(int(self.lo)), abs(int(self.hi))) * buckets >= 1 << 49:
            return None
        # Bucket i begins at the integer lo + ceil(i * span / buckets), unless its edge was rounded
        # to a place beyond that integer.
        index = np.arange(buckets + 1)
        if not np.array_equal(np.ceil(edges), lo - (-index * span // buckets)):
            return None
        # For a value d above lo, d * buckets / span is i, or at most i - 1 / span. After half of
        # 1 / span is added to both, they are further from i than the rounding errors, because of
        # the bound above.
        return np.dtype(np.float64), lo - 0.5 / buckets, buckets / span

    def _float_arithmetic(self, edges: Array) -> tuple[np.dtype[Any], float, float] | None:
        """Return the dtype, offset and scale that count floats by the module's law, or None."""
        buckets = len(edges) - 1
        lo, hi = float(edges[0]), float(edges[-1])
        # If buckets are hardly wider than the rounding of their edges, their widths are not equal.
        too_narrow = (hi - lo) / buckets < 8 * np.spacing(max(-lo, hi))
        if too_narrow or lo > self.lo or hi < self.hi:
            return None
        scale = buckets / (hi - lo)
        for dtype in (self._dtype, np.dtype(np.float64)):
            least, greatest = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
            if hi - lo <= greatest and least <= scale <= greatest:
                return dtype, lo, scale
        return None

    def _count_by_arithmetic(
        self, buckets: int, dtype: np.dtype[Any], offset: float, scale: float
    ) -> Array:
        """Count values in bucket `int((value - offset) * scale)`, the last edge in the last one."""
        paired = buckets <= _PAIRED_BUCKETS and self.size >= _PAIRED_SIZE
        counts = np.zeros((buckets + 1) * (256 if paired else 1), np.int64)
        scratch = _take_scratch()
        scaled = scratch[0].view(dtype)
        slots = scratch[1].view(np.uint8 if paired else np.intp)
        pairs = slots.view(np.uint16) if paired else slots
        indices = scratch[2].view(np.intp) if paired else slots
        typed_offset, typed_scale = dtype.type(offset), dtype.type(scale)
        padding = 0
        for piece in self._finite_pieces(dtype):
            size = piece.size
            np.subtract(piece, typed_offset, out=scaled[:size])
            np.multiply(scaled[:size], typed_scale, out=scaled[:size])
            np.copyto(slots[:size], scaled[:size], casting="unsafe")
            if paired:
                odd = size % 2
                slots[size : size + odd] = 0
                padding += odd
                size = (size + odd) // 2
                np.copyto(indices[:size], pairs[:size])
            counts += np.bincount(indices[:size], minlength=len(counts))
        _return_scratch(scratch)
        if paired:
            both = counts.reshape(buckets + 1, 256)
            counts = both.sum(axis=1) + both.sum(axis=0)[: buckets + 1]
        counts[0] -= padding
        counts[-2] += counts[-1]
        return counts[:-1]

    def _finite_pieces(self, dtype: np.dtype[Any]) -> Iterator[Array]:
        pieces = self._pieces(dtype)
        return (piece[np.isfinite(piece)] for piece in pieces) if self.nonfinite else pieces

    def _pieces(self, dtype: np.dtype[Any]) -> Iterator[Array]:
        """Yield all elements in memory order, as 1-D pieces of `dtype` that must not be kept."""
        array = self._array
        if array.flags.c_contiguous and array.dtype == dtype and 0 < array.size <= _PIECE:
            yield array.reshape(-1)  # the code below yields the same, and costs more
            return
        with np.nditer(
            array,
            flags=["external_loop", "buffered", "zerosize_ok"],
            op_dtypes=[dtype],
            casting="unsafe",
            buffersize=_PIECE,
        ) as pieces:
            yield from pieces
