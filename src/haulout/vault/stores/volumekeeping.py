"""A vault's volumes: added, removed, rearranged, repaired, and told about.

A change of the set is written down with both layouts before it begins, so that a crash at any
step of a rebalance is gone on with by the next one; of a first set its ID is, so that places which
were marked before a crash are still its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import HauloutError, InputError, NotFoundError, StoreUnavailableError
from haulout.log import published
from haulout.log.published import Published, StoreRow
from haulout.storage.address import open_backend
from haulout.storage.volumes import rebalance as rebalancing
from haulout.storage.volumes import repair as repairing
from haulout.storage.volumes.explanation import explain
from haulout.storage.volumes.faults import Fault
from haulout.storage.volumes.heads import read_states
from haulout.storage.volumes.layout import (
    DEFAULT_SHARDS,
    Layout,
    Place,
    Volume,
    decode_layout,
    encode_layout,
    plan,
)
from haulout.storage.volumes.naming import LAYOUT_HEAD
from haulout.storage.volumes.status import Status, status
from haulout.storage.volumes.volumeset import VolumeSet
from haulout.vault.opening import Parts
from haulout.vault.stores.remote import Remote
from haulout.vault.stores.storeoptions import AS_FAST_AS_IT_GOES, StoreOptions
from haulout.vault.stores.volumestore import config_for, open_volumes
from haulout.vault.values import (
    VolumeReport,
    VolumesRebalanced,
    VolumesRepaired,
    VolumesReport,
)

Report = Callable[[int, int | None], None]
KIND = "volumes"
_UNDER_WAY = "volumes under way"
_BEGUN = "volumes begun"
_MOST_TOLD = 200
FEWEST_SHARDS = 9
"""A blob over 9 shards may have 2.2 MB; the largest record, sealed and padded, takes 1.2."""


class VolumeKeeping:
    """The volumes of one open vault.

    Args:
        parts: the open vault; ``remote``: its stores; ``credentials``: for buckets.
        options: what of the line they may take.
    """

    def __init__(
        self,
        parts: Parts,
        remote: Remote,
        credentials: Mapping[str, str],
        options: StoreOptions = AS_FAST_AS_IT_GOES,
    ) -> None:
        self._parts, self._remote = parts, remote
        self._credentials, self._options = credentials, options

    def layout(self) -> Layout:
        """The layout that stands.

        Raises:
            NotFoundError: the vault has no volumes.
        """
        return decode_layout(self._row().settings.encode())

    def _open(self, layout: Layout) -> VolumeSet:
        return open_volumes(layout, self._credentials, self._options)

    def _row(self) -> StoreRow:
        row = self._remote.row(KIND)
        if row is None:
            message = "This vault has no volumes."
            raise NotFoundError(message, hint="Add some: `haulout volumes add URL...`.")
        return row

    # ------------------------------------------------------------------ changing the set

    def add(self, urls: Sequence[str], shards: int | None, report: Report) -> VolumesReport:
        """Make places volumes of this vault's set, or begin a set with them.

        Raises:
            InputError: a URL is no place, is there already, or the number of shards differs.
            ConflictError: a place holds something else. StorageError: one does not answer.
        """
        places = [_normal(url) for url in urls]
        if not places or len(set(places)) != len(places):
            raise InputError("Name the places to add, each once.")
        with self._remote.alone():
            row = self._remote.row(KIND)
            if row is None:
                self._begin(places, DEFAULT_SHARDS if shards is None else shards)
            else:
                went_on = self._go_on(report)
                old = self.layout()
                if went_on is not None and set(places) <= {one.url for one in old.volumes}:
                    return self.told(ask=False)  # this change it was that had been cut short
                if shards is not None and shards != old.n_shards:
                    message = f"This set has {old.n_shards} shards; their number cannot change."
                    raise InputError(message, hint="Leave the number out.")
                standing = [Place(volume.id, volume.url) for volume in old.volumes]
                known = {place.url for place in standing}
                new = [_place(old.set_id, old.generation, url) for url in places]
                if known & set(places):
                    message = f"{min(known & set(places))} is a volume of this set already."
                    raise InputError(message)
                for place in new:
                    self._made(place.url)
                self._change(old, plan(old.n_shards, [*standing, *new], old), report)
        return self.told(ask=False)

    def _begin(self, urls: Sequence[str], shards: int) -> None:
        if shards < FEWEST_SHARDS:
            message = f"A vault's volumes have {FEWEST_SHARDS} shards or more, not {shards}."
            raise InputError(message)
        set_id = self._begun()
        places = [_place(set_id, 0, url) for url in urls]
        layout = plan(shards, places, set_id=set_id)
        for url in urls:
            self._made(url)
        with self._open(layout) as volumes:
            volumes.adopt()
        vault, settings = self._parts.vault, encode_layout(layout).decode()

        def job(connection: Transaction) -> None:
            _set(connection, vault, _BEGUN, None)
            published.add_store(connection, vault, KIND, settings, Published())

        self._parts.database.write(job)

    def _begun(self) -> str:
        """The ID of a set that is being made: markers of an attempt that crashed have it, too."""
        vault, set_id = self._parts.vault, self._parts.journal.entropy(16).hex()

        def job(connection: Transaction) -> str:
            known = _get(connection, vault, _BEGUN)
            if known is None:
                _set(connection, vault, _BEGUN, set_id)
            return known or set_id

        return self._parts.database.write(job)

    def _made(self, url: str) -> None:
        """See that a place is there; a folder is made into a store where it is none yet."""
        open_backend(url, config_for(url, self._credentials), create=True).close()

    def remove(self, volume: str, *, give_up: bool, report: Report) -> VolumesRebalanced:
        """Take a volume out of the set, its shards going to the others first.

        Raises:
            NotFoundError: there is none of that ID or URL; InputError: it is the last one.
            StoreUnavailableError: a blob cannot be made whole without it.
        """
        with self._remote.alone():
            noted = self._noted()
            went_on = self._go_on(report)
            old = self.layout()
            if noted is not None and went_on is not None:
                left = [one.id for one in noted[0].volumes if one not in old.volumes]
                if {volume, _normal(volume)} & _names(noted[0], left):
                    return went_on  # this change it was that had been cut short
            leaving = self._named(old, volume)
            left = [Place(one.id, one.url) for one in old.volumes if one != leaving]
            if not left:
                message = "The last volume of a set cannot be taken out."
                raise InputError(message, hint="Let the whole set go: `haulout volumes detach`.")
            new = plan(old.n_shards, left, old)
            return self._change(old, new, report, give_up=give_up)

    def rebalance(self, report: Report) -> VolumesRebalanced:
        """Finish a change that was cut short, or spread shards evenly where they are not."""
        with self._remote.alone():
            went_on = self._go_on(report)
            if went_on is not None:
                return went_on
            old = self.layout()
            new = plan(old.n_shards, [Place(one.id, one.url) for one in old.volumes], old)
            if new.homes() == old.homes():
                return VolumesRebalanced(generation=old.generation)
            return self._change(old, new, report)

    def _change(
        self, old: Layout, new: Layout, report: Report, *, give_up: bool = False
    ) -> VolumesRebalanced:
        self._note((old, new))
        return self._carry_over(old, new, report, give_up=give_up)

    def _go_on(self, report: Report) -> VolumesRebalanced | None:
        """Carry on a change that a crash or a missing volume cut short."""
        pending = self._noted()
        return None if pending is None else self._carry_over(*pending, report)

    def _carry_over(
        self, old: Layout, new: Layout, report: Report, *, give_up: bool = False
    ) -> VolumesRebalanced:
        def publish(layout: Layout) -> None:
            self._remote.add(KIND, encode_layout(layout).decode())

        with (
            self._open(old) as before,
            self._open(new) as after,
        ):
            try:
                done = rebalancing.rebalance(
                    before,
                    after,
                    publish=publish,
                    give_up=give_up,
                    progress=lambda one: report(one.done, one.total),
                )
            except StoreUnavailableError:
                if self.layout().generation == old.generation and not _carried(before):
                    self._note(None)  # nothing but copies was made: the old layout stands, whole
                raise
        self._note(None)
        return VolumesRebalanced(
            generation=new.generation,
            copied=done.copied,
            rebuilt=done.rebuilt,
            removed=done.removed,
            bytes_copied=done.bytes_copied,
            faults=_words((fault for _, fault in done.faults), new),
            incomplete=tuple(f"{blob}: {why}" for blob, why in done.incomplete),
            unreached=tuple(f"{_url(new, old, name)}: {why}" for name, why in done.unreached),
        )

    def _note(self, change: tuple[Layout, Layout] | None) -> None:
        vault = self._parts.vault

        text = None
        if change is not None:
            text = msgspec.json.encode([encode_layout(one).decode() for one in change]).decode()
        self._parts.database.write(lambda tx: _set(tx, vault, _UNDER_WAY, text))

    def _noted(self) -> tuple[Layout, Layout] | None:
        with self._parts.database.read() as connection:
            text = _get(connection, self._parts.vault, _UNDER_WAY)
        if text is None:
            return None
        old, new = msgspec.json.decode(text, type=tuple[str, str])
        return decode_layout(old.encode()), decode_layout(new.encode())

    @staticmethod
    def _named(layout: Layout, volume: str) -> Volume:
        """The volume of an ID, a URL or a path.

        Raises:
            NotFoundError: there is none.
        """
        names = {volume, _normal(volume)}
        for one in layout.volumes:
            if {one.id, one.url} & names:
                return one
        message = f"This vault has no volume {volume!r}."
        raise NotFoundError(message, hint="`haulout volumes list` names them.")

    # ------------------------------------------------------------------ telling, mending

    def told(self, *, ask: bool) -> VolumesReport:
        """The set, what it survives and what it costs; with ``ask``, how its volumes are.

        Raises:
            NotFoundError: the vault has no volumes.
        """
        layout = self.layout()
        if not ask:
            return report_of(layout, None, pending=self._noted() is not None)
        with self._open(layout) as volumes:
            return report_of(layout, status(volumes), pending=self._noted() is not None)

    def repair(self, *, deep: bool, adopt: Sequence[str], report: Report) -> VolumesRepaired:
        """Make every blob of the set whole again; no key is used.

        Raises:
            NotFoundError: the vault has no volumes, or none of a name in ``adopt``;
            ConflictError: a place to adopt holds something else; StoreUnavailableError;
            ReadOnlyError: this is a replica.
        """
        self._parts.journal.require_writable()
        layout = self.layout()
        emptied = [self._named(layout, one) for one in adopt]
        for volume in emptied:
            self._made(volume.url)
        if emptied:
            with self._open(layout) as volumes:
                volumes.adopt(*(volume.id for volume in emptied))
        with self._open(layout) as volumes:
            return repaired(volumes, deep=deep, report=report)


def _get(connection: Transaction, vault: int, name: str) -> str | None:
    row = connection.execute(
        "SELECT value FROM setting WHERE vault = ? AND name = ?", (vault, name)
    ).fetchone()
    return None if row is None else row[0]


def _set(connection: Transaction, vault: int, name: str, value: str | None) -> None:
    """Keep a setting, or none where the value is None."""
    connection.execute("DELETE FROM setting WHERE vault = ? AND name = ?", (vault, name))
    if value is not None:
        connection.execute("INSERT INTO setting VALUES (?, ?, ?)", (vault, name, value))


def _carried(before: VolumeSet) -> bool:
    """Whether a head may be promised to the next layout: then only that one can publish it."""
    try:
        names = {LAYOUT_HEAD, *before.list_heads()}
        votes = [read_states(before.members, name).values() for name in names]
    except HauloutError:
        return True
    generation = before.layout.generation
    return any(vote.state.promised.generation > generation for seen in votes for vote in seen)


def _names(layout: Layout, volumes: Sequence[str]) -> set[str]:
    """IDs and URLs of some volumes of a layout."""
    found = [one for one in layout.volumes if one.id in volumes]
    return {one.id for one in found} | {one.url for one in found}


def repaired(volumes: VolumeSet, *, deep: bool, report: Report) -> VolumesRepaired:
    """Repair a set, and tell of it with its volumes' URLs."""
    done = repairing.repair(volumes, deep=deep, progress=lambda one: report(one.done, one.total))
    layout = volumes.layout
    return VolumesRepaired(
        blobs=done.blobs,
        made=len(done.made),
        slivers=done.slivers,
        bytes_read=done.bytes_read,
        bytes_checked=done.bytes_checked,
        bytes_written=done.bytes_written,
        faults=_words((fault for _, fault in done.faults), layout),
        lost=tuple(f"{blob}: {why}" for blob, why in done.lost),
        unfinished=tuple(f"{blob}: {why}" for blob, why in done.unfinished),
        unreached=tuple(f"{_url(layout, layout, name)}: {why}" for name, why in done.unreached),
    )


