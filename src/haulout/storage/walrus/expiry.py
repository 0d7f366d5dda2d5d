"""Which blobs are about to be dropped by the network. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from haulout.storage.walrus.placing import Placed


def expiring(placed: Iterable[Placed], current_epoch: int, within: int) -> tuple[Placed, ...]:
    """Those that end within so many epochs, the soonest first; gone ones are among them.

    Args:
        placed: what stands, or stood; current_epoch: as the storage nodes tell it.
        within: epochs from now; 0 names those that are gone, 1 those of which this is the last.
    """
    due = [one for one in placed if one.end_epoch <= current_epoch + within]
    return tuple(sorted(due, key=lambda one: one.end_epoch))
