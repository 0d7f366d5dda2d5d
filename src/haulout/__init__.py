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
    from haulout.log.attachment import Attachment, Passage
    from haulout.log.memory import Memory
    from haulout.state.acting import Actor
    from haulout.state.intents import Intent
    from haulout.state.recovery import Recovery
    from haulout.state.state import State
    from haulout.vault import Vault
    from haulout.vault.asynchronous import AsyncVault
    from haulout.vault.statereports import (
        DocumentReport,
        IntentReport,
        RecoveryReport,
        ReservedIntent,
        StateEvent,
        StateReport,
        StatesChanged,
    )
    from haulout.vault.stores.costing import CostReport
    from haulout.vault.stores.restoring import Restored
    from haulout.vault.stores.standing import NotRemoteWarning
    from haulout.vault.stores.storeoptions import StoreOptions
    from haulout.vault.values import (
        BackedUp,
        CheckReport,
        Event,
        Exported,
        Page,
        Receipt,
        Refreshed,
        Stats,
        StoreSynced,
        Synced,
        VolumeReport,
        VolumesRebalanced,
        VolumesRepaired,
        VolumesReport,
        WalrusReport,
    )

_HOMES = {
    "Actor": "haulout.state.acting",
    "AsyncVault": "haulout.vault.asynchronous",
    "Attachment": "haulout.log.attachment",
    "BackedUp": "haulout.vault.values",
    "CheckReport": "haulout.vault.values",
    "Citation": "haulout.index.context",
    "Context": "haulout.index.context",
    "CostReport": "haulout.vault.stores.costing",
    "DocumentReport": "haulout.vault.statereports",
    "Event": "haulout.vault.values",
    "Exported": "haulout.vault.values",
    "HauloutError": "haulout.errors",
    "Intent": "haulout.state.intents",
    "IntentReport": "haulout.vault.statereports",
    "Memory": "haulout.log.memory",
    "NotRemoteWarning": "haulout.vault.stores.standing",
    "Page": "haulout.vault.values",
    "Passage": "haulout.log.attachment",
    "Recalled": "haulout.index.search",
    "Receipt": "haulout.vault.values",
    "Recovery": "haulout.state.recovery",
    "RecoveryKit": "haulout.crypto.kit",
    "RecoveryReport": "haulout.vault.statereports",
    "Refreshed": "haulout.vault.values",
    "ReservedIntent": "haulout.vault.statereports",
    "Restored": "haulout.vault.stores.restoring",
    "State": "haulout.state.state",
    "StateEvent": "haulout.vault.statereports",
    "StateReport": "haulout.vault.statereports",
    "StatesChanged": "haulout.vault.statereports",
    "Stats": "haulout.vault.values",
    "StoreOptions": "haulout.vault.stores.storeoptions",
    "StoreSynced": "haulout.vault.values",
    "Synced": "haulout.vault.values",
    "Vault": "haulout.vault",
    "VolumeReport": "haulout.vault.values",
    "VolumesRebalanced": "haulout.vault.values",
    "VolumesRepaired": "haulout.vault.values",
    "VolumesReport": "haulout.vault.values",
    "WalrusReport": "haulout.vault.values",
}

__all__ = [
    "Actor",
    "AsyncVault",
    "Attachment",
    "BackedUp",
    "CheckReport",
    "Citation",
    "Context",
    "CostReport",
    "DocumentReport",
    "Event",
    "Exported",
    "HauloutError",
    "Intent",
    "IntentReport",
    "Memory",
    "NotRemoteWarning",
    "Page",
    "Passage",
    "Recalled",
    "Receipt",
    "Recovery",
    "RecoveryKit",
    "RecoveryReport",
    "Refreshed",
    "ReservedIntent",
    "Restored",
    "State",
    "StateEvent",
    "StateReport",
    "StatesChanged",
    "Stats",
    "StoreOptions",
    "StoreSynced",
    "Synced",
    "Vault",
    "VolumeReport",
    "VolumesRebalanced",
    "VolumesRepaired",
    "VolumesReport",
    "WalrusReport",
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
