"""Haulout: a portable memory layer for AI agents, owned by the person it is about.

    from haulout import Vault

    vault = Vault.open()
    vault.remember("Ana is allergic to walnuts.", speaker="Ana", tags=["health"])
    vault.recall("what can't Ana eat?")

Importing this package loads nothing heavy; names are fetched when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulout.version import __version__

if TYPE_CHECKING:
    from haulout.crypto.kit import RecoveryKit
    from haulout.errors import HauloutError
    from haulout.index.context import Citation, Context
    from haulout.index.search import Recalled
    from haulout.log.memory import Memory
    from haulout.vault import Vault
    from haulout.vault.asynchronous import AsyncVault
    from haulout.vault.values import (
        BackedUp,
        CheckReport,
        Event,
        Exported,
        Page,
        Receipt,
        Stats,
    )

_HOMES = {
    "AsyncVault": "haulout.vault.asynchronous",
    "BackedUp": "haulout.vault.values",
    "CheckReport": "haulout.vault.values",
    "Citation": "haulout.index.context",
    "Context": "haulout.index.context",
    "Event": "haulout.vault.values",
    "Exported": "haulout.vault.values",
    "HauloutError": "haulout.errors",
    "Memory": "haulout.log.memory",
    "Page": "haulout.vault.values",
    "Recalled": "haulout.index.search",
    "Receipt": "haulout.vault.values",
    "RecoveryKit": "haulout.crypto.kit",
    "Stats": "haulout.vault.values",
    "Vault": "haulout.vault",
}

__all__ = [
    "AsyncVault",
    "BackedUp",
    "CheckReport",
    "Citation",
    "Context",
    "Event",
    "Exported",
    "HauloutError",
    "Memory",
    "Page",
    "Recalled",
    "Receipt",
    "RecoveryKit",
    "Stats",
    "Vault",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Fetch a public name from where it lives, once."""
    if name not in _HOMES:
        message = f"module 'haulout' has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
