"""Reads that are right whoever answers: each answer is checked, and whoever lies is named.

An aggregator's blob is compared with its ID by encoding it again: 0.25 s of CPU for 1 MiB at
n = 1,000, with the accelerator. With metadata from a storage node the p rows alone would have to be
hashed, 0.15 s; but fetching them (66 KB) makes each read depend on a second service. The check
that needs nobody else is worth the tenth of a second.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from haulout.errors import CodingError, HauloutError, InputError, WrongBytesError
from haulout.redstuff import Metadata, blob_id, most_bytes
from haulout.storage.walrus.aggregator import Aggregator
from haulout.storage.walrus.config import NetworkConfig
from haulout.storage.walrus.hedging import Fault, Read, Source, Won, failure, fault_of, race
from haulout.storage.walrus.slivers import Slivers

_METADATA_KEPT: Final = 64  # blobs; 66 KB each at n = 1,000


class Reader:
    """Reads from aggregators first and from storage nodes where these do not suffice.

    Args:
        config: the network; aggregators: in the order of preference; slivers: the storage nodes.
    """

    def __init__(
        self, config: NetworkConfig, aggregators: Sequence[Aggregator], slivers: Slivers
    ) -> None:
        self._config = config
        self._aggregators = tuple(aggregators)
        self._slivers = slivers
        self._metadata: OrderedDict[str, Metadata] = OrderedDict()
        self._lock = threading.Lock()

    def blob(self, name: str, size: int | None = None) -> Read:
        """A whole blob.

        Args:
            name: its ID, text form; size: its bytes, where known; no more are then read.

        Raises:
            BlobMissingError, WrongBytesError, StoreUnavailableError, StoreRefusedError: as
                `hedging.failure` says.
        """
        most = self._most(name, size)

        def verified(aggregator: Aggregator) -> bytes:
            data = aggregator.blob(name, most).data
            if blob_id(data, self._config.n_shards) != name:
                raise WrongBytesError(f"{aggregator.url} gives bytes that are not the blob's.")
            return data

        sources = [_source(a, verified) for a in self._aggregators]
        return self._then_nodes(
            sources, f"Blob {name}", lambda: self._slivers.blob(self.metadata(name))
        )

    def range(self, name: str, start: int, length: int, digest: bytes | None) -> Read:
        """``length`` bytes from ``start``.

        Args:
            name: the blob's ID, text form; start, length: the range.
            digest: SHA-256 of those bytes. Without it only storage nodes can be believed, because
                an aggregator's part of a blob proves nothing.

        Raises:
            InputError: there is no such range; others as `blob`.
        """
        if start < 0 or length < 1:
            raise InputError(f"There is no range of {length} bytes from {start}.")

        def verified(aggregator: Aggregator) -> bytes:
            data = aggregator.blob_range(name, start, length).data
            if sha256(data).digest() != digest:
                raise WrongBytesError(f"{aggregator.url} gives bytes that are not the range's.")
            return data

        def from_nodes() -> Read:
            read = self._slivers.range(self.metadata(name), start, length)
            if digest is not None and sha256(read.data).digest() != digest:
                message = f"The given hash is not that of bytes {start} to {start + length}"
                raise InputError(f"{message} of blob {name}, which were verified otherwise.")
            return read

        sources = [_source(a, verified) for a in self._aggregators] if digest is not None else []
        return self._then_nodes(sources, f"The range of blob {name}", from_nodes)

    def metadata(self, name: str) -> Metadata:
        """The blob's metadata from any node, verified against the ID; the last 64 are kept.

        Raises:
            BlobMissingError, StoreUnavailableError, WrongBytesError: no node gives it.
        """
        with self._lock:
            if (known := self._metadata.get(name)) is not None:
                self._metadata.move_to_end(name)
                return known
        found = self._slivers.metadata(name)
        with self._lock:
            self._metadata[name] = found
            while len(self._metadata) > _METADATA_KEPT:
                self._metadata.popitem(last=False)
        return found

    def _most(self, name: str, size: int | None) -> int:
        with self._lock:
            known = self._metadata.get(name)
        if size is None and known is not None:
            size = known.size
        if size is None:
            return min(self._config.most_bytes, most_bytes(self._config.n_shards))
        return size

    def _then_nodes(
        self, sources: Sequence[Source[bytes]], what: str, nodes: Callable[[], Read]
    ) -> Read:
        faults: tuple[Fault, ...] = ()
        if sources:
            won = race(sources, self._config.hedge_after)
            if isinstance(won, Won):
                return Read(won.value, won.url, won.faults)
            if not self._config.nodes:
                raise failure(what, won)
            faults = won
        if not self._config.nodes:
            raise InputError(
                f"{what} cannot be verified: no storage nodes are configured.",
                hint="Give the hash of the range, or name storage nodes.",
            )
        try:
            read = nodes()
        except (InputError, CodingError):
            raise
        except HauloutError as error:
            raise failure(what, [*faults, fault_of("the storage nodes", error)]) from error
        return Read(read.data, read.url, (*faults, *read.faults))


def _source(aggregator: Aggregator, read: Callable[[Aggregator], bytes]) -> Source[bytes]:
    return Source(aggregator.url, lambda: read(aggregator))
