"""Randomness: one stream for each purpose and session, so that no draw moves another.

Markets, faults, fills, planners and users draw from streams of their own, keyed by seed, purpose
and session. Another arm, profile or fault rate changes none of them (common random numbers).
"""

from __future__ import annotations

from typing import Final

import numpy as np

PURPOSES: Final = ("market", "fault", "fill", "planner", "user", "bootstrap", "bytes")


def stream(seed: int, purpose: str, session: int) -> np.random.Generator:
    """The stream of a purpose in a session."""
    key = np.array([seed * 16 + PURPOSES.index(purpose), session], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
