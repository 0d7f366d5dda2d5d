"""A Walrus network as others use it: put, get, look up, renew, and what is about to end.

Nothing is believed because somebody says so: a blob's ID is computed here before it is sent, bytes
that come back are compared with it, and "placed" means that storage nodes vouch for it (or, where
none are configured, that an aggregator gave it back). Who lies is named in an error or among the
faults of a result. What cannot be known over HTTP is said to be unknown. docs/spec/walrus.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from types import TracebackType
from typing import Self

from haulout.errors import (
    BlobMissingError,
    HauloutError,
    InputError,
    StoreUnavailableError,
    WrongBytesError,
)
from haulout.redstuff import blob_id, blob_id_bytes, blob_id_text
from haulout.redstuff import quilt as quilts
from haulout.redstuff.quilt import Item, Quilt
from haulout.storage.walrus.aggregator import Aggregator
from haulout.storage.walrus.config import NetworkConfig
from haulout.storage.walrus.expiry import expiring
from haulout.storage.walrus.hedging import Read
from haulout.storage.walrus.http import Answer, Http, Silence
from haulout.storage.walrus.looking import Lookout
from haulout.storage.walrus.node import Node
from haulout.storage.walrus.placing import Attempt, Parcel, Placed, Placer
from haulout.storage.walrus.publisher import Publisher, Terms
from haulout.storage.walrus.reading import Reader
from haulout.storage.walrus.relay import Relay
from haulout.storage.walrus.slivers import Slivers
from haulout.storage.walrus.standing import Standing
from haulout.storage.walrus.wire import Stored, read_quilt_result, read_store_result

__all__ = ["Attempt", "Network", "Placed", "PlacedQuilt", "Read", "Standing", "expiring"]

_PAUSE = 0.5  # seconds between two looks while a certification spreads


@dataclass(frozen=True, slots=True)
class PlacedQuilt:
    """A quilt that stands on the network.

    Attributes:
        placed: the blob that it is.
        patch_ids: of its items by identifier; they name columns of this quilt, computed here.
    """

    placed: Placed
    patch_ids: Mapping[str, str]


class Network:
    """One Walrus network. Synchronous, and safe to use from several threads.

    Two threads that place the same blob pay once; two *processes* have to see to that themselves.

    Args:
        config: its services.
        now: Unix seconds; sleep: waits so many seconds while a certification spreads.

    Raises:
        InputError: urllib3 is not installed.
    """

    def __init__(
        self,
        config: NetworkConfig,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = config
        self._sleep = sleep
        self._http = http = Http(config.timeouts)
        reads, puts = config.timeouts.read, config.timeouts.put
        self.publishers = tuple(Publisher(http, u, config.token, puts) for u in config.publishers)
        self.aggregators = tuple(Aggregator(http, u, reads) for u in config.aggregators)
        self.relays = tuple(Relay(http, u, puts) for u in config.relays)
        self.nodes = tuple(Node(http, n.url, config.n_shards, reads) for n in config.nodes)
        self._lookout = Lookout(config, self.nodes, self.aggregators)
        self._slivers = Slivers(config, self.nodes)
        self._reader = Reader(config, self.aggregators, self._slivers)
        self._now = now
        self._lock = threading.Lock()
        self._placing: dict[str, tuple[threading.Lock, int]] = {}

    def __enter__(self) -> Self:
        """Give the network itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give connections back. Closing twice is fine."""
        self._http.close()

    # ------------------------------------------------------------------ putting

    def put(
        self,
        data: bytes,
        *,
        epochs: int | None = None,
        deletable: bool = True,
        send_object_to: str | None = None,
        attempt: Attempt | None = None,
        write_down: Callable[[Attempt], None] = lambda _: None,
    ) -> Placed:
        """Place a blob: paid once, and confirmed by others than the publisher.

        Args:
            data: the blob; epochs: how long it is kept, from the current epoch on.
            deletable: its owner can delete it before its end. Storage nodes tell the end of
                permanent blobs alone; of deletable ones only the publisher does.
            send_object_to: the address that is to own its object; the publisher otherwise.
            attempt: what `write_down` was last given for this blob, where an earlier call with
                the same arguments did not end well.
            write_down: keeps an attempt where it outlives a crash; called before money is spent.

        Raises:
            LimitError, StoreRefusedError: every publisher refuses; the messages say why.
            StoreUnavailableError: not placed, or not known to be: call again with the attempt.
            WrongBytesError: a publisher answers about another blob; it is named.
        """
        terms = self._terms(epochs, deletable=deletable, send_object_to=send_object_to)
        return self._place(self._parcel(data, terms), data, attempt, write_down)

    def renew(
        self,
        data: bytes,
        *,
        epochs: int | None = None,
        deletable: bool = True,
        attempt: Attempt | None = None,
        write_down: Callable[[Attempt], None] = lambda _: None,
    ) -> Placed:
        """Keep a blob for longer, until ``epochs`` from now.

        There is no extension over HTTP: the same bytes are stored again. A publisher whose
        wallet owns the blob's object extends that, and pays storage for the added epochs; any
        other pays for a second blob from the beginning. A permanent blob that is
        kept for as long already costs nothing.

        Raises:
            HauloutError: as `put`.
        """
        terms = self._terms(epochs, deletable=deletable)
        parcel = self._parcel(data, terms, renewing=True)
        return self._place(parcel, data, attempt, write_down)

    def confirm(self, name: str, data: bytes | None = None) -> None:
        """See that a blob stands, whatever its publisher says.

        Storage nodes with f + 1 shards must call it certified, and one must give its metadata,
        which the ID proves. Without nodes, an aggregator must give the blob back whole; one that
        belongs to the publisher could do so from a cache.

        Args:
            name: the blob's ID; data: its bytes, where they are at hand to compare.

        Raises:
            BlobMissingError: nobody vouches for it; others as `get`.
        """
        if not self.nodes and not self.aggregators:
            raise InputError(
                "There is nobody to confirm what a publisher says.",
                hint="Configure aggregators, or better storage nodes.",
            )
        if not self._look_up(name, data).certified:
            raise BlobMissingError(f"Blob {name} is not certified.")
        if self.nodes:
            self._reader.metadata(name)

    def _place(
        self,
        parcel: Parcel,
        data: bytes,
        attempt: Attempt | None,
        write_down: Callable[[Attempt], None],
    ) -> Placed:
        if not self.publishers:
            raise InputError("No publisher is configured.")
        if not self.nodes and not self.aggregators:
            self.confirm(parcel.blob_id)  # raises: nobody could bear the publisher out
        placer = Placer(
            self.publishers,
            lambda name: self._look_up(name, data),
            lambda name: self._confirm_soon(name, data),
            self._now,
            self.config.settle_after,
        )
        with self._alone(parcel.blob_id):
            return placer.place(parcel, attempt, write_down)

    @contextmanager
    def _alone(self, name: str) -> Generator[None]:
        """Let one thread at a time place a blob: the second one finds it standing."""
        with self._lock:
            lock, waiting = self._placing.get(name, (threading.Lock(), 0))
            self._placing[name] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                _, waiting = self._placing[name]
                self._placing[name] = (lock, waiting - 1)
                if waiting == 1:
                    del self._placing[name]

    def _parcel(self, data: bytes, terms: Terms, *, renewing: bool = False) -> Parcel:
        def send(publisher: Publisher, terms: Terms) -> Answer | Silence:
            return publisher.send_blob(data, terms)

        name = blob_id(data, self.config.n_shards)
        return Parcel(name, len(data), send, read_store_result, terms, renewing)

    def _terms(
        self, epochs: int | None, *, deletable: bool, send_object_to: str | None = None
    ) -> Terms:
        chosen = self.config.epochs if epochs is None else epochs
        terms = Terms(chosen, permanent=not deletable, send_object_to=send_object_to)
        terms.query()  # refuse what cannot be meant before anything is computed
        return terms

    def _look_up(self, name: str, data: bytes | None = None) -> Standing:
        if self.nodes:
            return self._lookout.nodes(name)

        def verify(aggregator: Aggregator) -> None:
            most = self.config.most_bytes if data is None else len(data)
            given = aggregator.blob(name, most, fresh=True).data
            right = given == data if data is not None else self._named(given) == name
            if not right:
                raise WrongBytesError(f"{aggregator.url} gives bytes that are not the blob's.")

        return self._lookout.aggregators(name, verify)

    def _confirm_soon(self, name: str, data: bytes) -> None:
        """Confirm, and look again for a while: storage nodes learn of a certification late."""
        end = self._now() + self.config.confirm_for
        while True:
            try:
                return self.confirm(name, data)
            except (BlobMissingError, StoreUnavailableError):
                if self._now() >= end:
                    raise
            self._sleep(_PAUSE)

    def _named(self, data: bytes) -> str:
        return blob_id(data, self.config.n_shards)

    # ------------------------------------------------------------------ reading

    def get(self, name: str, *, size: int | None = None) -> bytes:
        """The bytes of a blob, verified against its ID.

        Args:
            name: the blob's ID, text form; size: its bytes where known; no more are read then.

        Raises:
            BlobMissingError: nobody has it; WrongBytesError: who has it lies, by name.
            StoreUnavailableError, StoreRefusedError: somebody may have it, and does not give it.
        """
        return self.read(name, size=size).data

    def read(self, name: str, *, size: int | None = None) -> Read:
        """As `get`, with who gave it and what others did wrong."""
        return self._reader.blob(checked_name(name), size)

    def get_range(
        self, name: str, start: int, length: int, *, digest: bytes | None = None
    ) -> bytes:
        """Verified bytes of a part of a blob.

        Args:
            name: the blob's ID; start, length: the part, in bytes.
            digest: SHA-256 of the part, 32 bytes. With it aggregators are asked; without it
                storage nodes alone, whose slivers the blob's ID proves.

        Raises:
            InputError: there is no such part, or the digest is not its; others as `get`.
        """
        return self.read_range(name, start, length, digest=digest).data

    def read_range(
        self, name: str, start: int, length: int, *, digest: bytes | None = None
    ) -> Read:
        """As `get_range`, with who gave it and what others did wrong."""
        if digest is not None and len(digest) != sha256().digest_size:
            raise InputError("A SHA-256 digest has 32 bytes.")
        return self._reader.range(checked_name(name), start, length, digest)

    def get_from_nodes(self, name: str) -> bytes:
        """The bytes of a blob from storage nodes alone, each sliver verified."""
        return self.read_from_nodes(name).data

    def read_from_nodes(self, name: str) -> Read:
        """As `get_from_nodes`, with what nodes did wrong."""
        return self._slivers.blob(self._reader.metadata(checked_name(name)))

    # ------------------------------------------------------------------ knowing

    def status(self, name: str) -> Standing:
        """What stands of a blob, as far as it can be known.

        Without storage nodes an aggregator has to give all of it, and no end is known.
        """
        return self._look_up(checked_name(name))

    def current_epoch(self) -> int | None:
        """The current epoch, which storage nodes of f + 1 shards say has begun.

        Only a node's health tells it: no route of publishers, aggregators or relays does. None
        where no nodes are configured.

        Raises:
            StoreUnavailableError: too few nodes answer.
        """
        return self._lookout.nodes(None).epoch if self.nodes else None

    # ------------------------------------------------------------------ quilts

    def put_quilt(
        self,
        items: Sequence[Item],
        *,
        epochs: int | None = None,
        deletable: bool = True,
        attempt: Attempt | None = None,
        write_down: Callable[[Attempt], None] = lambda _: None,
    ) -> PlacedQuilt:
        """Place many small items as one quilt; the publisher must make the same as is made here.

        Raises:
            InputError, LimitError: the items make no quilt; others as `put`.
        """
        packed = quilts.pack(items, self.config.n_shards)
        data = bytes(packed.data)
        terms = self._terms(epochs, deletable=deletable)
        name = self._named(data)

        def send(publisher: Publisher, terms: Terms) -> Answer | Silence:
            return publisher.send_quilt(items, terms)

        def read(body: bytes, who: str) -> Stored:
            return read_quilt_result(body, who)[0]

        parcel = Parcel(name, len(data), send, read, terms)
        placed = self._place(parcel, data, attempt, write_down)
        raw = blob_id_bytes(name)
        ids = {patch.identifier: quilts.patch_id(raw, patch) for patch in packed.patches}
        return PlacedQuilt(placed, ids)

    def get_quilt(self, name: str) -> Quilt:
        """A quilt, read whole and verified; its items are had from it without asking again."""
        return quilts.read(self.get(name), self.config.n_shards)

    def get_item(self, patch_id: str) -> Item:
        """One item of a quilt by its patch ID, verified.

        With storage nodes, only the slivers that it stands in are read. Without, the whole quilt
        is: an aggregator's answer for one patch proves nothing.

        Raises:
            InputError: it is no patch ID; others as `get`.
        """
        patch = quilts.parse_patch_id(patch_id)
        name = blob_id_text(patch.blob_id)
        if not self.nodes:
            return self.get_quilt(name).item(patch)
        metadata = self._reader.metadata(name)
        try:
            columns = self._slivers.columns(metadata, range(patch.start, patch.end))
        except HauloutError:
            return quilts.read(self.get(name), self.config.n_shards).item(patch)
        return quilts.item_from_slivers(patch, columns)


def checked_name(name: str) -> str:
    """Return a blob's ID where it is one, in text form.

    Raises:
        InputError: it is not.
    """
    return blob_id_text(blob_id_bytes(name))
