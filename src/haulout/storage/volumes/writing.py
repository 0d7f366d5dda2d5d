"""Writing one blob's shard objects to their volumes, and removing them.

Each volume is entered first: its marker is read and what it holds of the blob is listed. Objects
that stand with the right size are not sent again, unless the caller asks for it: after a crash a
name may stand that is not durable yet (storage/backend.py), and sending it again makes it so. When
the write quorum (`quorum.py`) is reached, slow volumes get as long again as a question may take
before it counts as late; what has not begun by then is cancelled, and reported as missing. A crash
at any write leaves objects that are whole or absent, under a name that only these bytes can have:
repeating the put completes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, wait
from threading import Lock
from typing import NamedTuple

from haulout.errors import ConflictError, StoreUnavailableError
from haulout.redstuff import Encoded, encode, pair_of_shard
from haulout.storage.backend import Backend
from haulout.storage.volumes.members import Members, bounded_list
from haulout.storage.volumes.naming import blob_prefix, parse_shard_name, shard_name
from haulout.storage.volumes.quorum import write_quorum
from haulout.storage.volumes.rounds import Answer, Question, Round, ask_all
from haulout.storage.volumes.shardfile import encode_object, object_size

Standing = Mapping[int, int]
"""The sizes of the shard objects of one blob on one volume, by shard."""


class Stored(NamedTuple):
    """What a put left durable.

    Attributes:
        blob_id: the blob's ID as text.
        durable: the shards whose objects are durable: acknowledged by their volume just now, or
            listed by it with the right size from before.
        stood: those of ``durable`` that stood before and were not sent again.
        missing: (shard, volume, reason) of each that is not durable; `repair` makes them.
    """

    blob_id: str
    durable: tuple[int, ...]
    stood: tuple[int, ...]
    missing: tuple[tuple[int, str, str], ...]


class Deleted(NamedTuple):
    """What a delete did.

    Attributes:
        blob_id: the blob's ID as text; ``objects``: how many objects were removed.
        unreached: (volume, reason) of each volume that may still hold some; delete again later.
    """

    blob_id: str
    objects: int
    unreached: tuple[tuple[str, str], ...]


class Stragglers:
    """Writes that were still under way when their put returned. Safe between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[str, list[Future[Standing]]] = {}

    def keep(self, blob_id: str, running: Iterable[Future[Standing]]) -> None:
        """Remember calls that still run, and drop those that ended."""
        with self._lock:
            for name, futures in list(self._running.items()):
                self._running[name] = [future for future in futures if not future.done()]
                if not self._running[name]:
                    del self._running[name]
            if found := list(running):
                self._running.setdefault(blob_id, []).extend(found)

    def settle(self, blob_id: str) -> None:
        """Wait for the calls about a blob, so that none of them writes after this returns."""
        with self._lock:
            running = self._running.pop(blob_id, [])
        wait(running)