def report_of(layout: Layout, asked: Status | None, *, pending: bool) -> VolumesReport:
    """A layout for people, with how its volumes are where they were asked."""
    found = explain(layout, {one.id: _device(one.url) for one in layout.volumes})
    known = {} if asked is None else {one.volume: one for one in asked.volumes}
    volumes: list[VolumeReport] = []
    for one in layout.volumes:
        how = known.get(one.id)
        volumes.append(
            VolumeReport(
                id=one.id,
                url=one.url,
                shards=one.shards,
                reachable=None if how is None else how.reachable,
                why=None if how is None else how.why,
                latency_ms=None if how is None or how.latency is None else how.latency * 1000,
                held=None if how is None else how.held,
                expected=None if how is None else how.expected,
                bytes=None if how is None else how.bytes,
                last_fault=None if how is None else how.last_fault,
            )
        )
    return VolumesReport(
        set_id=layout.set_id,
        generation=layout.generation,
        n_shards=layout.n_shards,
        volumes=tuple(volumes),
        volumes_lost=found.any_volumes_lost,
        shards_lost=found.shards_lost,
        fatal_volumes=found.fatal_volumes,
        factor=found.factor,
        small_blob_bytes=found.bytes_per_small_blob,
        warnings=found.warnings,
        rebalancing=pending,
        sound=None if asked is None else asked.sound,
        degraded=None if asked is None else asked.degraded,
        out_of_reach=None if asked is None else asked.out_of_reach,
        lost=None if asked is None else asked.lost,
    )


