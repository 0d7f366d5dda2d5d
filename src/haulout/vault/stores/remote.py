"""The stores of an open vault: opened when needed, published to by one process at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from haulout.database.lock import WriterLock
from haulout.errors import HauloutError, InputError, NotFoundError
from haulout.log import lifetimes, published
from haulout.log.clock import from_microseconds
from haulout.log.locator import MOST_CHARACTERS, Locator, WalrusPlace, decode, encode
from haulout.log.published import Published, StoreRow
from haulout.storage.durable import write_file
from haulout.storage.walrus.config import MAINNET_SHARDS
from haulout.vault.opening import Parts
from haulout.vault.stores.laneplan import MOST_RECORDS
from haulout.vault.stores.outbox import Outbox
from haulout.vault.stores.publishing import STATES_EVERY, Publisher, last_at
from haulout.vault.stores.sections import fresh
from haulout.vault.stores.store import Store
from haulout.vault.values import StoreSynced, Synced

if TYPE_CHECKING:
    from haulout.vault.stores.storeoptions import StoreOptions

Report = Callable[[int, int | None], None]
_LOCATOR = "haulout:"
_DAY = 86_400_000_000
_LOOKED_AFTER = _DAY // 4
"""Microseconds between two looks at what ends in a store whose time ends."""
LOCATOR_FILE = "locator.txt"
"""In the vault's folder: the newest locator, to be kept beside the kit and renewed."""


class Opener(Protocol):
    """Opens a store from its settings and what the caller may use to sign in."""

    def __call__(
        self,
        settings: str,
        credentials: Mapping[str, str],
        options: StoreOptions | None = None,
        between: Callable[[], None] | None = None,
    ) -> Store:
        """The store.

        Args:
            settings: what the database keeps of it; ``credentials``: what signs in.
            options: what of the line it may take.
            between: called between two of the calls that it makes for one pack; it may wait.
        """
        ...


def _volumes(
    settings: str,
    credentials: Mapping[str, str],
    options: StoreOptions | None = None,
    between: Callable[[], None] | None = None,
) -> Store:
    from haulout.storage.volumes.rounds import no_pause
    from haulout.vault.stores.storeoptions import AS_FAST_AS_IT_GOES
    from haulout.vault.stores.volumestore import VolumeStore

    limits = options or AS_FAST_AS_IT_GOES
    return VolumeStore.open(settings, credentials, limits, between or no_pause)


def _walrus(
    settings: str,
    credentials: Mapping[str, str],
    options: StoreOptions | None = None,
    between: Callable[[], None] | None = None,  # noqa: ARG001 - it makes one call for a pack
) -> Store:
    if options is not None:
        from haulout.vault.stores.limitedwalrus import LimitedWalrusStore

        return LimitedWalrusStore.open_within(settings, credentials, options)
    from haulout.vault.stores.walrusstore import WalrusStore

    return WalrusStore.open(settings, credentials)


OPENERS: Mapping[str, Opener] = {"volumes": _volumes, "walrus": _walrus}
"""How each kind of store is opened; its libraries are loaded then and not before."""


