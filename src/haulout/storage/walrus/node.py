"""A storage node: metadata, slivers, status, confirmations, symbols. Source: walrus.md §6.5.

The path of a sliver names its *pair*; its body holds the sliver's own index, which for a secondary
sliver is the other way round. Both are checked, and metadata is checked against the blob ID.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar

from haulout.errors import WrongBytesError
from haulout.redstuff import (
    InconsistencyProof,
    Metadata,
    RecoverySymbol,
    Sliver,
    blob_id_bytes,
    parameters,
)
from haulout.redstuff.parameters import Axis
from haulout.storage.walrus.config import checked_url
from haulout.storage.walrus.http import Http, Request
from haulout.storage.walrus.symbols import read_decoding_symbols, read_recovery_symbols
from haulout.storage.walrus.wire import (
    BlobStatus,
    Health,
    Signed,
    read_health,
    read_signed,
    read_status,
    read_success,
)

_METADATA_FRAME: Final = 64  # bytes around the hashes: ID, variants, length, count
_PAIR_BYTES: Final = 66  # two hashes with their variants
_SLIVER_FRAME: Final = 16  # bytes around a sliver's data

StoredStatus = Literal["nonexistent", "buffered", "stored"]

T = TypeVar("T")


class Node:
    """One storage node.

    Args:
        http: sends; url: its base; n_shards: of the network; seconds: for one request.
    """

    def __init__(self, http: Http, url: str, n_shards: int, seconds: float) -> None:
        self._http = http
        self.url = checked_url(url)
        self._n_shards = n_shards
        self._seconds = seconds

    # ------------------------------------------------------------------ reading

    def metadata(self, blob_id: str) -> Metadata:
        """The blob's metadata, which is what its ID promises.

        Raises:
            BlobMissingError: the node has none; WrongBytesError: it gives another's.
        """
        most = _METADATA_FRAME + _PAIR_BYTES * self._n_shards
        body = self._get(f"/v1/blobs/{blob_id}/metadata", most=most)
        try:
            metadata = Metadata.from_bcs_with_id(body)
        except WrongBytesError as error:
            raise WrongBytesError(f"{self.url} gives false metadata: {error.message}") from error
        if metadata.blob_id != blob_id_bytes(blob_id) or metadata.n_shards != self._n_shards:
            raise WrongBytesError(f"{self.url} gives another blob's metadata.")
        return metadata

    def sliver(self, metadata: Metadata, pair: int, axis: Axis) -> Sliver:
        """One sliver, not yet compared with the metadata's hash.

        Args:
            metadata: the blob's; pair: the number of the sliver's pair; axis: which of the two.

        Raises:
            BlobMissingError: the node has none; WrongBytesError: it gives another.
        """
        blob_id = metadata.blob_id_text
        index = pair if axis == "primary" else self._n_shards - 1 - pair
        size = parameters(self._n_shards).sliver_symbols(axis) * metadata.symbol_size
        path = f"/v1/blobs/{blob_id}/slivers/{pair}/{axis}"
        body = self._get(path, most=size + _SLIVER_FRAME)
        sliver = self._read(lambda: Sliver.from_bcs(body, axis), f"{axis} sliver {index}")
        if sliver.index != index or sliver.symbol_size != metadata.symbol_size:
            message = f"{self.url} gives {axis} sliver {sliver.index} where {index} was asked for."
            raise WrongBytesError(message)
        return sliver

    def status(self, blob_id: str) -> BlobStatus:
        """What it says of a blob."""
        return read_status(self._get(f"/v1/blobs/{blob_id}/status"), self.url)

    def health(self) -> Health:
        """What it says of itself; its epoch is the network's where it is not behind."""
        return read_health(self._get("/v1/health"), self.url)

    def metadata_status(self, blob_id: str) -> StoredStatus:
        """Whether it has the metadata."""
        return self._stored(f"/v1/blobs/{blob_id}/metadata/status")

    def sliver_status(self, blob_id: str, pair: int, axis: Axis) -> StoredStatus:
        """Whether it has a sliver."""
        return self._stored(f"/v1/blobs/{blob_id}/slivers/{pair}/{axis}/status")

    def confirmation(self, blob_id: str, object_id: str | None = None) -> Signed:
        """Its signature that it stores all of its slivers.

        Args:
            blob_id: text form; object_id: the object where it is deletable.

        Raises:
            StoreRefusedError: the blob is not registered, or slivers are missing.
        """
        kind = "permanent" if object_id is None else f"deletable/{object_id}"
        body = self._get(f"/v1/blobs/{blob_id}/confirmation/{kind}")
        return read_signed(body, self.url, confirmation=True)

    # ------------------------------------------------------------------ symbols

    def recovery_symbols(
        self, metadata: Metadata, axis: Axis, index: int
    ) -> tuple[RecoverySymbol, ...]:
        """All symbols it has, with proofs, from which a sliver can be rebuilt.

        Args:
            metadata: the blob's; axis, index: of the sliver to rebuild.
        """
        query = (("targetSliver", index), ("targetType", axis))
        body = self._symbols(metadata, "recoverySymbols", query, proofs=True)
        return self._read(lambda: read_recovery_symbols(body), "recovery symbols")

    def proven_symbols(
        self, metadata: Metadata, places: Sequence[tuple[int, int]], proof_axis: Axis | None = None
    ) -> tuple[RecoverySymbol, ...]:
        """Symbols by their places (row, column), with proofs from ``proof_axis``."""
        query: list[tuple[str, str | int | bool]] = [("id", f"{row}-{col}") for row, col in places]
        query += [("proofAxis", proof_axis)] if proof_axis else []
        body = self._symbols(metadata, "recoverySymbols", tuple(query), proofs=True)
        return self._read(lambda: read_recovery_symbols(body), "recovery symbols")

    def decoding_symbols(
        self, metadata: Metadata, axis: Axis, indices: Sequence[int]
    ) -> Mapping[int, tuple[tuple[int, bytes], ...]]:
        """For each sliver to rebuild, (source sliver, symbol) pairs without proofs.

        What is rebuilt from them must be compared with the metadata's hash.
        """
        query: list[tuple[str, str | int | bool]] = [("targetSlivers", i) for i in indices]
        query.append(("targetType", axis))
        count = len(indices)
        body = self._symbols(metadata, "decodingSymbols", tuple(query), proofs=False, times=count)
        return self._read(lambda: read_decoding_symbols(body), "decoding symbols")

    def _symbols(
        self,
        metadata: Metadata,
        route: str,
        query: tuple[tuple[str, str | int | bool], ...],
        *,
        proofs: bool,
        times: int = 1,
    ) -> bytes:
        path = 64 + 33 * self._n_shards.bit_length() if proofs else 16
        most = 1024 + times * self._n_shards * (metadata.symbol_size + path)
        return self._get(f"/v1/blobs/{metadata.blob_id_text}/{route}", query, most=most)

    # ------------------------------------------------------------------ writing

    def put_metadata(self, metadata: Metadata) -> None:
        """Give it the metadata of a registered blob; slivers come after it."""
        self._put(f"/v1/blobs/{metadata.blob_id_text}/metadata", metadata.to_bcs())

    def put_sliver(self, blob_id: str, pair: int, sliver: Sliver) -> None:
        """Give it a sliver of pair ``pair``, which must be of one of its shards."""
        self._put(f"/v1/blobs/{blob_id}/slivers/{pair}/{sliver.axis}", sliver.to_bcs())

    def prove_inconsistency(self, blob_id: str, axis: Axis, proof: InconsistencyProof) -> Signed:
        """Show it that a blob's slivers are of no one blob; it attests that the ID is invalid."""
        url = f"{self.url}/v1/blobs/{blob_id}/inconsistencyProof/{axis}"
        body = proof.to_bcs()[1:]  # the path tells the axis, and the body does not
        request = Request("POST", url, body=body, seconds=self._seconds)
        return read_signed(self._http.ask(request).body, self.url, confirmation=False)

    # ------------------------------------------------------------------ beneath

    def _get(
        self,
        path: str,
        query: tuple[tuple[str, str | int | bool], ...] = (),
        most: int = 1 << 16,
    ) -> bytes:
        request = Request("GET", f"{self.url}{path}", query, most=most, seconds=self._seconds)
        return self._http.ask(request).body

    def _put(self, path: str, body: bytes) -> None:
        headers = {"content-type": "application/octet-stream"}
        url = f"{self.url}{path}"
        self._http.ask(Request("PUT", url, body=body, headers=headers, seconds=self._seconds))

    def _stored(self, path: str) -> StoredStatus:
        data = read_success(self._get(path), self.url)
        word = data.lower() if isinstance(data, str) else ""
        if word == "stored":
            return "stored"
        return "buffered" if word == "buffered" else "nonexistent"

    def _read(self, read: Callable[[], T], what: str) -> T:
        try:
            return read()
        except WrongBytesError as error:
            raise WrongBytesError(f"{self.url} gives a false {what}: {error.message}") from error