def _words(faults: Iterable[Fault], layout: Layout) -> tuple[str, ...]:
    """Faults for people, each once, by the URL of their volume."""
    found: dict[str, None] = {}
    for fault in faults:
        where = "" if fault.shard is None else f"shard {fault.shard}, "
        found[f"{_url(layout, layout, fault.volume)}: {where}{fault.kind}: {fault.words}"] = None
    return tuple(found)[:_MOST_TOLD]


def _url(layout: Layout, other: Layout, name: str) -> str:
    for one in (*layout.volumes, *other.volumes):
        if one.id == name:
            return one.url
    return name


def _place(set_id: str, generation: int, url: str) -> Place:
    """A place with an ID that a repetition of the same change gives again."""
    named = f"{set_id}/{generation}/{url}"
    return Place(hashlib.sha256(named.encode()).hexdigest()[:8], url)


def _normal(url: str) -> str:
    """The URL of a place; a path becomes a file URL, whole and without links."""
    if "://" in url or url.startswith("memory:"):
        return url
    return Path(url).resolve().as_uri()


def _device(url: str) -> str:
    """What tells two places on one disk, or in one account's bucket."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return f"{parts.scheme}://{parts.netloc}"
    path = Path(url2pathname(parts.path))
    try:
        return f"disk {os.stat(path).st_dev}"  # noqa: PTH116 - st_dev is what is wanted
    except OSError:
        return url