class Remote:
    """The stores of one open vault.

    Args:
        parts: the open vault.
        credentials: what stores want beside a URL, by the names their own tools use
            (``aws_access_key_id``, ``walrus_token``); never written down.
        openers: how a store of each kind is opened; ``options``: what of the line it may take.
        states: gives the state lane's database and journal, or None where there is none; raises
            where it does not open, which keeps no memory waiting.
    """

    def __init__(
        self,
        parts: Parts,
        credentials: Mapping[str, str],
        openers: Mapping[str, Opener],
        options: StoreOptions | None = None,
        states: Callable[[], Parts | None] = lambda: None,
    ) -> None:
        self._parts, self._credentials, self._openers = parts, credentials, openers
        self._options, self._states = options, states
        self._open: dict[int, tuple[str, Store]] = {}
        self._threads = threading.RLock()  # around what is open
        self._turns = threading.RLock()  # a file's lock does not keep this process's threads apart
        self._lock: WriterLock | None = None  # made when it is first needed: most have no stores
        self._outbox = Outbox(parts.folder)

    def rows(self) -> list[StoreRow]:
        """What the database says of the stores."""
        with self._parts.database.read() as connection:
            return published.stores(connection, self._parts.vault)

    def row(self, kind: str) -> StoreRow | None:
        """The store of a kind, where the vault has one."""
        return next((row for row in self.rows() if row.kind == kind), None)

    def store(self, row: StoreRow) -> Store:
        """A store, open; another process may have changed where it is."""
        with self._threads:
            known = self._open.get(row.number)
            if known is not None and known[0] == row.settings:
                return known[1]
            if known is not None:
                known[1].close()
            opened = self._openers[row.kind](
                row.settings, self._credentials, self._options, self._parts.way.give
            )
            self._open[row.number] = (row.settings, opened)
            return opened

    def opened(self, kind: str, settings: str) -> Store:
        """A store of a kind, open for the caller, who closes it."""
        return self._openers[kind](settings, self._credentials, self._options)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Hold the right to change what is published, among threads and processes.

        Raises:
            ReadOnlyError: this is a replica, which has no such right.
        """
        self._parts.journal.require_writable()
        with self.turn():
            yield

    @contextmanager
    def turn(self) -> Generator[None]:
        """Be the only one that publishes, or that refreshes a replica. Reading does not wait."""
        with self._turns:
            if self._parts.folder is None:
                yield
                return
            if self._lock is None:
                self._lock = WriterLock(self._parts.folder / "sync.lock")
            with self._lock.held():
                yield

    def add(self, kind: str, settings: str) -> None:
        """Add a store, or say anew where the one of its kind is.

        Raises:
            ReadOnlyError: this is a replica.
        """
        self._parts.journal.require_writable()
        row = self.row(kind)

        def job(connection: published.Transaction) -> None:
            if row is None:
                published.add_store(connection, self._parts.vault, kind, settings, Published())
            else:
                published.change_settings(connection, row.number, settings)

        self._parts.database.write(job)

    def remove(self, kind: str) -> None:
        """Let a store go; its bytes stay where they are.

        Raises:
            NotFoundError: the vault has none of the kind; ReadOnlyError: this is a replica.
        """
        self._parts.journal.require_writable()
        row = self.row(kind)
        if row is None:
            message = f"This vault has no {kind}."
            raise NotFoundError(message)
        self._parts.database.write(lambda tx: published.remove_store(tx, row.number))

    # ------------------------------------------------------------------ publishing

    def sync(self, report: Report, *, force: bool = True) -> Synced:
        """Publish everything to every store; a store that fails is named and keeps none waiting.

        Args:
            report: called with bytes sent and their number.
            force: publish at once where a store's terms would have it wait for more.

        Raises:
            StorageError, HauloutError: every store failed; the first one's error.
        """
        lane, states_failure = self._lane()
        found: list[StoreSynced] = []
        failures: list[HauloutError] = []
        with self.alone():
            for row in self.rows():
                try:
                    store = self.store(row)
                    publisher = Publisher(self._parts, store, row.number, self._outbox, lane)
                    publisher.publish(report, force=force)
                    name, failure = store.name, ""
                except HauloutError as error:
                    failures.append(error)
                    name, failure = row.kind, str(error)
                found.append(self._synced(row.number, name, failure, lane))
            self._keep_locator()
        if failures and len(failures) == len(found):
            raise failures[0]
        return Synced(stores=tuple(found), states_failure=states_failure)

    def _lane(self) -> tuple[Parts | None, str]:
        """The state lane, where there is one that opens; or why it does not."""
        try:
            return self._states(), ""
        except HauloutError as error:
            return None, str(error)

    def _synced(self, number: int, name: str, failure: str, lane: Parts | None) -> StoreSynced:
        row = next(row for row in self.rows() if row.number == number)
        with self._parts.database.read() as connection:
            kept = [one for one in published.blobs(connection, number) if one.there]
        state, states = row.state, row.state.states or Published()
        ends, alarm = self._ends(row)
        return StoreSynced(
            name=name,
            kind=row.kind,
            head=state.number,
            records=sum(run.run.records for run in state.runs),
            waiting=_newest(self._parts) - state.through,
            bytes=sum(one.size for one in kept),
            published_at=from_microseconds(last_at(state)) if last_at(state) else None,
            failure=failure,
            ends_in_days=ends,
            alarm=alarm,
            state_records=sum(run.run.records for run in states.runs),
            waiting_states=0 if lane is None else _newest(lane) - states.through,
        )

    def _ends(self, row: StoreRow) -> tuple[float | None, str]:
        """In how many days the first of what a store holds may end; words where that is soon."""
        terms = self.store(row).terms if row.seen is not None else None
        if terms is None or not row.state.number:
            return None, ""
        moment = lifetimes.now(row.seen, self._parts.journal.now(), terms)
        with self._parts.database.read() as connection:
            kept = {one.blob: one for one in published.blobs(connection, row.number) if one.there}
            places = published.chunk_places(connection, row.number)
        named = row.state.named() | {one.ref.blob for one in places if one.ref.blob in kept}
        untils = [kept[blob].until if blob in kept else None for blob in named]
        ends = min(lifetimes.remains(until or 0, moment, terms) for until in untils)
        if ends >= terms.keep_days:
            return ends, ""
        if not ends:
            return ends, "Some of what it held has ended, or may have. Sync sends it again."
        return ends, f"What it holds ends in {ends:.1f} days unless a sync renews it."

    def status(self) -> Synced:
        """What each store holds, as far as this disk knows; nothing is asked."""
        lane, failure = self._lane()
        found = tuple(self._synced(row.number, row.kind, "", lane) for row in self.rows())
        return Synced(stores=found, states_failure=failure)

    def through(self) -> int:
        """The newest record's number that every store holds; 0 where there is no store."""
        return min((row.state.through for row in self.rows()), default=0)

    def waiting(self) -> bool:
        """Whether a store lacks records, or was left in the middle of a publication."""
        rows = self.rows()
        lane = self._lane()[0] if rows else None
        return any(row.intent is not None or self._waits(row, lane) for row in rows)

    def _waits(self, row: StoreRow, lane: Parts | None) -> bool:
        """Whether a store lacks records and takes them now, or was not looked after for long."""
        terms, state = self.store(row).terms, row.state
        states = state.states or Published()
        now = self._parts.journal.now()
        if terms is None or not state.number:
            if state.through < _newest(self._parts):
                return True
            late = now - states.at >= STATES_EVERY
            return late and lane is not None and states.through < _newest(lane)
        if row.seen is None or now - row.seen.at > _LOOKED_AFTER:
            return True
        waiting = _bytes_after(self._parts, state.through)
        waiting += 0 if lane is None else _bytes_after(lane, states.through)
        since = (now - last_at(state)) / _DAY
        return lifetimes.publishes(waiting, since, terms)

    def locator(self) -> str:
        """Where the vault's bytes are, as text to keep with the kit.

        Raises:
            NotFoundError: the vault has no stores.
        """
        rows = {row.kind: row for row in self.rows()}
        if not rows:
            message = "This vault has no stores, so there is nothing to locate."
            hint = "Add some with `haulout volumes add`."
            raise NotFoundError(message, hint=hint)
        volumes, walrus = rows.get("volumes"), rows.get("walrus")
        return encode(
            Locator(
                vault=self._parts.vault_id,
                clock=self._parts.journal.now(),
                volumes=None if volumes is None else volumes.settings.encode(),
                walrus=None if walrus is None else _place(walrus),
            )
        )

    def _keep_locator(self) -> None:
        """Renew the locator in the vault's folder where it says something else."""
        if self._parts.folder is None or not self.rows():
            return
        path = self._parts.folder / LOCATOR_FILE
        text = self.locator()
        try:
            known = locator_in(path)
        except InputError:
            known = None
        if known is None or known._replace(clock=0) != decode(text)._replace(clock=0):
            write_file(path, f"{text}\n".encode())

    def close(self) -> None:
        """Give connections and the lock back."""
        with self._turns, self._threads:
            for _, store in self._open.values():
                store.close()
            self._open.clear()
            if self._lock is not None:
                self._lock.close()
                self._lock = None


