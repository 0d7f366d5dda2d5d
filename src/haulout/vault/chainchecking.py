"""Checking records one by one: chain, signature, and that payload and key go together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from haulout.database.transaction import Transaction
from haulout.errors import DamagedError
from haulout.log import chain
from haulout.log.journal import Stored
from haulout.log.record import NO_NAMESPACE
from haulout.vault.opening import Parts


class ChainChecking:
    """Verifies a lane's records in the order in which this copy learned of them.

    Args:
        connection: a read transaction of the lane's database; ``parts``: the lane's.
        name: of its file, for words.
    """

    def __init__(self, connection: Transaction, parts: Parts, name: str) -> None:
        self._journal, self._name = parts.journal, name
        self._tips: defaultdict[bytes, chain.Tip] = defaultdict(lambda: chain.EMPTY)
        self._keyed = {row[0] for row in connection.execute("SELECT num FROM record_key")}
        self.records = self.payloads = self.erased = 0

    def problems(self, stored: Stored) -> Iterator[str]:
        """What is wrong with the next record, in words."""
        self.records += 1
        header = stored.header
        try:
            _, self._tips[header.device] = chain.follow(
                self._tips[header.device], stored.header_bytes, stored.payload
            )
        except DamagedError as error:
            yield f"{self._name}: {error.message}"
            self._tips[header.device] = chain.Tip(
                header.sequence, chain.record_hash(stored.header_bytes), header.clock
            )
        for problem in self._origin(stored):
            yield f"{self._name}: record {header.sequence} {problem}."
        if header.namespace == NO_NAMESPACE:
            return
        if (stored.payload is None) == (stored.num in self._keyed):
            yield f"{self._name}: record {header.sequence} has a payload or key too many."
        self.erased += stored.payload is None
        self.payloads += stored.payload is not None

    def _origin(self, stored: Stored) -> Iterator[str]:
        """What is wrong with where a record says it comes from."""
        public = self._journal.keychain.devices.get(stored.header.device, (b"",))[0]
        if not chain.signature_matches(stored.header_bytes, stored.signature, public):
            yield "is not signed by its device"
        if stored.header.vault != self._journal.vault_id:
            yield "belongs to another vault"
        if stored.header.lane != self._journal.lane:
            yield "belongs to another lane"
