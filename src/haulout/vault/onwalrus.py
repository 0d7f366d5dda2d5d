"""The verbs for Walrus: which network a vault is published to, how, and what keeping it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from haulout.errors import InputError, NotFoundError
from haulout.vault.openvault import OpenVault
from haulout.vault.values import Synced, WalrusReport

if TYPE_CHECKING:
    from haulout.vault.stores.costing import CostReport
    from haulout.vault.stores.walrussettings import WalrusSettings

_RECENT = 30
"""Days whose memories say how many come every day."""
_DAY = 86_400_000_000


class OnWalrus(OpenVault):
    """What publishes a vault on Walrus, and counts what it costs there and elsewhere."""

    def set_walrus(
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
        from haulout.storage.walrus.config import NetworkConfig, NodeConfig, checked_url
        from haulout.vault.stores.walrussettings import WalrusNode, WalrusSettings, write_settings

        given = {
            "publishers": _urls(publishers, checked_url),
            "aggregators": _urls(aggregators, checked_url),
            "relays": _urls(relays, checked_url),
            "nodes": None if nodes is None else tuple(
                WalrusNode(url=checked_url(url), shards=tuple(shards))
                for url, shards in nodes.items()
            ),
            "n_shards": n_shards, "epoch_days": epoch_days, "keep_days": keep_days,
            "cadence_days": cadence_days, "pack_bytes": pack_bytes, "vectors": vectors,
            "send_object_to": send_object_to,
        }  # fmt: skip
        standing = self._walrus_settings()
        changed = {name: value for name, value in given.items() if value is not None}
        settings = msgspec.structs.replace(standing or WalrusSettings(), **changed).checked()
        if not settings.publishers or not (settings.aggregators or settings.nodes):
            message = "A vault on Walrus needs a publisher, and an aggregator to read it back."
            raise InputError(message)
        if standing is not None and settings.n_shards != standing.n_shards:
            message = f"The vault is on a network of {standing.n_shards} shards."
            raise InputError(message, hint="Remove it there first: `haulout walrus remove`.")
        known = [node for node in settings.nodes if isinstance(node, WalrusNode)]
        NetworkConfig(
            nodes=[NodeConfig(node.url, node.shards) for node in known],
            n_shards=settings.n_shards,
        )  # refuses shards that cannot be
        with self._remote.alone():
            self._remote.add("walrus", write_settings(settings))
        return self.walrus()

    def walrus(self) -> WalrusReport:
        """The network that this vault is published on, as far as this disk knows.

        Raises:
            NotFoundError: it is on none.
        """
        settings, row = self._walrus_settings(), self._remote.row("walrus")
        if settings is None or row is None:
            message = "This vault is not published on Walrus."
            hint = "Name a network with `haulout walrus set --publisher URL --aggregator URL`."
            raise NotFoundError(message, hint=hint)
        held = next(one for one in self._remote.status().stores if one.kind == "walrus")
        urls = tuple(one if isinstance(one, str) else one.url for one in settings.nodes)
        return WalrusReport(
            publishers=settings.publishers,
            aggregators=settings.aggregators,
            relays=settings.relays,
            nodes=urls,
            n_shards=settings.n_shards,
            epoch_days=settings.epoch_days,
            keep_days=settings.keep_days,
            cadence_days=settings.cadence_days,
            pack_bytes=settings.pack_bytes,
            vectors=settings.vectors,
            epoch=None if row.seen is None else row.seen.epoch,
            held=held,
        )

    def remove_walrus(self) -> Synced:
        """Publish on Walrus no more. What is there stays until it ends, and nothing renews it.

        Raises:
            NotFoundError: the vault is not published there.
        """
        with self._remote.alone():
            self._remote.remove("walrus")
        return self._remote.status()

    def cost(
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
        from haulout.storage.walrus.cost import PriceTable
        from haulout.vault.stores import costing
        from haulout.vault.stores.walrussettings import WalrusSettings

        here, text, lately = self._extent()
        count = here if memories is None else memories
        each = (text // max(1, here) if here else 300) if size is None else size
        rate = (lately if memories is None else 0) if daily is None else daily
        if min(count, each, rate) < 0 or count == 0:
            message = "A vault that is counted has memories, and nothing of it is below zero."
            raise InputError(message, hint="Give --memories N for a vault that is empty still.")
        settings = self._walrus_settings() or WalrusSettings()
        rules = costing.Rules(
            n_shards=settings.n_shards,
            table=PriceTable(epoch_days=settings.epoch_days),
            terms=settings.terms(),
            pack_bytes=settings.most_packed,
            s3_gb_month=costing.S3_GB_MONTH if s3_gb_month is None else s3_gb_month,
        )
        first = here if memories is None else min(here, count) if daily is None else 0
        return costing.report(count, each, rate, first, rules)

    def _walrus_settings(self) -> WalrusSettings | None:
        from haulout.vault.stores.walrussettings import read_settings

        row = self._remote.row("walrus")
        return None if row is None else read_settings(row.settings)

    def _extent(self) -> tuple[int, int, int]:
        """How many payloads there are, their bytes without what seals them, new ones a day.

        An event of a state is one like a memory: both lanes go out in the same blobs.
        """
        since = self._journal.now() - _RECENT * _DAY
        count, size, lately = 0, 0, 0
        for lane in (self._parts, self._lane_or_why()[0]):
            if lane is None:
                continue
            with lane.database.read() as connection:
                found = connection.execute(
                    "SELECT count(*), coalesce(sum(max(length(payload) - 30, 0)), 0),"
                    " coalesce(sum(clock >> 16 > ?2), 0) FROM record"
                    " WHERE vault = ?1 AND payload IS NOT NULL",
                    (lane.vault, since),
                ).fetchone()
            count, size, lately = count + found[0], size + found[1], lately + found[2]
        return count, size, -(-lately // _RECENT)


def _urls(given: Sequence[str] | None, checked: Callable[[str], str]) -> tuple[str, ...] | None:
    return None if given is None else tuple(checked(url) for url in given)
