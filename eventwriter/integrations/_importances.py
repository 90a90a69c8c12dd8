"""Importances of features as numbers with names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_MOST = 100
"""Curves of one kind: a page with more of them shows nobody anything."""


def importance_numbers(weights: Mapping[str, Any], features: Sequence[str]) -> dict[str, float]:
    """Return importances as numbers with the names of their features.

    Of many features these are the 100 that have the largest importances now.

    Args:
        weights: Arrays `[features]` by the kind of importance. Arrays with more axes are left out.
        features: The names of the features.
    """
    found: dict[str, float] = {}
    for kind, values in weights.items():
        if np.ndim(values) == 1:
            largest = np.sort(np.argsort(-np.abs(values), kind="stable")[:_MOST])
            found |= {f"{kind}/{features[index]}": float(values[index]) for index in largest}
    return found
