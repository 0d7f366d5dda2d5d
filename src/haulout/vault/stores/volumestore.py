"""A volume set as a store of a vault."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from haulout.errors import BlobMissingError, TooFewSliversError, WrongBytesError
from haulout.log.head import Ref
from haulout.redstuff import Encoded, blob_id_bytes, blob_id_text, encode
from haulout.storage.address import open_backend
from haulout.storage.backend import Backend
from haulout.storage.bucket import OPTIONS, SECRETS
from haulout.storage.volumes.faults import Fault
from haulout.storage.volumes.layout import Layout, decode_layout, encode_layout
from haulout.storage.volumes.rounds import no_pause
from haulout.storage.volumes.volumeset import VolumeSet
from haulout.vault.stores.store import Genuine, HeadFound, Kept, Purchase
from haulout.vault.stores.storeoptions import AS_FAST_AS_IT_GOES, StoreOptions

PACK_BYTES: Final = 1024 * 1024
_ENCODED_BYTES: Final = 2 * PACK_BYTES
"""Of packs that are kept encoded until they are sent; encoded they take several times that."""


class VolumeStore:
    """Packs and heads on the volumes of a layout.

    Args:
        volumes: the open set; ``told``: called with every fault that a read went around.
    """

    kind = "volumes"
    pack_bytes = PACK_BYTES
    joined = False
    terms = None

    def __init__(self, volumes: VolumeSet, told: Callable[[Fault], None] | None = None) -> None:
        self.volumes = volumes
        self.faults: list[Fault] = []
        self._told = told or self.faults.append
        self._last: tuple[bytes, bytes] = (b"", b"")
        self._encoded: dict[bytes, Encoded] = {}

    @classmethod
    def open(
        cls,
        settings: str,
        credentials: Mapping[str, str],
        options: StoreOptions = AS_FAST_AS_IT_GOES,
        between: Callable[[], None] = no_pause,
    ) -> VolumeStore:
        """The store of a layout's text, its backends opened with these credentials."""
        return cls(open_volumes(decode_layout(settings.encode()), credentials, options, between))

    @property
    def id(self) -> bytes:
        """The ID of the set of volumes."""
        return bytes.fromhex(self.volumes.layout.set_id)

    @property
    def name(self) -> str:
        """The store, for people."""
        count = len(self.volumes.layout.volumes)
        return f"{count} volume{'s' if count > 1 else ''}"

    def settings(self) -> str:
        """The layout's text."""
        return encode_layout(self.volumes.layout).decode()

    def blob_id(self, data: bytes) -> bytes:
        """The ID that these bytes have over this set's shards."""
        return self._coded(data).blob_id

    def _coded(self, data: bytes) -> Encoded:
        """A pack encoded; it is named first and sent a little later, so small ones are kept."""
        encoded = self._encoded.get(data)
        if encoded is None:
            encoded = encode(data, self.volumes.layout.n_shards)
            self._encoded[data] = encoded
            while len(self._encoded) > 1 and sum(map(len, self._encoded)) > _ENCODED_BYTES:
                del self._encoded[next(iter(self._encoded))]
        return encoded

    def epoch(self) -> int | None:
        """Volumes have no epochs."""
        return None

    def put(self, data: bytes, purchase: Purchase) -> Kept:  # noqa: ARG002 - volumes sell no time
        """Keep a pack on a write quorum of the volumes."""
        # A name that stands after a crash does not say that it is durable: all is sent again.
        stored = self.volumes.put(self._coded(data), resend=True)
        self._encoded.pop(data, None)
        missing = tuple(f"shard {shard} on {at}: {why}" for shard, at, why in stored.missing)
        return Kept(blob_id_bytes(stored.blob_id), None, missing)

    def get(self, ref: Ref) -> bytes:
        """A section, from its whole blob or by its range; what is wrong on the way is told."""
        if self._last[0] != ref.blob:
            read = self.volumes.read(blob_id_text(ref.blob))
            for fault in read.faults:
                self._told(fault)
            self._last = (ref.blob, read.data)
        data = self._last[1][ref.offset : ref.offset + ref.length]
        if hashlib.sha256(data).digest() != ref.digest:
            message = f"A section of blob {blob_id_text(ref.blob)} is not what its head names."
            raise WrongBytesError(message)
        return data

    def whole(self, blob: bytes, size: int) -> bytes:  # noqa: ARG002 - shards say how large it is
        """A whole pack."""
        return self.volumes.get(blob_id_text(blob))

    def standing(self, blob: bytes) -> Kept | None:
        """A pack that can be read back; None where it cannot."""
        try:
            self.volumes.get(blob_id_text(blob))
        except (BlobMissingError, TooFewSliversError):
            return None
        return Kept(blob)

    def delete(self, blob: bytes) -> bool:
        """Remove a blob from every volume that answers; False where one does not."""
        return not self.volumes.delete(blob_id_text(blob)).unreached

    def heads(self) -> list[HeadFound]:
        """Every copy of every head."""
        return [
            HeadFound(name, copy.data, f"volume {copy.volume}")
            for name in self.volumes.list_heads()
            for copy in self.volumes.read_heads(name)
        ]

    def state_heads(self) -> list[HeadFound]:
        """The same: whose a head is, is known once it is open."""
        return self.heads()

    def publish_head(
        self, name: str, data: bytes, replaces: bytes | None, genuine: Genuine
    ) -> None:
        """Swap a head on a quorum of the volumes."""
        self.volumes.publish_head(name, data, replaces, number=genuine)

    def close(self) -> None:
        """Give threads and connections back."""
        self.volumes.close()


def open_volumes(
    layout: Layout,
    credentials: Mapping[str, str],
    options: StoreOptions = AS_FAST_AS_IT_GOES,
    between: Callable[[], None] = no_pause,
) -> VolumeSet:
    """The volumes of a layout, opened with these credentials and kept within these limits."""
    found = backends(layout, credentials, options)
    hedge_after = options.hedge_after(PACK_BYTES)
    return VolumeSet(layout, found, hedge_after=hedge_after, between=between)


def backends(
    layout: Layout,
    credentials: Mapping[str, str],
    options: StoreOptions = AS_FAST_AS_IT_GOES,
) -> dict[str, Backend]:
    """A backend for each volume of a layout, by volume ID."""
    return {
        volume.id: options.around(open_backend(volume.url, config_for(volume.url, credentials)))
        for volume in layout.volumes
    }


def config_for(url: str, credentials: Mapping[str, str]) -> dict[str, str] | None:
    """What a bucket's library is told, such as ``s3.access_key_id``; None for another place."""
    scheme = url.partition(":")[0].lower()
    if scheme not in OPTIONS:
        return None
    given = {name.removeprefix(f"{scheme}."): value for name, value in credentials.items()}
    return {
        name: value for name, value in given.items() if name in OPTIONS[scheme] | SECRETS[scheme]
    }
