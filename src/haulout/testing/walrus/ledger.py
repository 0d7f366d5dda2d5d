"""The chain as far as storage is concerned: epochs, prices, accounts, and objects of blobs.

A state machine without files, clocks or randomness: epochs pass when `advance` is called, and IDs
follow from the seed. Its list of payments is what tests count. Source: walrus.md §6.2, §7.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from haulout.errors import NotAllowedError, NotFoundError, StoreRefusedError
from haulout.redstuff import encoded_length
from haulout.storage.walrus.config import checked_epochs
from haulout.storage.walrus.cost import PriceTable, cost, extension

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
NO_MONEY: Final = "could not find WAL coins with sufficient balance"


@dataclass(slots=True)
class BlobObject:
    """One registration of a blob: who owns it, what was bought, whether it is certified.

    Attributes:
        id, storage_id: on the chain, 0x and 64 digits; ``blob_id``: text form.
        size, encoded: bytes before and after encoding.
        registered, certified: epochs; certified is None before certification.
        start, end: epochs of storage, the end not among them.
        deletable: whether its owner can delete it; ``owner``: whose it is.
        event: digest of the transaction that changed it last.
        attributes: set by its owner; shared_id: of the shared object around it.
    """

    id: str
    storage_id: str
    blob_id: str
    size: int
    encoded: int
    registered: int
    start: int
    end: int
    deletable: bool
    owner: str
    event: str
    certified: int | None = None
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    shared_id: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that left an account: FROST, for what, in which epoch."""

    account: str
    amount: int
    what: str
    blob_id: str
    object_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registering transaction says to a relay: who was tipped, and for which bytes."""

    object_id: str
    tip_address: str
    tip: int
    auth: bytes


class Ledger:
    """The state. Safe to share between threads.

    Args:
        n_shards: of the network; seed: makes the IDs; prices: what storage costs.
        epoch: the first one.
    """

    def __init__(
        self, n_shards: int, seed: int = 0, prices: PriceTable | None = None, epoch: int = 1
    ) -> None:
        self.n_shards = n_shards
        self.prices = prices or PriceTable()
        self.epoch = epoch
        self.accounts: dict[str, int] = {}
        self.objects: dict[str, BlobObject] = {}
        self.payments: list[Payment] = []
        self.transactions: dict[str, Registration] = {}
        self.invalid: dict[str, str] = {}
        self.first_certified: dict[str, int] = {}
        self._seed = seed
        self._count = 0
        self._lock = threading.RLock()
        self._watchers: list[Callable[[], None]] = []

    # ------------------------------------------------------------------ IDs

    def _fresh(self, what: str) -> bytes:
        self._count += 1
        told = f"{self._seed}/{what}/{self._count}".encode()
        return blake2b(told, digest_size=32).digest()

    def _object_id(self) -> str:
        return "0x" + self._fresh("object").hex()

    def _digest(self) -> str:
        number = int.from_bytes(self._fresh("transaction"), "big")
        text = ""
        while number:
            number, digit = divmod(number, len(_BASE58))
            text = _BASE58[digit] + text
        return text

    # ------------------------------------------------------------------ transactions

    def fund(self, account: str, frost: int) -> None:
        """Give an account money."""
        with self._lock:
            self.accounts[account] = self.accounts.get(account, 0) + frost

    def register(
        self,
        account: str,
        blob_id: str,
        size: int,
        epochs: int,
        *,
        deletable: bool = True,
        owner: str | None = None,
    ) -> tuple[BlobObject, int]:
        """Buy storage from scratch and register a blob on it.

        Returns:
            The object, and what it cost.

        Raises:
            StoreRefusedError: the account has too little.
        """
        checked_epochs(epochs)
        bill = cost(size, self.n_shards, epochs, self.prices).frost
        with self._lock:
            made = BlobObject(
                self._object_id(), self._object_id(), blob_id, size,
                encoded_length(size, self.n_shards), self.epoch, self.epoch, self.epoch + epochs,
                deletable, owner or account, self._digest(),
            )  # fmt: skip
            self._pay(account, bill, "register", made)
            self.objects[made.id] = made
            return made, bill

    def extend(self, account: str, object_id: str, epochs: int) -> int:
        """Buy more epochs for an object; anyone may pay. Gives the cost.

        Raises:
            StoreRefusedError: the account has too little; NotFoundError: it ended already.
        """
        with self._lock:
            found = self._live(object_id)
            checked_epochs(found.end + epochs - self.epoch)
            bill = extension(found.size, self.n_shards, epochs, self.prices).frost
            self._pay(account, bill, "extend", found)
            found.end += epochs
            found.event = self._digest()
            return bill

    def certify(self, object_id: str) -> None:
        """Take note that storage nodes confirmed the blob. That they did is the caller's to see."""
        with self._lock:
            found = self._live(object_id)
            if found.certified is None:
                found.certified = self.epoch
                found.event = self._digest()
                self.first_certified.setdefault(found.blob_id, self.epoch)

    def delete(self, owner: str, object_id: str) -> None:
        """Delete a deletable object; the money stays spent.

        Raises:
            NotAllowedError: it is permanent, or another's.
        """
        with self._lock:
            found = self._live(object_id)
            if found.owner != owner or not found.deletable:
                raise NotAllowedError(
                    "Only its owner can delete it, and only where it is deletable."
                )
            del self.objects[object_id]

    def share(self, object_id: str) -> str:
        """Make a shared object around a blob's object; give its ID."""
        with self._lock:
            found = self._live(object_id)
            found.shared_id = found.shared_id or self._object_id()
            return found.shared_id

    def note(self, registration: Registration) -> str:
        """Keep what a registering transaction says to a relay; give its digest."""
        with self._lock:
            digest = self._digest()
            self.transactions[digest] = registration
            return digest

    def mark_invalid(self, blob_id: str) -> None:
        """Take note that a quorum attested a blob's inconsistency."""
        with self._lock:
            self.invalid.setdefault(blob_id, self._digest())

    def advance(self, epochs: int = 1) -> int:
        """Let epochs pass; what has ended is gone. Gives the current one."""
        with self._lock:
            self.epoch += epochs
            over = [key for key, one in self.objects.items() if one.end <= self.epoch]
            for key in over:
                del self.objects[key]
            for watcher in self._watchers:
                watcher()
            return self.epoch

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called after each passing of epochs."""
        self._watchers.append(watcher)

    def _pay(self, account: str, amount: int, what: str, found: BlobObject) -> None:
        if self.accounts.get(account, 0) < amount:
            raise StoreRefusedError(NO_MONEY)
        self.accounts[account] -= amount
        self.payments.append(
            Payment(account, amount, what, found.blob_id, found.id, self.epoch)
        )  # fmt: skip

    def _live(self, object_id: str) -> BlobObject:
        found = self.objects.get(object_id)
        if found is None:
            raise NotFoundError(f"There is no object {object_id}.")
        return found

    # ------------------------------------------------------------------ what is seen

    def find(self, object_id: str) -> BlobObject | None:
        """An object by its ID, or by that of the shared object around it."""
        with self._lock:
            if object_id in self.objects:
                return self.objects[object_id]
            return next((o for o in self.objects.values() if o.shared_id == object_id), None)

    def of_blob(self, blob_id: str) -> list[BlobObject]:
        """The live objects of a blob."""
        with self._lock:
            return [one for one in self.objects.values() if one.blob_id == blob_id]

    def owned(self, owner: str, blob_id: str, *, deletable: bool) -> BlobObject | None:
        """The owner's live object of a blob with the longest storage, or None."""
        found = [
            o for o in self.of_blob(blob_id) if o.owner == owner and o.deletable == deletable
        ]  # fmt: skip
        return max(found, key=lambda o: (o.certified is not None, o.end), default=None)

    def registered(self, blob_id: str) -> bool:
        """Whether a blob has a live object."""
        return bool(self.of_blob(blob_id))

    def certified(self, blob_id: str) -> bool:
        """Whether a blob is read by everyone: certified, not ended, not invalid."""
        if blob_id in self.invalid:
            return False
        return any(one.certified is not None for one in self.of_blob(blob_id))

    def permanent(self, blob_id: str) -> BlobObject | None:
        """The permanent object that a status tells of: a certified one, then the longest."""
        found = [o for o in self.of_blob(blob_id) if not o.deletable]
        return max(found, key=lambda o: (o.certified is not None, o.end), default=None)

    def paid(self, blob_id: str) -> list[Payment]:
        """All that was ever paid for a blob."""
        with self._lock:
            return [one for one in self.payments if one.blob_id == blob_id]

    def status(self, blob_id: str) -> Any:
        """What a storage node says of a blob: the ``data`` of walrus.md §6.5."""
        with self._lock:
            if blob_id in self.invalid:
                return {"invalid": {"event": _event(self.invalid[blob_id])}}
            deletable = [o for o in self.of_blob(blob_id) if o.deletable]
            counts = {
                "count_deletable_total": len(deletable),
                "count_deletable_certified": sum(o.certified is not None for o in deletable),
            }
            since = self.first_certified.get(blob_id) if self.certified(blob_id) else None
            longest = self.permanent(blob_id)
            if longest is not None:
                return {
                    "permanent": {
                        "endEpoch": longest.end,
                        "isCertified": longest.certified is not None,
                        "statusEvent": _event(longest.event),
                        "deletableCounts": counts,
                        "initialCertifiedEpoch": since,
                    }
                }
            if deletable:
                return {"deletable": {"deletableCounts": counts, "initialCertifiedEpoch": since}}
            return "nonexistent"

    def seen(self) -> Ledger:
        """A copy that does not change any more: what somebody who is behind sees."""
        with self._lock:
            other = Ledger(self.n_shards, self._seed, self.prices, self.epoch)
            other.objects = copy.deepcopy(self.objects)
            other.invalid = dict(self.invalid)
            other.first_certified = dict(self.first_certified)
            return other


def _event(digest: str) -> dict[str, str]:
    return {"txDigest": digest, "eventSeq": "0"}


def event_of(found: BlobObject) -> dict[str, str]:
    """The event that an object's last change left."""
    return _event(found.event)