class Putting:
    """One put under way."""

    def __init__(self, members: Members, data: bytes | Encoded, *, resend: bool) -> None:
        self._members = members
        self._resend = resend
        ready = data if isinstance(data, Encoded) else encode(data, members.layout.n_shards)
        self._encoded: Encoded = ready
        self._encoding = Lock()
        self._size = object_size(self._encoded.size, members.layout.n_shards)
        self._durable: set[int] = set()
        self._stood: set[int] = set()
        self._missing: dict[int, str] = {}
        self._changed: ConflictError | None = None

    @property
    def blob_id(self) -> str:
        """The blob's ID as text."""
        return self._encoded.blob_id_text

    def put(self, stragglers: Stragglers) -> Stored:
        """Send what does not stand yet, until enough is durable and the rest had its time.

        Raises:
            StoreUnavailableError: the write quorum was not reached; the message names the
                volumes. What was written stays, and the next put goes on from there.
            ConflictError: it was not reached because the set has a newer layout.
        """
        members, enough_at = self._members, None
        with Round[Standing](members.lines, members.hedge_after) as talk:
            for volume in members.layout.volumes:
                talk.ask(self._entering(volume.id))
            while talk.outstanding:
                if enough_at is None and write_quorum(members.layout, self._durable):
                    enough_at = members.now()
                until = None if enough_at is None else enough_at + members.hedge_after
                found = talk.next(until)
                if found is None:
                    break
                if isinstance(found, Question):
                    words = f"There was no answer within {members.hedge_after:g} s."
                    members.lines.pace.failed(found.volume, words)
                else:
                    self._take(talk, found)
            stragglers.keep(self.blob_id, talk.end())
        return self._result()

    def _entering(self, volume: str) -> Question[Standing]:
        prefix, n_shards = blob_prefix(self.blob_id), self._members.layout.n_shards
        return self._members.writing(volume, None, lambda b: standing(b, prefix, n_shards))

    def _sending(self, volume: str, shard: int) -> Question[Standing]:
        def call(backend: Backend) -> Standing:
            data = self._object(shard)
            backend.put(shard_name(self.blob_id, shard), data)
            return {shard: len(data)}

        return Question(volume, shard, call)

    def _object(self, shard: int) -> bytes:
        encoded = self._encoded
        pair = pair_of_shard(shard, encoded.blob_id, encoded.n_shards)
        with self._encoding:
            return encode_object(encoded.metadata, shard, *encoded.pair(pair))

    def _take(self, talk: Round[Standing], answer: Answer[Standing]) -> None:
        volume, shard, _ = answer.question
        if answer.error is not None or answer.value is None:
            words = "" if answer.error is None else answer.error.message
            if isinstance(answer.error, ConflictError):
                self._changed = answer.error
            else:
                self._members.lines.pace.failed(volume, words)
            for lacking in self._shards_of(volume) if shard is None else (shard,):
                self._missing[lacking] = words
            return
        if shard is not None:
            self._durable.add(shard)
            return
        for due in self._shards_of(volume):
            if answer.value.get(due) == self._size and not self._resend:
                self._durable.add(due)
                self._stood.add(due)
            else:
                talk.ask(self._sending(volume, due))

    def _shards_of(self, volume: str) -> tuple[int, ...]:
        return next(v.shards for v in self._members.layout.volumes if v.id == volume)

    def _result(self) -> Stored:
        members = self._members
        lacking = [s for s in range(members.layout.n_shards) if s not in self._durable]
        late = "There was no answer in time."
        missing = tuple((s, members.homes[s], self._missing.get(s, late)) for s in lacking)
        if write_quorum(members.layout, self._durable):
            return Stored(
                self.blob_id, tuple(sorted(self._durable)), tuple(sorted(self._stood)), missing
            )
        if self._changed is not None:
            raise self._changed
        reasons = {volume: words.rstrip(".") for _, volume, words in missing}
        told = "; ".join(f"volume {volume}: {words}" for volume, words in reasons.items())
        message = (
            f"Only {len(self._durable)} of {members.layout.n_shards} shards of blob "
            f"{self.blob_id} are durable, which is too few to count on. {told}."
        )
        raise StoreUnavailableError(message)


def standing(backend: Backend, prefix: str, n_shards: int) -> Standing:
    """The sizes of the shard objects of one blob on a volume."""
    found: dict[int, int] = {}
    for name, size in bounded_list(backend, prefix, 4 * n_shards):
        parsed = parse_shard_name(name, n_shards)
        if parsed is not None:
            found[parsed[1]] = size
    return found


def delete(members: Members, blob_id: str) -> Deleted:
    """Remove every object of a blob from every volume that answers, misplaced ones too."""
    prefix, n_shards = blob_prefix(blob_id), members.layout.n_shards

    def call(backend: Backend) -> int:
        shards = standing(backend, prefix, n_shards)
        for shard in shards:
            backend.delete(shard_name(blob_id, shard))
        return len(shards)

    answers = ask_all(
        members.lines,
        members.hedge_after,
        (members.writing(name, None, call) for name in members.names),
    )
    unreached = [
        (answer.question.volume, answer.error.message)
        for answer in answers
        if answer.error is not None
    ]
    objects = sum(answer.value or 0 for answer in answers)
    return Deleted(blob_id, objects, tuple(sorted(unreached)))
