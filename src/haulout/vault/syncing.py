"""The verbs that reach beyond this disk: sync, volumes, repair, and where the bytes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from haulout.errors import HauloutError
from haulout.vault.arguments import Progress, silent
from haulout.vault.background import Background
from haulout.vault.openvault import OpenVault
from haulout.vault.values import Synced, VolumesRebalanced, VolumesRepaired, VolumesReport


def _nobody(_what: Synced | HauloutError) -> None:
    """Tell nobody."""


class Syncing(OpenVault):
    """What sends a vault's records to its stores, and keeps those well."""

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

    def keep_synced(
        self, *, every: float = 5.0, told: Callable[[Synced | HauloutError], None] | None = None
    ) -> None:
        """Publish in the background whatever is new, until the vault is closed.

        Any long-running process may do so; one at a time publishes, whichever it is.

        Args:
            every: seconds between two looks for new records.
            told: called, on another thread, with what each publication did, and with each failure
                that differs from the one before; a store that fails is tried again by itself.

        Raises:
            ReadOnlyError: this is a replica.
        """
        self._journal.require_writable()
        if self._background is None:
            self._background = Background(self._new, every, told or _nobody)

    def _new(self, report: Progress) -> Synced | None:
        """Publish what waits; None where nothing does."""
        return self._remote.sync(report, force=False) if self._remote.waiting() else None

    def stores(self) -> Synced:
        """What each store holds, as far as this disk knows; nothing is asked of them."""
        return self._remote.status()

    def locator(self) -> str:
        """Where the vault's bytes are: a text to keep with the recovery kit. It holds no secret.

        Raises:
            NotFoundError: the vault has no stores.
        """
        return self._remote.locator()

    # ------------------------------------------------------------------ volumes

    def volumes(self, *, ask: bool = False) -> VolumesReport:
        """The volumes, what they survive and what they cost.

        Args:
            ask: ask each volume what it holds, too.

        Raises:
            NotFoundError: the vault has no volumes; StoreUnavailableError: none answers.
        """
        return self._volumes.told(ask=ask)

    def add_volumes(
        self,
        urls: Sequence[str],
        *,
        shards: int | None = None,
        progress: Progress | None = None,
    ) -> VolumesReport:
        """Make folders and buckets volumes of this vault: its bytes are spread on all of them.

        Args:
            urls: paths, or URLs of file, s3, gs or az.
            shards: of every blob, 4 to 1,000 and 10 where none is given; for the first volumes.
            progress: called with blobs carried over and their number, where others are there.

        Raises:
            InputError: a URL is no place, or a volume already. ConflictError: a place holds
            something else. StorageError: one does not answer; what stood before stands.
        """
        return self._volumes.add(urls, shards, progress or silent)

    def remove_volume(
        self, volume: str, *, give_up: bool = False, progress: Progress | None = None
    ) -> VolumesRebalanced:
        """Take a volume out; its shards go to the others first, rebuilt where it is gone.

        Args:
            volume: its ID or URL.
            give_up: go on although it does not answer and may hold the last of a blob.
            progress: as for `add_volumes`.

        Raises:
            NotFoundError: there is none such; InputError: it is the last one.
            StoreUnavailableError: a blob cannot be made whole without it; it stays.
        """
        return self._volumes.remove(volume, give_up=give_up, report=progress or silent)

    def detach_volumes(self) -> Synced:
        """Let the volumes go; what they hold stays there. Returns the stores that are left.

        Raises:
            NotFoundError: the vault has no volumes.
        """
        with self._remote.alone():
            self._remote.remove("volumes")
        return self._remote.status()

    def rebalance(self, *, progress: Progress | None = None) -> VolumesRebalanced:
        """Spread shards evenly again, or finish a change of the volumes that was cut short.

        Raises:
            NotFoundError: the vault has no volumes; StorageError: as for `add_volumes`.
        """
        return self._volumes.rebalance(progress or silent)

    def repair(
        self,
        *,
        deep: bool = False,
        adopt: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> VolumesRepaired:
        """Rebuild what is missing or damaged on the volumes, from the others; no key is used.

        Args:
            deep: read and verify every object, rather than trust names and sizes.
            adopt: volumes whose places were emptied or replaced, by ID or URL: they are filled
                again.
            progress: called with blobs looked at and their number.

        Raises:
            NotFoundError: the vault has no volumes; StoreUnavailableError: none answers.
        """
        return self._volumes.repair(deep=deep, adopt=adopt, report=progress or silent)
