"""A storage node's BLS key. Signing takes 0.1 s and more in pure Python: only when asked for."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from haulout.redstuff import certificate

_ORDER_BYTES = 31  # below the order of the group, whatever the bytes


@dataclass(frozen=True)
class NodeKey:
    """The key of one node, which follows from its seed.

    Attributes:
        seed: of the network; place: of the node in the committee.
    """

    seed: int
    place: int

    @cached_property
    def secret(self) -> int:
        """The secret key."""
        told = f"{self.seed}/{self.place}".encode()
        return 1 + int.from_bytes(blake2b(told, digest_size=_ORDER_BYTES).digest(), "big")

    @cached_property
    def public(self) -> bytes:
        """The public key, 48 bytes."""
        return certificate.public_key(self.secret)

    def shown(self) -> str:
        """The public key as health shows it, in base64."""
        return base64.b64encode(self.public).decode()

    def confirm(self, blob_id: bytes, epoch: int, object_id: str | None) -> dict[str, str]:
        """A signed storage confirmation, as it stands on the wire."""
        raw = None if object_id is None else bytes.fromhex(object_id.removeprefix("0x"))
        return self._signed(certificate.blob_message(blob_id, epoch, raw))

    def condemn(self, blob_id: bytes, epoch: int) -> dict[str, str]:
        """A signed word that a blob ID is invalid."""
        return self._signed(certificate.invalid_blob_message(blob_id, epoch))

    def _signed(self, message: bytes) -> dict[str, str]:
        signature = certificate.sign(self.secret, message)
        return {
            "serializedMessage": base64.b64encode(message).decode(),
            "signature": base64.b64encode(signature).decode(),
        }
