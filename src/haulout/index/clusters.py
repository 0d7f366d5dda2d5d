"""Dividing vectors into groups of neighbours: spherical k-means and nothing else.

Deterministic: the same vectors in the same order give the same groups on the same machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_ROUNDS: Final = 8
_ROWS_AT_ONCE: Final = 4096
_SEED: Final = 7


def nearest(units: Floats, centres: Floats) -> NDArray[np.int64]:
    """For each unit vector the number of the centre whose direction is nearest."""
    found = np.empty(len(units), np.int64)
    across = np.ascontiguousarray(centres.T)
    for start in range(0, len(units), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        found[part] = (units[part] @ across).argmax(axis=1)
    return found


def centres_of(sample: Floats, count: int) -> Floats:
    """Directions that divide a sample of unit vectors into about ``count`` groups.

    Begins at vectors of the sample; a group that empties begins anew at another of them.

    Args:
        sample: float32 [n, dimensions], n >= count; every row of unit length.

    Returns:
        float32 [count, dimensions], rows of unit length.
    """
    rng = np.random.default_rng(_SEED)
    centres = sample[np.sort(rng.choice(len(sample), count, replace=False))]
    for _ in range(_ROUNDS):
        groups = nearest(sample, centres)
        order = np.argsort(groups, kind="stable")
        sizes = np.bincount(groups, minlength=count)
        filled = np.flatnonzero(sizes)
        starts = (np.cumsum(sizes) - sizes)[filled]
        sums = np.add.reduceat(sample[order], starts, axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = sample[np.sort(rng.choice(len(sample), count, replace=False))]
        sound = lengths[:, 0] > 1e-6  # noqa: PLR2004 - opposite vectors have no mean direction
        centres[filled[sound]] = sums[sound] / lengths[sound]
    return centres
