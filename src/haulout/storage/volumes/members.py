"""The volumes of a set as they are spoken to: only those that prove to be of the set.

Before a volume is used its marker is read (docs/spec/volume.md, "Marker"): a place that is
empty, foreign or swapped counts as unavailable, is read for nothing and written to never. Reads
remember that a marker was right; writes look again each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from threading import Lock
from typing import Final, TypeVar

from haulout.errors import (
    BlobMissingError,
    ConflictError,
    InputError,
    StoreUnavailableError,
    WrongBytesError,
)
from haulout.redstuff import Metadata, parameters
from haulout.storage.backend import Backend, Object
from haulout.storage.volumes.clock import Clock
from haulout.storage.volumes.layout import Layout
from haulout.storage.volumes.marker import (
    FORMAT,
    MOST_MARKER_BYTES,
    Marker,
    decode_marker,
    encode_marker,
)
from haulout.storage.volumes.naming import MARKER
from haulout.storage.volumes.rounds import Lines, Question

MOST_LISTED: Final = 5_000_000  # names of one volume; 500,000 blobs of ten shards on one place
_CACHED_HASHES: Final = 20_000  # of blobs' metadata that are kept: 1,000 blobs at n = 10

T = TypeVar("T")


class Members:
    """The layout, its backends with their threads, and who proved to be of the set.

    Attributes:
        layout: where shards belong; ``homes``: the volume of each shard.
        lines: the backends' threads; ``hedge_after``: seconds until another is asked.
    """

    def __init__(
        self,
        layout: Layout,
        backends: Mapping[str, Backend],
        *,
        workers: int,
        hedge_after: float,
        clock: Clock,
        between: Callable[[], None],
    ) -> None:
        if set(backends) != {volume.id for volume in layout.volumes}:
            raise InputError("A set needs one backend for each volume of its layout.")
        self.layout = layout
        self.homes = layout.homes()
        self.rs2 = parameters(layout.n_shards)
        self.lines = Lines(backends, workers, clock, between)
        self.hedge_after = hedge_after
        self._backends = dict(backends)
        self._proved: set[str] = set()
        self._metadata: OrderedDict[str, Metadata] = OrderedDict()
        self._lock = Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The IDs of all volumes."""
        return tuple(volume.id for volume in self.layout.volumes)

    def now(self) -> float:
        """The clock's time."""
        return self.lines.clock.now()

    def reading(self, volume: str, shard: int | None, call: Callable[[Backend], T]) -> Question[T]:
        """A question that is put only to a volume of this set."""

        def checked(backend: Backend) -> T:
            if volume not in self._proved:
                self.prove(volume, backend)
            return call(backend)

        return Question(volume, shard, checked)

    def writing(self, volume: str, shard: int | None, call: Callable[[Backend], T]) -> Question[T]:
        """The same for a change: the marker is read anew, and must not tell of a newer layout."""

        def checked(backend: Backend) -> T:
            generation = self.prove(volume, backend).generation
            if generation > self.layout.generation:
                message = f"Volume {volume} was given a newer layout (generation {generation})."
                raise ConflictError(message, hint="Open the set again with the newest layout.")
            return call(backend)

        return Question(volume, shard, checked)

    def prove(self, volume: str, backend: Backend) -> Marker:
        """Read a volume's marker.

        Raises:
            StoreUnavailableError: the place is not this volume of this set.
        """
        try:
            marker = self._look(backend)
        except WrongBytesError as error:
            self._proved.discard(volume)
            message = f"The marker of volume {volume} cannot be read. {error.message}"
            raise StoreUnavailableError(message) from error
        if marker is None:
            self._proved.discard(volume)
            message = f"The place of volume {volume} has no marker: it is empty, or another place."
            hint = "Connect the right place, or adopt this one as the volume, then repair."
            raise StoreUnavailableError(message, hint=hint)
        if (marker.set_id, marker.volume) != (self.layout.set_id, volume):
            self._proved.discard(volume)
            message = (
                f"The place of volume {volume} holds volume {marker.volume} of set "
                f"{marker.set_id[:8]}; this is set {self.layout.set_id[:8]}."
            )
            raise StoreUnavailableError(message, hint="Connect the place that belongs there.")
        self._proved.add(volume)
        return marker

    def mark(self, volume: str, backend: Backend) -> None:
        """Make a place this volume of this set, where it is one already or wholly empty.

        Raises:
            ConflictError: it is another volume's, or holds something and no marker.
            StorageError: it does not answer, or cannot be written.
        """
        try:
            marker = self._look(backend)
        except WrongBytesError as error:
            raise ConflictError(f"The place of volume {volume} is not empty.") from error
        if marker is None and next(iter(backend.list()), None) is not None:
            message = f"The place of volume {volume} holds objects, and no marker."
            raise ConflictError(message, hint="Use an empty place, or remove what is in this one.")
        if marker is not None:
            if (marker.set_id, marker.volume) != (self.layout.set_id, volume):
                message = (
                    f"The place of volume {volume} belongs to volume {marker.volume} of a set."
                )
                raise ConflictError(message, hint="Use another place for it.")
            if marker.generation >= self.layout.generation:
                return
        backend.put(MARKER, self.marker(volume))
        self._proved.add(volume)

    def _look(self, backend: Backend) -> Marker | None:
        """The marker of a place, or None where there is none."""
        try:
            return decode_marker(backend.get(MARKER, 0, MOST_MARKER_BYTES + 1))
        except BlobMissingError:
            return None

    def marker(self, volume: str) -> bytes:
        """What a volume's marker says under this layout."""
        return encode_marker(Marker(FORMAT, self.layout.set_id, volume, self.layout.generation))

    def known(self, blob_id: str) -> Metadata | None:
        """Metadata that were verified before."""
        with self._lock:
            found = self._metadata.get(blob_id)
            if found is not None:
                self._metadata.move_to_end(blob_id)
            return found

    def keep(self, metadata: Metadata) -> None:
        """Remember verified metadata, those used longest ago giving way."""
        with self._lock:
            self._metadata[metadata.blob_id_text] = metadata
            while len(self._metadata) > max(1, _CACHED_HASHES // (2 * self.layout.n_shards)):
                self._metadata.popitem(last=False)

    def close(self) -> None:
        """Give threads and connections back."""
        self.lines.close()
        for backend in self._backends.values():
            backend.close()


def bounded_list(backend: Backend, prefix: str, most: int = MOST_LISTED) -> Iterator[Object]:
    """A volume's listing, without what was not asked for.

    Raises:
        StoreUnavailableError: it has no end that could be true.
    """
    count = 0
    for count, found in enumerate(islice(backend.list(prefix), most + 1), 1):
        if count > most:
            break
        if found.name.startswith(prefix) and found.size >= 0:
            yield found
    if count > most:
        raise StoreUnavailableError(f"A volume lists more than {most:,} objects.")


def bounded_get(backend: Backend, name: str, start: int, length: int) -> bytes:
    """A range of an object, never longer than asked for.

    Raises:
        WrongBytesError: the volume gave more than was asked for.
    """
    data = backend.get(name, start, length)
    if len(data) > length:
        message = f"{len(data):,} bytes came where {length:,} were asked for."
        raise WrongBytesError(message)
    return data
