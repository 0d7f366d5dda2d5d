"""How functions are compiled by numba, and where the result is kept.

Numba keeps compiled code beside the source file, or in the user's cache folder where that cannot
be written; where neither can, where the disk is full or what is kept there is broken, the code is
compiled for this process alone. That is slow and never wrong. The interpreter's lock is released
while compiled code runs, so threads help.
"""

from __future__ import annotations

from collections.abc import Callable
from pickle import PickleError
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

_CACHE_FAILS = (OSError, RuntimeError, PickleError, EOFError, ValueError, LookupError, TypeError)


def kernel(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for one signature as it is defined, or load what was compiled before."""

    def compiled(function: Callable[P, R]) -> Callable[P, R]:
        try:
            made = numba.njit(signature, nogil=True, cache=True)(function)
        except _CACHE_FAILS:
            made = numba.njit(signature, nogil=True)(function)
        return cast("Callable[P, R]", made)

    return compiled


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """A part of kernels, compiled into each of them."""
    return cast("Callable[P, R]", numba.njit(nogil=True, forceinline=True)(function))


def part(function: Callable[P, R]) -> Callable[P, R]:
    """A part of kernels that they call, compiled once for each of them."""
    return cast("Callable[P, R]", numba.njit(nogil=True)(function))
