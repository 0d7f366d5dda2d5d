"""The port behind which an embedding model sits, and the bytes its vectors are kept as.

Importing this module loads NumPy and nothing heavier; a model's runtime is imported by the
embedder that needs it, on its first text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from haulout.errors import InputError

_LEVELS: Final = 127
"""Largest level of a kept component; -128 stays unused so that negation is exact."""


class Embedder(Protocol):
    """Turns texts into unit vectors. Safe to call from several threads at once."""

    @property
    def model(self) -> str:
        """Identity of the vector space: model, revision and quantisation.

        Vectors with different identities are never compared with each other.
        """
        ...

    @property
    def dimensions(self) -> int:
        """Components per vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row of unit length for each text, in the order given.

        The vector of a text does not depend on the other texts of the call.

        Args:
            texts: any number of texts; an empty text has a vector as well.

        Returns:
            float32 [len(texts), dimensions].

        Raises:
            ModelError: the model is missing, broken or unreachable.
        """
        ...


def unit_rows(vectors: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the rows scaled to length 1.

    Args:
        vectors: float32 or float64 [n, dimensions].

    Returns:
        float32 [n, dimensions].

    Raises:
        InputError: a row is zero or holds a component that is not a finite number.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise InputError("A vector is zero or not finite; it has no direction.")
    return (vectors / lengths).astype(np.float32)


def quantise(vector: NDArray[np.float32]) -> bytes:
    """Return a vector's direction as one signed byte per component.

    The largest component becomes 127 in size and the length is dropped: a unit vector needs no
    scale beside it. For 384 components the cosine to the original is above 0.9999.

    Args:
        vector: float32 [dimensions]; any length but zero.

    Raises:
        InputError: the vector is zero or not finite.
    """
    largest = float(np.abs(vector).max(initial=0.0))
    if not 0.0 < largest < np.inf:  # false for NaN too
        raise InputError("A vector is zero or not finite; it has no direction.")
    return np.rint(vector.astype(np.float64) * (_LEVELS / largest)).astype(np.int8).tobytes()


def dequantise(kept: bytes) -> NDArray[np.float32]:
    """Return the unit vector that :func:`quantise` kept.

    Args:
        kept: one signed byte per component.

    Returns:
        float32 [len(kept)], of length 1.

    Raises:
        InputError: every byte is zero, which no vector was kept as.
    """
    levels = np.frombuffer(kept, dtype=np.int8).astype(np.float32)
    return unit_rows(levels[np.newaxis])[0]
