"""Values whose histograms are out of the ordinary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Name: (values, how many of them are finite).
EDGE_CASES: dict[str, tuple[NDArray[Any], int]] = {
    "constant": (np.full(100, 0.25), 100),
    "constant zero": (np.zeros(7), 7),
    "constant huge": (np.full(3, -1.5e308), 3),
    "single": (np.array([-2.5]), 1),
    "scalar": (np.array(4.0), 1),
    "empty": (np.array([]), 0),
    "all NaN": (np.full(5, math.nan), 0),
    "all infinite": (np.array([math.inf, -math.inf]), 0),
    "some not finite": (np.array([1.0, math.nan, 2.0, math.inf, -math.inf, 3.0]), 3),
    "huge range": (np.array([-1.7e308, -1.0, 0.0, 1.0, 1.7e308]), 5),
    "wider than float32": (np.array([-1e300, 1e-300, 1e300]), 3),
    "denormal": (np.array([5e-324, 1e-323, 0.0]), 3),
    "next to each other": (np.array([1.0, np.nextafter(1.0, 2.0)]), 2),
    "beyond 2**53": (np.array([2**53, 2**53 + 1, 2**62, -(2**63)]), 4),
    "uint64": (np.array([0, 2**64 - 1], dtype=np.uint64), 2),
    "bool": (np.array([True, False, True]), 3),
    "int8": (np.arange(-128, 128).astype(np.int8), 256),
    "float16": (np.linspace(-65504, 65504, 99).astype(np.float16), 99),
}
