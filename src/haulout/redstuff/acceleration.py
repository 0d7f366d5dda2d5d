"""Which engine does the work."""

from __future__ import annotations

from haulout.redstuff.engine import Engine
from haulout.redstuff.plain import PlainEngine

_PLAIN = PlainEngine()


def engine(work: int = 0) -> Engine:
    """The engine for a task of some ``work``."""
    del work
    return _PLAIN
