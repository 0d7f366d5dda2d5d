"""A set of volumes: blobs over n shards, heads on every volume. docs/spec/volume.md.

    volumes = VolumeSet(layout, backends)
    volumes.adopt()                                new and empty places become the set's volumes
    stored = volumes.put(data)                     durable on a write quorum when this returns
    volumes.read(stored.blob_id).faults            who was missing, slow or lying on the way
    volumes.publish_head("memory", new, replaces=old)

Everything a caller holds is a blob ID: whatever volumes answer, the bytes that come back are those
of the ID, or an error says what is left of them.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

from haulout.errors import InputError, StoreUnavailableError
from haulout.redstuff import Encoded
from haulout.storage.backend import Backend
from haulout.storage.volumes import heads
from haulout.storage.volumes.clock import Clock, SystemClock
from haulout.storage.volumes.headstate import NONCE_BYTES
from haulout.storage.volumes.layout import Layout, encode_layout
from haulout.storage.volumes.listing import Listing, list_blobs
from haulout.storage.volumes.members import Members
from haulout.storage.volumes.naming import LAYOUT_HEAD
from haulout.storage.volumes.reading import Read, Reading
from haulout.storage.volumes.rounds import no_pause
from haulout.storage.volumes.writing import Deleted, Putting, Stored, Stragglers, delete

DEFAULT_WORKERS: Final = 4
DEFAULT_HEDGE_AFTER: Final = 1.0  # seconds; a bucket's slowest hundredth of answers, roughly


class BlobStanding(NamedTuple):
    """A blob that some volume lists, and how many of its shards stand at their places."""

    blob_id: str
    shards: int


class VolumeSet:
    """RS2 over n shards on any mix of backends. Safe between threads.

    Args:
        layout: where each shard belongs.
        backends: one for each volume of the layout, by volume ID. The set closes them.
        workers: threads for each volume.
        hedge_after: seconds after which another volume is asked as well.
        clock: time, and waiting for it.
        between: called between two calls to volumes, on the caller's thread and on theirs; it
            may wait there, so that work nobody waits for lets other work pass.
        jitter: random numbers from 0 to 1 for pauses; ``entropy``: random bytes for ballots.
    """

    def __init__(
        self,
        layout: Layout,
        backends: Mapping[str, Backend],
        *,
        workers: int = DEFAULT_WORKERS,
        hedge_after: float = DEFAULT_HEDGE_AFTER,
        clock: Clock | None = None,
        between: Callable[[], None] = no_pause,
        jitter: Callable[[], float] = random.random,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if workers < 1 or hedge_after <= 0:
            raise InputError("A set needs a worker for each volume, and time for an answer.")
        self.members = Members(
            layout,
            backends,
            workers=workers,
            hedge_after=hedge_after,
            clock=SystemClock() if clock is None else clock,
            between=between,
        )
        self._jitter = jitter
        self._entropy = entropy
        self._stragglers = Stragglers()

    @property
    def layout(self) -> Layout:
        """Where each shard belongs."""
        return self.members.layout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give threads and connections back. Calls that run end by themselves."""
        self.members.close()

    def adopt(self, *volumes: str) -> None:
        """Make new or replaced places volumes of this set, by writing their markers.

        Args:
            volumes: their IDs; all of the layout where none is named.

        Raises:
            ConflictError: a place belongs to something else, or is neither empty nor marked.
            StorageError: a place does not answer, or cannot be written.
        """
        for volume in volumes or self.members.names:
            if volume not in self.members.names:
                raise InputError(f"The set has no volume {volume!r}.")
            self.members.lines.submit(volume, self._marking(volume)).result()

    def _marking(self, volume: str) -> Callable[[Backend], None]:
        return lambda backend: self.members.mark(volume, backend)

    # ------------------------------------------------------------------ blobs

    def put(self, data: bytes | Encoded, *, resend: bool = False) -> Stored:
        """Keep a blob: encode it, and write every shard's object to its volume.

        Args:
            data: the blob, at most `redstuff.most_bytes` for the layout's shards; or one that was
                encoded for them already.
            resend: write also what stands already, as after a crash of this program: that a name
                stands does not say that it is durable.

        Returns:
            What is durable, and what is not and why. Directly after, any f of the n shards may
            be lost, and any one volume that the layout survives (`quorum.py`).

        Raises:
            LimitError: the blob is too large.
            StoreUnavailableError: too few volumes took it; the message names the others.
            ConflictError: the set has a newer layout.
        """
        return Putting(self.members, data, resend=resend).put(self._stragglers)

    def get(self, blob_id: str) -> bytes:
        """The bytes of a blob; errors as `read`."""
        return self.read(blob_id).data

    def read(self, blob_id: str) -> Read:
        """The bytes of a blob, and who failed, was late or lied on the way.

        Raises:
            InputError: this is no blob ID.
            BlobMissingError: every volume answered, and none has any of it.
            TooFewSliversError: too few shards are left; the message says which are gone where.
            StoreUnavailableError: too few, but volumes that do not answer may have the rest.
            InconsistentBlobError: its writer encoded something that is no blob.
        """
        reading = Reading(self.members, blob_id)
        data = reading.whole()
        return Read(data, reading.faults)

    def get_range(self, blob_id: str, start: int, length: int) -> bytes:
        """Some bytes of a blob; reads only the slivers that hold them, where these are well.

        Raises:
            InputError: the range is not within the blob; else as `read`.
        """
        return Reading(self.members, blob_id).part(start, length)

    def has(self, blob_id: str) -> bool:
        """Whether enough of a blob stands to read it, by names and sizes alone.

        Raises:
            StoreUnavailableError: volumes that do not answer may decide it.
        """
        found = list_blobs(self.members, blob_id)
        standing = len(found.standing(blob_id))
        if standing >= self.members.rs2.primary:
            return True
        if standing + len(found.out_of_reach()) >= self.members.rs2.primary:
            names = ", ".join(sorted(found.unreached))
            raise StoreUnavailableError(f"Volumes {names} do not answer, and may have {blob_id}.")
        return False

    def delete(self, blob_id: str) -> Deleted:
        """Remove every object of a blob from every volume that answers.

        Removing does not recall what other programs are writing at the same time.
        """
        self._stragglers.settle(blob_id)
        return delete(self.members, blob_id)

    def blobs(self) -> Iterator[BlobStanding]:
        """Every blob that some volume lists, ordered by ID.

        Raises:
            StoreUnavailableError: no volume answers.
        """
        found = self.listing()
        if len(found.unreached) == len(self.members.names):
            raise StoreUnavailableError("No volume of the set answers.")
        for blob_id in found.blob_ids():
            yield BlobStanding(blob_id, len(found.standing(blob_id)))

    def listing(self) -> Listing:
        """What every volume lists of blobs."""
        return list_blobs(self.members)

    # ------------------------------------------------------------------ heads

    def read_heads(self, name: str) -> tuple[heads.HeadCopy, ...]:
        """Every copy of a head, with its volume. The caller verifies signatures, takes the newest.

        Raises:
            StoreUnavailableError: too few volumes answered for the newest to be among them.
        """
        return heads.read_heads(self.members, name)

    def publish_head(
        self,
        name: str,
        data: bytes,
        replaces: bytes | None,
        *,
        number: heads.Number | None = None,
    ) -> tuple[str, ...]:
        """Put a head in the place of the one that the caller believes to stand, on every volume.

        Publishing again what stands is harmless, and what to do when the outcome is not known.

        Args:
            name: the head's; ``data``: its bytes, at most 1 MiB.
            replaces: the bytes believed to stand; None for none.
            number: verifies a copy and tells its number (None for one that is not genuine).
                Without it a copy is believed where volumes with more shards than may lie keep it
                alike.

        Returns:
            The volumes on which it is durable: a quorum or more.

        Raises:
            ConflictError: another head stands; `read_heads` gives it.
            StoreUnavailableError: too few volumes answered, or the outcome is not known.
        """
        swap = heads.HeadSwap(name, data, replaces)
        return heads.publish(self.members, swap, self._entropy(NONCE_BYTES), self._jitter, number)

    def settle_head(self, name: str) -> tuple[tuple[str, ...], bool]:
        """Bring volumes that lag, or lost a head, up to what stands. Needs no key.

        Returns:
            The volumes that were brought up, and whether a quorum keeps the head now.
        """
        return heads.settle(self.members, name, self._entropy(NONCE_BYTES), self._jitter)

    def list_heads(self, prefix: str = "") -> tuple[str, ...]:
        """The names of all heads, on whichever volume.

        Raises:
            StoreUnavailableError: no volume answers.
        """
        return heads.list_heads(self.members, prefix)

    def publish_layout(self, replaces: Layout | None = None) -> tuple[str, ...]:
        """Put the layout itself under the head `layout`, so that any volume tells of the others.

        Args:
            replaces: the layout that stands there; None for a new set. Publishing again what
                stands is harmless. `rebalance` publishes the layouts that follow.
        """
        before = None if replaces is None else encode_layout(replaces)
        return self.publish_head(LAYOUT_HEAD, encode_layout(self.layout), before)

    def nonce(self) -> bytes:
        """Random bytes for a ballot."""
        return self._entropy(NONCE_BYTES)
