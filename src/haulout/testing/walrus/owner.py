"""What an object's owner does on the chain, and what no HTTP route does.

Registering, certifying, extending, deleting and attributes are transactions that the owner signs.
Here they are calls; nothing of them is reachable through a service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from haulout.errors import NotAllowedError, StoreRefusedError
from haulout.redstuff import blob_id_bytes
from haulout.redstuff.certificate import Certificate, blob_message, verify
from haulout.testing.walrus.ledger import BlobObject, Ledger, Registration
from haulout.testing.walrus.node import NodeState
from haulout.testing.walrus.relay import auth_package


@dataclass(frozen=True, slots=True)
class Owner:
    """Whoever holds an account's key.

    Attributes:
        address: of the account; ledger: the chain; nodes: the committee that certifies.
    """

    address: str
    ledger: Ledger
    nodes: Sequence[NodeState]

    def fund(self, frost: int) -> None:
        """Have money."""
        self.ledger.fund(self.address, frost)

    def register(
        self, blob_id: str, size: int, epochs: int, *, deletable: bool = True
    ) -> BlobObject:
        """Buy storage and register a blob, to upload it through a relay or to the nodes."""
        made, _ = self.ledger.register(self.address, blob_id, size, epochs, deletable=deletable)
        return made

    def tip(self, made: BlobObject, data: bytes, nonce: bytes, address: str, mist: int) -> str:
        """What the registering transaction says to a relay; gives the transaction's digest."""
        package = auth_package(data, nonce)
        return self.ledger.note(Registration(made.id, address, mist, package))

    def certify(self, made: BlobObject, proof: Certificate) -> None:
        """Certify a registered blob with what a quorum of the nodes signed.

        Raises:
            StoreRefusedError: the certificate is about something else.
            WrongBytesError: its signature does not hold, or its signers are no quorum.
        """
        raw = bytes.fromhex(made.id.removeprefix("0x")) if made.deletable else None
        if proof.message != blob_message(blob_id_bytes(made.blob_id), self.ledger.epoch, raw):
            raise StoreRefusedError("The certificate is about another blob, object or epoch.")
        keys = [node.key.public for node in self.nodes if node.key is not None]
        weights = [len(node.shards) for node in self.nodes]
        verify(proof, keys, weights, self.ledger.n_shards)
        self.ledger.certify(made.id)

    def extend(self, object_id: str, epochs: int) -> int:
        """Buy more epochs; gives the cost in FROST."""
        return self.ledger.extend(self.address, object_id, epochs)

    def delete(self, object_id: str) -> None:
        """Delete a deletable object."""
        self.ledger.delete(self.address, object_id)

    def set_attributes(self, object_id: str, attributes: Mapping[str, str]) -> None:
        """Set an object's attributes.

        Raises:
            NotAllowedError: it is another's.
        """
        found = self.ledger.find(object_id)
        if found is None or found.owner != self.address:
            raise NotAllowedError("Only its owner can set an object's attributes.")
        found.attributes.update(attributes)
