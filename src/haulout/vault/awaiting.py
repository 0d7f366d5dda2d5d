"""The verbs of `AsyncVault` beside remembering and recalling, awaited.

Made from the modules of `Vault` by tools/async_vault.py: change those, then run the program.
"""

# ruff: noqa: A002 - the words callers know

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

from haulout.errors import HauloutError
from haulout.log.memory import Memory
from haulout.vault.arguments import Progress
from haulout.vault.attachments.sources import Source
from haulout.vault.threads import Threads, on_loop
from haulout.vault.values import (
    BackedUp,
    CheckReport,
    Exported,
    Refreshed,
    Synced,
    VolumesRebalanced,
    VolumesRepaired,
    VolumesReport,
    WalrusReport,
)
from haulout.vault.vault import Vault

if TYPE_CHECKING:
    from haulout.vault.stores.costing import CostReport


class Awaiting:
    """Verbs of a vault, each run on one of its threads: a part of `AsyncVault`."""

    _vault: Vault
    _threads: Threads

    async def attachment(self, id: str) -> BinaryIO:
        """The bytes of a memory's attachment, as a stream that can be read and sought in.

        It reads what the newest version has, chunk by chunk, and never holds more than a few
        megabytes; what is appended later needs another stream. Close it when done. The stream
        is an ordinary one from `AsyncVault`, too: its reads wait for the disk, so that a program
        with an event loop calls them by ``asyncio.to_thread``.

        Raises:
            NotFoundError, ErasedError: there is no such memory (any more). InputError: it has no
            attachment. Reading raises BlobMissingError, DamagedError: bytes are not here, or
            not what was written; the message says what to do.
        """
        return await self._threads.run(self._vault.attachment, id)

    async def append(
        self,
        id: str,
        data: Source,
        *,
        op_id: str | None = None,
        every: float = 5.0,
        progress: Progress | None = None,
    ) -> Memory:
        """Add bytes to the end of a memory's attachment, as a new version of the memory.

        Args:
            id: a memory with an attachment, which may be empty (``attach=b""``).
            data: a path, bytes, or a binary stream. One that cannot be sought in, such as a
                pipe, is followed to its end: what has come is kept, and readable, every so
                many seconds, or sooner when there is much.
            op_id: as for `remember`; a stream that broke off goes on where it stopped.
            every: seconds, more than 0.
            progress: called with bytes done and their number, where it is known.

        Returns:
            the memory in its newest version.

        Raises:
            NotFoundError, ErasedError: there is no such memory (any more). InputError,
            LimitError: it has no attachment, or would have more than 2^40 bytes.
            OperationReusedError: the ID was used for something else. StorageError: not kept.
        """
        return await self._threads.run(
            self._vault.append, id, data, op_id=op_id, every=every, progress=on_loop(progress)
        )

    async def export(self, file: str | os.PathLike[str]) -> Exported:
        """Write every memory with its history to JSON Lines, in one canonical order.

        The digest depends on the memories alone: two copies of a vault give the same.
        """
        return await self._threads.run(self._vault.export, file)

    async def backup(self, file: str | os.PathLike[str]) -> BackedUp:
        """Write the whole vault to one sealed file, which the recovery kit opens anywhere.

        Other processes may write meanwhile; the file is of one moment.
        """
        return await self._threads.run(self._vault.backup, file)

    async def check(self, *, remote: bool = False, progress: Progress | None = None) -> CheckReport:
        """Verify every hash, signature, payload and view, and finish pending erasures.

        Args:
            remote: read back everything from the stores, too, and verify it.
            progress: called with records, then parts in stores, that are done, and their number.
        """
        return await self._threads.run(self._vault.check, remote=remote, progress=on_loop(progress))

    async def rebuild(self, *, vectors: bool = False, progress: Progress | None = None) -> int:
        """Throw the index away and make it again from the log; answers stay the same.

        Args:
            vectors: throw computed vectors away too; they are then embedded again.
            progress: called with records done and their number.

        The views of states are made again as well.

        Returns:
            how many versions were indexed.

        Raises:
            DamagedError: a record cannot be folded; of memories first, which then stay as they
            were, then of states.
        """
        return await self._threads.run(
            self._vault.rebuild, vectors=vectors, progress=on_loop(progress)
        )

    async def catch_up(self, *, progress: Progress | None = None) -> int:
        """Embed every memory that waits for its vector; return how many there were."""
        return await self._threads.run(self._vault.catch_up, progress=on_loop(progress))

    async def sync(self, *, progress: Progress | None = None) -> Synced:
        """Publish everything that is not in the stores yet, and say what each holds.

        What was begun before a crash goes on where it stood; nothing is sent or paid twice.

        Args:
            progress: called with bytes sent and their number, publication by publication.

        Raises:
            StorageError: no store could take it, with the first store's reason.
            ConflictError: another copy of this vault publishes as this device.
        """
        return await self._threads.run(self._vault.sync, progress=on_loop(progress))

    async def keep_synced(
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
        return await self._threads.run(self._vault.keep_synced, every=every, told=told)

    async def stores(self) -> Synced:
        """What each store holds, as far as this disk knows; nothing is asked of them."""
        return await self._threads.run(self._vault.stores)

    async def locator(self) -> str:
        """Where the vault's bytes are: a text to keep with the recovery kit. It holds no secret.

        Raises:
            NotFoundError: the vault has no stores.
        """
        return await self._threads.run(self._vault.locator)

    async def volumes(self, *, ask: bool = False) -> VolumesReport:
        """The volumes, what they survive and what they cost.

        Args:
            ask: ask each volume what it holds, too.

        Raises:
            NotFoundError: the vault has no volumes; StoreUnavailableError: none answers.
        """
        return await self._threads.run(self._vault.volumes, ask=ask)

    async def add_volumes(
        self, urls: Sequence[str], *, shards: int | None = None, progress: Progress | None = None
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
        return await self._threads.run(
            self._vault.add_volumes, urls, shards=shards, progress=on_loop(progress)
        )

    async def remove_volume(
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
        return await self._threads.run(
            self._vault.remove_volume, volume, give_up=give_up, progress=on_loop(progress)
        )

    async def detach_volumes(self) -> Synced:
        """Let the volumes go; what they hold stays there. Returns the stores that are left.

        Raises:
            NotFoundError: the vault has no volumes.
        """
        return await self._threads.run(self._vault.detach_volumes)

    async def rebalance(self, *, progress: Progress | None = None) -> VolumesRebalanced:
        """Spread shards evenly again, or finish a change of the volumes that was cut short.

        Raises:
            NotFoundError: the vault has no volumes; StorageError: as for `add_volumes`.
        """
        return await self._threads.run(self._vault.rebalance, progress=on_loop(progress))

    async def repair(
        self, *, deep: bool = False, adopt: Sequence[str] = (), progress: Progress | None = None
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
        return await self._threads.run(
            self._vault.repair, deep=deep, adopt=adopt, progress=on_loop(progress)
        )

    async def set_walrus(
        self,
        *,
        publishers: Sequence[str] | None = None,
        aggregators: Sequence[str] | None = None,
        relays: Sequence[str] | None = None,
        nodes: Mapping[str, Sequence[int]] | None = None,
        n_shards: int | None = None,
        epoch_days: float | None = None,
        keep_days: float | None = None,
        cadence_days: float | None = None,
        pack_bytes: int | None = None,
        vectors: bool | None = None,
        send_object_to: str | None = None,
    ) -> WalrusReport:
        """Publish this vault on a Walrus network, or say anew how; what is not given stays.

        Nothing is sent yet: `sync` does that. The token that a publisher may want is given as
        the credential ``walrus.token`` and never written down.

        Args:
            publishers, aggregators, relays: URLs of services, those to ask first in front.
            nodes: storage nodes with their shards, by URL. With them the ends of blobs and the
                epoch are known from others than the publisher.
            n_shards: the network's number of shards; 1,000 on the real ones.
            epoch_days: how long an epoch lasts; 14 on mainnet, 1 on testnet.
            keep_days: for how long after a publication everything it names stays at the least.
            cadence_days: how long what is new may wait; `sync` waits for nothing.
            pack_bytes: the most of a blob; the publisher may take less or more.
            vectors: send computed vectors, too, so that a restore need not embed again.
            send_object_to: an address of one's own that is to hold the blobs.

        Raises:
            InputError: a URL or number cannot be meant, or no publisher or aggregator is known.
        """
        return await self._threads.run(
            self._vault.set_walrus,
            publishers=publishers,
            aggregators=aggregators,
            relays=relays,
            nodes=nodes,
            n_shards=n_shards,
            epoch_days=epoch_days,
            keep_days=keep_days,
            cadence_days=cadence_days,
            pack_bytes=pack_bytes,
            vectors=vectors,
            send_object_to=send_object_to,
        )

    async def walrus(self) -> WalrusReport:
        """The network that this vault is published on, as far as this disk knows.

        Raises:
            NotFoundError: it is on none.
        """
        return await self._threads.run(self._vault.walrus)

    async def remove_walrus(self) -> Synced:
        """Publish on Walrus no more. What is there stays until it ends, and nothing renews it.

        Raises:
            NotFoundError: the vault is not published there.
        """
        return await self._threads.run(self._vault.remove_walrus)

    async def cost(
        self,
        *,
        memories: int | None = None,
        size: int | None = None,
        daily: int | None = None,
        s3_gb_month: float | None = None,
    ) -> CostReport:
        """What keeping this vault costs, here and elsewhere, before anything is sent.

        Args:
            memories: count a vault that grows to so many; this one as it is otherwise, in which
                an event of a state counts as a memory.
            size: bytes of text of each; those of this vault otherwise.
            daily: memories that come every day; as in the last 30 days otherwise.
            s3_gb_month: dollars for a gigabyte and month in buckets; 0.023 otherwise.

        Raises:
            InputError: a number is below nothing, or there is nothing to count.
        """
        return await self._threads.run(
            self._vault.cost, memories=memories, size=size, daily=daily, s3_gb_month=s3_gb_month
        )

    async def refresh(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        anew: bool = False,
        progress: Progress | None = None,
    ) -> Refreshed:
        """Bring a replica to the newest head of its stores, whole or not at all.

        Recall goes on meanwhile, from what is here.

        Args:
            source: a newer locator, its text or a file that holds it. On Walrus it alone says
                where the newest head is; volumes are asked themselves.
            anew: take the newest head although it does not go on from what is here, which is
                thrown away.
            progress: called with records fetched and their number.

        Raises:
            ConflictError: the stores give an older head than the one that is here, or one that
            does not go on from it. StoreUnavailableError: they do not answer. NotFoundError: they
            hold no head. InputError: this is no replica, or ``source`` no locator of its vault.
            The replica then stands as it stood.
        """
        return await self._threads.run(
            self._vault.refresh, source, anew=anew, progress=on_loop(progress)
        )

    async def keep_fresh(
        self, *, every: float = 60.0, told: Callable[[Refreshed | HauloutError], None] | None = None
    ) -> None:
        """Refresh a replica in the background, until it is closed.

        Args:
            every: seconds between two looks at the stores.
            told: called, on another thread, with what each refresh brought, and with each failure
                that differs from the one before; it is tried again by itself.

        Raises:
            InputError: this is no replica.
        """
        return await self._threads.run(self._vault.keep_fresh, every=every, told=told)
