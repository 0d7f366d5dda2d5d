"""One lane's part in a publication: which runs its next head names, and what is sealed for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from haulout.database.transaction import Transaction
from haulout.log import head as heads
from haulout.log import planning
from haulout.log.head import Head, Ref, Run, Tip
from haulout.log.keychain import fresh_wraps
from haulout.log.planning import Wanted
from haulout.log.published import Published, PublishedRun
from haulout.log.record import GENESIS, Lane, record_hash
from haulout.vault.opening import Parts
from haulout.vault.stores.packing import Packing
from haulout.vault.stores.sections import Sections, erased, fresh
from haulout.vault.stores.store import Store

MOST_RECORDS: Final = 100_000
"""Of a lane in one publication; what is left follows in the next one."""
_SEGMENT, _KEYS = "/segment", "/keys"
_PART: Final = "\0"
"""Between a model's name and which of its sections it is."""
Ready = Callable[[int, int], tuple[str, ...]]
"""The models of which every vector of the records in a range is there."""


class LanePlan:
    """What one lane publishes next.

    Args:
        parts: the lane's: its database, and its journal.
        connection: a read transaction of that database, for as long as this is used.
        before: what is published of it; ``upto``: the newest record that may be named, or None.
    """

    def __init__(
        self, parts: Parts, connection: Transaction, before: Published, upto: int | None = None
    ) -> None:
        self._parts, self._connection = parts, connection
        self.journal, self.before = parts.journal, before
        found = fresh(connection, parts.vault, before.through, MOST_RECORDS)
        self._fresh = [one for one in found if upto is None or one[0] <= upto]
        self.goes_on = len(self._fresh) == MOST_RECORDS
        self.through = self._fresh[-1][0] if self._fresh else before.through
        self._gone = [num for num in erased(connection, parts.vault) if num <= self.through]
        self._wanted: Sequence[Wanted] = ()
        self._ended: set[bytes] = set()
        self._places: dict[tuple[int, str], int] = {}

    @property
    def lane(self) -> Lane:
        """Which lane it is."""
        return self.journal.lane

    def ending(self, again: Collection[bytes]) -> set[bytes]:
        """The blobs that this lane's next head must not name; see `planning.ending`."""
        return planning.ending(self.before.runs, self._gone, again)

    def plan(self, ended: set[bytes], ready: Callable[[Transaction], Ready]) -> None:
        """Decide which sections are written.

        Args:
            ended: what `ending` gave, of all lanes that share blobs; ``ready``: of its vectors.
        """
        self._ended = ended
        planned = planning.plan(self.before.runs, self._fresh, self._gone, ended)
        self._wanted = planning.with_vectors(planned, ready(self._connection), ended)

    @property
    def changes(self) -> bool:
        """Whether anything of it is written."""
        return planning.changes(self._wanted)

    def seal(self, sections: Sections, packing: Packing) -> None:
        """Seal what is wanted, the keys last."""
        for one in self._parts.way.along(self._wanted):
            if one.base is None:
                data = sections.segment(self._connection, one.first, one.last)
                self._places[one.first, _SEGMENT] = packing.add(data, lasting=True)
            for model in one.models:
                parts = sections.vectors(self._connection, one.first, one.last, model)
                for part, data in enumerate(parts):
                    place = one.first, f"{model}{_PART}{part:04d}"
                    self._places[place] = packing.add(data, lasting=True)
        for one in self._parts.way.along(self._wanted):
            keys = sections.keys(self._connection, one.first, one.last) if one.keys else None
            if keys is not None:
                self._places[one.first, _KEYS] = packing.add(keys, lasting=False)

    def runs(self, refs: Mapping[int, Ref]) -> tuple[PublishedRun, ...]:
        """Every run as the head will name it, once it is known where the sections stand."""
        found = {place: refs[number] for place, number in self._places.items()}
        vectors = _vectors(found)
        return tuple(self._run(one, found, vectors[one.first]) for one in self._wanted)

    def _run(
        self, one: Wanted, found: Mapping[tuple[int, str], Ref], written: Sequence[tuple[str, Ref]]
    ) -> PublishedRun:
        """A run; what stands of it in blobs that ended is not named."""
        base = one.base
        if base is None:
            segment, records = found[one.first, _SEGMENT], one.last - one.first + 1
            named = [*written]
        else:
            segment, records = base.run.segment, base.run.records
            pairs = zip(base.models, base.run.vectors, strict=True)
            kept = [(model, ref) for model, ref in pairs if ref.blob not in self._ended]
            named = [*((model, ref) for model, ref in kept if model not in one.models), *written]
        models, vectors = tuple(model for model, _ in named), tuple(ref for _, ref in named)
        keys = found.get((one.first, _KEYS))
        if not one.keys and base is not None:
            keys = base.run.keys
        dead = planning.erased_within(self._gone, one.first, one.last)
        return PublishedRun(one.first, one.last, Run(records, segment, keys, vectors), dead, models)

    def head(
        self, store: Store, clock: int, runs: Sequence[PublishedRun], maps: Sequence[Ref] = ()
    ) -> bytes:
        """The next head, signed and sealed.

        Args:
            store: for which; ``clock``: when, microseconds.
            runs: what `runs` gave; ``maps``: where the maps of attachment chunks are.
        """
        keychain, device = self.journal.keychain, self._parts.device
        head = Head(
            vault=self._parts.vault_id,
            lane=self.lane,
            device=device.id,
            number=self.before.number + 1,
            clock=clock,
            previous=_previous(self.before),
            certificate=keychain.certificates[device.id],
            tips=_tips(self._connection, self._parts.vault, self.through),
            runs=tuple(run.run for run in runs),
            chunks=tuple(maps),
            stores=store.settings().encode(),
            store=store.id,
        )
        return heads.seal_head(
            head,
            device,
            keychain.user_secrets(),
            fresh_wraps(head.vault, keychain.user_secrets(), keychain.kit_public),
            self.journal.entropy,
        )


def _vectors(
    found: Mapping[tuple[int, str], Ref],
) -> defaultdict[int, list[tuple[str, Ref]]]:
    """The vector sections that were written, by the first record of their run: model and place."""
    by_run: defaultdict[int, list[tuple[str, Ref]]] = defaultdict(list)
    for (first, name), ref in sorted(found.items()):
        if _PART in name:
            by_run[first].append((name.partition(_PART)[0], ref))
    return by_run


def _previous(state: Published) -> bytes:
    """What the next head names as the one before it: a restored copy goes on from its source's."""
    before = state.head or next((data for _, data in state.replaces), b"")
    return heads.digest(before) if before else GENESIS


def _tips(connection: Transaction, vault: int, through: int) -> tuple[Tip, ...]:
    rows = connection.execute(
        "SELECT device, sequence, header FROM record r WHERE vault = ?1 AND num <= ?2"
        " AND sequence = (SELECT max(sequence) FROM record WHERE vault = ?1 AND num <= ?2"
        "  AND device = r.device) ORDER BY device",
        (vault, through),
    ).fetchall()
    return tuple(Tip(device, sequence, record_hash(header)) for device, sequence, header in rows)
