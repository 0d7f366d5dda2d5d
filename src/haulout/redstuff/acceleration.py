"""Which engine does the work: NumPy's, or numba's where it is installed and pays.

Importing numba and loading compiled code takes about 1.5 s of CPU a process, and compiling it,
once for an installation, about 12 s. A program that encodes one small blob is done before that.
So NumPy works until a process has had work for about as long as loading takes, or is given more
than that at once; from then on it is numba. Whoever starts in the morning and encodes all day
calls `prepare` first.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Final, Literal, get_args

from haulout.errors import InputError
from haulout.redstuff.engine import Engine
from haulout.redstuff.plain import PlainEngine

Choice = Literal["automatic", "numpy", "numba"]

_ENOUGH: Final = 1_500.0
"""Milliseconds of NumPy's work from which numba is loaded."""
_HASH: Final = 0.35e-3
_BYTE: Final = 10e-6
"""Milliseconds that NumPy's engine takes for one hash, and for one byte of symbols."""

_PLAIN: Final = PlainEngine()
_choice: ContextVar[Choice] = ContextVar("choice", default="automatic")


class _Spent:
    """How long NumPy has worked in this process, by estimate."""

    milliseconds = 0.0


@cache
def _compiled() -> Engine | None:
    """Numba's engine, or None where numba is not installed."""
    try:
        from haulout.redstuff.compiled import CompiledEngine
    except ImportError:
        return None
    return CompiledEngine()


def engine(hashes: int, symbol_bytes: int) -> Engine:
    """The engine for a piece of work.

    Args:
        hashes: how many hashes it takes.
        symbol_bytes: how many bytes of symbols go in and come out.
    """
    chosen = _choice.get()
    if chosen == "numpy":
        return _PLAIN
    if chosen == "automatic":
        _Spent.milliseconds += hashes * _HASH + symbol_bytes * _BYTE
        if _Spent.milliseconds < _ENOUGH:
            return _PLAIN
    return _compiled() or _PLAIN


def prepare() -> bool:
    """Load numba's engine, compiling it where that was never done; False where there is none."""
    _Spent.milliseconds = _ENOUGH
    return _compiled() is not None


@contextmanager
def using(choice: Choice) -> Generator[None]:
    """Do all work inside with one engine, in this thread and task; for tests and benchmarks.

    Args:
        choice: "numpy" or "numba", or "automatic", which is what happens otherwise.

    Raises:
        InputError: "numba" is not installed, or there is no such choice.
    """
    if choice not in get_args(Choice):
        raise InputError(f"{choice!r} is no engine.")
    if choice == "numba" and _compiled() is None:
        raise InputError("numba is not installed.", hint="Install `haulout[fast]`.")
    token = _choice.set(choice)
    try:
        yield
    finally:
        _choice.reset(token)
