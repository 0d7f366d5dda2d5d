"""Caring for what stands in a store whose time ends: renewing, and finding what is lost.

What has to be done is `lifetimes.care`; here it is done. A blob that is neither renewed in time
nor written again ends, and then its content is written again from the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from haulout.errors import StorageError
from haulout.log import lifetimes, planning, published
from haulout.log.published import Published
from haulout.vault.opening import Parts
from haulout.vault.stores.buying import Buying
from haulout.vault.stores.sections import erased
from haulout.vault.stores.store import Store


class Caring:
    """Cares for one store's blobs.

    Args:
        parts: the open vault; ``store``: which; ``number``: its number in the vault.
        buying: puts blobs into it, and knows where it stands in time.
        states: the state lane's database; None where there is none that opens.
    """

    def __init__(
        self,
        parts: Parts,
        store: Store,
        number: int,
        buying: Buying,
        states: Parts | None = None,
    ) -> None:
        self._parts, self._store, self._number, self._buying = parts, store, number, buying
        self._states = states
        self._failure: StorageError | None = None

    def care(self, state: Published) -> frozenset[bytes]:
        """Renew what has to be renewed; the blobs whose content has to be written again.

        A pack that cannot be renewed keeps nothing else waiting: see `raise_failure`.

        Raises:
            StoreUnavailableError: it is not known what the store has.
        """
        named = self._named(state)
        terms = self._buying.terms
        if terms is None:
            return self._missing(named)
        for blob, one in self._buying.blobs().items():
            if one.there and one.until is None and blob in named:
                self._buying.ask(blob)
        there = [one for one in self._buying.blobs().values() if one.there]
        care = lifetimes.care(there, named, self._buying.now, terms, self._store.pack_bytes)
        for blob, size in care.renew.items():
            try:
                self._buying.renew(blob, size)
            except StorageError as error:
                self._failure = self._failure or error
        return care.again | self._missing(named)

    def _missing(self, named: Mapping[bytes, int]) -> frozenset[bytes]:
        """What is named and not known of; packs of chunks that are under way are sent on."""
        return frozenset(named.keys() - self._buying.blobs().keys())

    def _named(self, state: Published) -> Mapping[bytes, int]:
        """What the heads and their maps name: bytes by blob, of what was not erased."""
        with self._parts.database.read() as connection:
            gone = erased(connection, self._parts.vault)
            places = published.chunk_places(connection, self._number)
        found = Counter(planning.live_bytes(state.runs, gone))
        for one in [*(one.ref for one in state.chunks), *(one.ref for one in places)]:
            found[one.blob] += one.length
        if state.states is not None:
            found.update(planning.live_bytes(state.states.runs, self._erased_states()))
        for place in (state.place, state.states.place if state.states else None):
            if place is not None:
                found[place.blob] += place.length
        return found

    def _erased_states(self) -> list[int]:
        if self._states is None:
            return []
        with self._states.database.read() as connection:
            return erased(connection, self._states.vault)

    def raise_failure(self) -> None:
        """Raise why a pack could not be renewed, once everything else is done.

        Raises:
            StorageError: the first reason.
        """
        if self._failure is not None:
            raise self._failure