def _newest(parts: Parts) -> int:
    """The number of a lane's newest record."""
    with parts.database.read() as connection:
        row = connection.execute("SELECT max(num) FROM record").fetchone()
    return (row[0] or 0) if row else 0


def _bytes_after(parts: Parts, through: int) -> int:
    """How many bytes of a lane's records wait after a number."""
    with parts.database.read() as connection:
        return sum(size for _, size in fresh(connection, parts.vault, through, MOST_RECORDS))


def locator_in(source: str | os.PathLike[str]) -> Locator | None:
    """The locator that a text is, or that a file holds; None where it is something else.

    Raises:
        InputError: it is a locator that was mistyped or is cut short.
    """
    text = source if isinstance(source, str) else ""
    if not text.lstrip().startswith(_LOCATOR):
        try:
            with Path(source).open("rb") as file:
                text = file.read(MOST_CHARACTERS).decode("ascii", "replace")
        except (OSError, ValueError):
            return None
    return decode(text) if text.lstrip().startswith(_LOCATOR) else None


def places(locator: Locator) -> list[tuple[str, str]]:
    """Kind and settings of each store that a locator names."""
    found: list[tuple[str, str]] = []
    if locator.volumes is not None:
        found.append(("volumes", locator.volumes.decode()))
    if locator.walrus is not None:
        found.append(("walrus", _settings(locator.walrus)))
    return found


@contextmanager
def located(
    locator: Locator, credentials: Mapping[str, str], options: StoreOptions | None = None
) -> Generator[list[Store]]:
    """The stores that a locator names, open for the block."""
    found: list[Store] = []
    try:
        for kind, settings in places(locator):
            found.append(OPENERS[kind](settings, credentials, options))
        yield found
    finally:
        for store in found:
            store.close()


def _settings(place: WalrusPlace) -> str:
    """A network's settings as a store keeps them, with where the newest head stood."""
    head = place.head
    fields = {
        "publishers": place.publishers,
        "aggregators": place.aggregators,
        "nodes": place.nodes,
        "n_shards": place.n_shards,
        "head": head and (head.blob.hex(), head.offset, head.length, head.digest.hex()),
    }
    if place.states is not None:
        blob, offset, length, digest = place.states
        fields["states"] = (blob.hex(), offset, length, digest.hex())
    return msgspec.json.encode(fields).decode()


def _place(row: StoreRow) -> WalrusPlace:
    fields = msgspec.json.decode(row.settings)
    return WalrusPlace(
        publishers=tuple(fields.get("publishers", ())),
        aggregators=tuple(fields.get("aggregators", ())),
        nodes=tuple(one if isinstance(one, str) else one["url"] for one in fields.get("nodes", ())),
        n_shards=fields.get("n_shards", MAINNET_SHARDS),
        head=row.state.place,
        states=row.state.states.place if row.state.states else None,
    )
