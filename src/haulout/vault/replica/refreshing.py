"""Refreshing a replica: from the head that is here to the newest one, whole or not at all.

read the heads; the newest must go on from the one that is here     docs/spec/replica.md
fetch what is not here: segments, vectors, key chunks, maps         nothing is written yet
one commit: records, erasures, index, vectors, and the head         old before, new after
clear free pages, and files of chunks that went                     again with the next one

A head that does not go on from the one that is here changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from haulout.errors import (
    BlobMissingError,
    ConflictError,
    InputError,
    NotFoundError,
    StorageError,
    TooFewSliversError,
)
from haulout.log import head as heads
from haulout.log import published
from haulout.log.clock import from_microseconds
from haulout.log.head import Head, Standing, open_head
from haulout.log.locator import Locator
from haulout.log.published import Published, StoreRow
from haulout.vault import inspection
from haulout.vault.attachments import chunks
from haulout.vault.dividing import divide_where_due
from haulout.vault.opening import Parts
from haulout.vault.replica import note as replica
from haulout.vault.replica.copying import Copied, Copying, OtherHistoryError
from haulout.vault.replica.note import Replica
from haulout.vault.stores.newesthead import Found
from haulout.vault.stores.remote import Remote, places
from haulout.vault.stores.restoring import follow
from haulout.vault.values import Refreshed

Report = Callable[[int, int | None], None]

_TRIES = 3
_SCRUB_BYTES = 512 * 1024 * 1024


def refresh(
    parts: Parts, remote: Remote, locator: Locator | None, report: Report, *, anew: bool
) -> Refreshed:
    """Bring a replica to the newest head of its stores.

    Args:
        parts, remote: the replica's; ``locator``: a newer one than it was made from.
        report: called with records fetched and their number.
        anew: take the newest head whatever is here, which is thrown away.

    Raises:
        ConflictError: the stores give only an older head, or one of another history.
        NotFoundError: they hold none; StorageError, CodingError: it cannot be read whole.
        Whichever is raised, the replica stands as it stood.
    """
    if locator is not None and locator.vault != parts.vault_id:
        message = "This locator is of another vault."
        raise InputError(message)
    with remote.turn():
        for left in reversed(range(_TRIES)):
            try:
                return _Refreshing(parts, remote, report).run(locator, anew=anew)
            except (BlobMissingError, TooFewSliversError):
                if not left:  # a newer head may have come, and what the last one named was removed
                    raise
    raise AssertionError


class _Refreshing:
    """One try."""

    def __init__(self, parts: Parts, remote: Remote, report: Report) -> None:
        self._parts, self._remote, self._report = parts, remote, report
        with parts.database.read() as connection:
            note = replica.note_of(connection, parts.vault)
            self._rows = published.stores(connection, parts.vault)
            here = replica.source(connection, parts.vault)
        assert note is not None, "only replicas are refreshed"
        assert here is not None, "a replica is made from a head"
        self._note, self._here = note, here
        self._secrets = note.secrets

    def _opened(self, data: bytes) -> tuple[Head, dict[int, bytes]]:
        return open_head(data, self._parts.vault_id, self._secrets), self._secrets

    def run(self, locator: Locator | None, *, anew: bool) -> Refreshed:
        given = [(row.kind, row.settings) for row in self._rows]
        if locator is not None:
            given = places(locator)
        self._parts.database.write(lambda connection: self._make_rows(connection, given))
        stores = [self._remote.opened(kind, settings) for kind, settings in given]
        try:
            found, ignored = follow(stores, self._opened, self._remote.opened)
            settings = dict(given)
            if found.store.kind == "volumes":
                settings["volumes"] = found.store.settings()
            how = self._standing(found)
            if how is Standing.SAME and not anew:
                return self._same(settings, ignored)
            if not anew:
                self._require_newer(how, found)
            return self._taken(settings, found, ignored, anew=anew)
        except NotFoundError as error:
            raise NotFoundError(error.message, hint=_ASK_FOR_A_LOCATOR) from error
        finally:
            for store in stores:
                store.close()

    # ------------------------------------------------------------------ which head

    def _standing(self, found: Found) -> Standing:
        """How the head that was found stands to the one that is here."""
        data, head = self._here.state.head, found.head
        known, _ = self._opened(data)
        if (known.device, known.store) == (head.device, head.store):  # numbers ascend in each
            return heads.standing(data, known, found.copy.data, head)
        if _holds(head, known) and (not _holds(known, head) or head.clock >= known.clock):
            return Standing.NEWER
        return Standing.OLDER if _holds(known, head) else Standing.FORKED

    def _require_newer(self, how: Standing, found: Found) -> None:
        here, head = self._here.state, found.head
        if how is Standing.OLDER:
            message = (
                f"The stores give only head {head.number} of {_when(head.clock)}, which is older"
                f" than head {here.number} of {_when(here.at)} that is here."
            )
            hint = "A store was put back, or holds it back. The replica stays as it is."
            raise ConflictError(message, hint=hint)
        if how is Standing.FORKED:
            message = f"Head {head.number} of {_when(head.clock)} does not go on from what is here."
            raise ConflictError(message, hint=_ANEW)

    # ------------------------------------------------------------------ taking it

    def _taken(
        self, settings: dict[str, str], found: Found, ignored: tuple[str, ...], *, anew: bool
    ) -> Refreshed:
        note = self._looked()
        state = None if anew else self._here.state
        copying = Copying(self._parts, found, self._here, state)
        try:
            copied = self._copied(copying, settings, note)
        except OtherHistoryError:
            copying = Copying(self._parts, found, self._here, None)
            self._require_all(copying)
            copied, anew = self._copied(copying, settings, note), True
        self._clear()
        if copied.vectors:
            divide_where_due(self._parts)
        return Refreshed(
            changed=True,
            head=found.head.number,
            as_of=from_microseconds(found.head.clock),
            refreshed_at=from_microseconds(note.looked),
            records=copied.records,
            erased=copied.erased,
            vectors=copied.vectors,
            anew=anew,
            problems=tuple(copied.problems),
            ignored=ignored,
        )

    def _copied(self, copying: Copying, settings: dict[str, str], note: Replica) -> Copied:
        copying.fetch(self._report)

        def job(connection: published.Transaction) -> Copied:
            copied = copying.write(connection)
            self._noted(connection, settings, copying.row, note)
            return copied

        copied: Copied = self._parts.database.write(job)
        return copied

    def _require_all(self, copying: Copying) -> None:
        """Refuse a head of other records than those that are here."""
        copying.fetch(self._report)
        lacking, every = copying.lacking()
        if lacking:
            message = f"The newest head lacks {lacking} of the {every} records that are here."
            raise ConflictError(message, hint=_ANEW)

    def _looked(self) -> Replica:
        return msgspec.structs.replace(self._note, looked=self._parts.journal.now())

    def _noted(
        self,
        connection: published.Transaction,
        settings: dict[str, str],
        source: StoreRow,
        note: Replica,
    ) -> None:
        """Write down where the stores are, and how fresh the replica is."""
        vault = self._parts.vault
        replica.put_note(connection, vault, note)
        rows = {row.kind: row for row in published.stores(connection, vault)}
        for kind, text in settings.items():
            published.change_settings(connection, rows[kind].number, text)
        for kind in rows.keys() - settings.keys() - {source.kind}:
            published.remove_store(connection, rows[kind].number)

    def _make_rows(
        self, connection: published.Transaction, given: Sequence[tuple[str, str]]
    ) -> None:
        """A row for every kind of store that is looked at."""
        rows = {row.kind for row in published.stores(connection, self._parts.vault)}
        for kind, text in given:
            if kind not in rows:
                published.add_store(connection, self._parts.vault, kind, text, Published())

    def _same(self, settings: dict[str, str], ignored: tuple[str, ...]) -> Refreshed:
        note = self._looked()
        self._parts.database.write(
            lambda connection: self._noted(connection, settings, self._here, note)
        )
        self._clear()
        return Refreshed(
            changed=False,
            head=self._here.state.number,
            as_of=from_microseconds(self._here.state.at),
            refreshed_at=from_microseconds(note.looked),
            ignored=ignored,
        )

    def _clear(self) -> None:
        """Clear free pages and files that something erased is left in; or the next one does."""
        inspection.scrub_if_noted(self._parts, _SCRUB_BYTES)
        with suppress(StorageError):
            chunks.sweep(self._parts)


_ANEW = (
    "What is here may be the last copy of something: `haulout export` writes it out."
    " `haulout replica refresh --anew` then takes the head as it is."
)
_ASK_FOR_A_LOCATOR = (
    "Give `haulout replica refresh` a newer locator: the owner's vault keeps one in locator.txt."
)


def _holds(one: Head, other: Head) -> bool:
    """Whether a head's tips reach as far as another's."""
    ends = {tip.device: tip for tip in one.tips}
    return all(
        (end := ends.get(tip.device)) is not None and (end.sequence > tip.sequence or end == tip)
        for tip in other.tips
    )


def _when(clock: int) -> str:
    return f"{from_microseconds(clock):%Y-%m-%d %H:%M} UTC"
