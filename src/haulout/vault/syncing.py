"""The verbs that reach beyond this disk: sync, and where the vault's bytes are."""

from __future__ import annotations

from haulout.vault.arguments import Progress, silent
from haulout.vault.openvault import OpenVault
from haulout.vault.values import Synced


class Syncing(OpenVault):
    """What sends a vault's records to its stores."""

    def sync(self, *, progress: Progress | None = None) -> Synced:
        """Publish everything that is not in the stores yet, and say what each holds.

        What was begun before a crash goes on where it stood; nothing is sent or paid twice.

        Args:
            progress: called with bytes sent and their number, publication by publication.

        Raises:
            StorageError: no store could take it, with the first store's reason.
            ConflictError: another copy of this vault publishes as this device.
        """
        return self._remote.sync(progress or silent)

    def stores(self) -> Synced:
        """What each store holds, as far as this disk knows; nothing is asked of them."""
        return self._remote.status()

    def locator(self) -> str:
        """Where the vault's bytes are: a text to keep with the recovery kit. It holds no secret.

        Raises:
            NotFoundError: the vault has no stores.
        """
        return self._remote.locator()
