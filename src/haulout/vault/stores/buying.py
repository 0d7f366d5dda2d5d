"""Putting blobs into a store: each is paid for once, and noted with its end.

the attempt written down      a crash before money is spent repeats it
money spent, nothing noted    the same attempt goes on: the store looks before it pays
noted as there                never sent again
"""

from __future__ import annotations

from haulout.errors import BlobMissingError, WrongBytesError
from haulout.log import lifetimes, published
from haulout.log.lifetimes import Now, Terms
from haulout.log.published import RemoteBlob
from haulout.vault.opening import Parts
from haulout.vault.stores.store import Kept, Purchase, Store


class Buying:
    """Puts one vault's blobs into one store.

    Args:
        parts: the open vault; ``store``: where to; ``number``: the store's number in it.
    """

    def __init__(self, parts: Parts, store: Store, number: int) -> None:
        self._parts, self._store, self._number = parts, store, number
        self._now = Now(0, 0.0)
        self._told = False

    @property
    def terms(self) -> Terms | None:
        """How the store's time is used; None where it has no end."""
        return self._store.terms

    @property
    def now(self) -> Now:
        """Where the store stood in time when `look` was last called."""
        return self._now

    def look(self) -> None:
        """Learn where the store stands in time.

        Raises:
            StoreUnavailableError: those who could tell do not answer.
        """
        if self.terms is not None:
            epoch = self._store.epoch()
            self._told = epoch is not None
            self._see(self.terms, epoch)

    def _see(self, terms: Terms, epoch: int | None) -> None:
        at = self._parts.journal.now()
        with self._parts.database.read() as connection:
            rows = published.stores(connection, self._parts.vault)
        known = next(row.seen for row in rows if row.number == self._number)
        seen = lifetimes.see(known, epoch, at, terms)
        if seen is not None and seen != known:
            self._parts.database.write(lambda tx: published.learn(tx, self._number, seen))
        self._now = lifetimes.now(seen, at, terms)

    def blobs(self) -> dict[bytes, RemoteBlob]:
        """What was sent to the store, by blob ID."""
        with self._parts.database.read() as connection:
            return {one.blob: one for one in published.blobs(connection, self._number)}

    def put(self, blob: bytes, data: bytes, *, lasting: bool) -> None:
        """Put a blob that is written down already into the store.

        Raises:
            StoreUnavailableError, StoreRefusedError: as `Store.put`.
        """
        self._buy(blob, data, lasting=lasting, renewing=False)

    def renew(self, blob: bytes, size: int) -> bool:
        """Keep a blob for longer; False where the store has lost it.

        Raises:
            StoreUnavailableError, StoreRefusedError: as `Store.put`.
        """
        try:
            data = self._store.whole(blob, size)
        except (BlobMissingError, WrongBytesError):
            self.forget(blob)
            return False
        self._buy(blob, data, lasting=True, renewing=True)
        return True

    def ask(self, blob: bytes) -> None:
        """Learn of a blob whose end is not known; one that the store does not have is forgotten.

        Raises:
            StoreUnavailableError: it is not known.
        """
        kept = self._store.standing(blob)
        if kept is None:
            self.forget(blob)
            return
        # Where nobody tells its end, it may be the end of this epoch.
        until = self._now.epoch + 1 if kept.until is None else kept.until
        self._note(blob, until)

    def forget(self, blob: bytes) -> None:
        """Note that a blob is not in the store, so that its content is written again."""
        self._parts.database.write(lambda tx: published.forget_blob(tx, self._number, blob))

    def _buy(self, blob: bytes, data: bytes, *, lasting: bool, renewing: bool) -> None:
        terms, count = self.terms, 1
        if terms is not None:
            count = lifetimes.epochs(self._now, terms, lasting=lasting)
        known = self.blobs().get(blob)

        def write_down(attempt: bytes) -> None:
            self._parts.database.write(
                lambda tx: published.attempted(tx, self._number, blob, attempt)
            )

        attempt = None if known is None else known.attempt
        kept = self._store.put(data, Purchase(count, renewing, attempt, write_down))
        self._note(blob, self._end(kept, count))
        if terms is not None and not self._told and kept.until is not None:
            self._see(terms, kept.until - count)

    def _end(self, kept: Kept, count: int) -> int | None:
        if self.terms is None or kept.until is not None:
            return kept.until
        return self._now.epoch + count

    def _note(self, blob: bytes, until: int | None) -> None:
        self._parts.database.write(lambda tx: published.confirmed(tx, self._number, blob, until))
