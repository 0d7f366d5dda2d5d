"""Which head to read a vault from: the newest that a device of its owner signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from haulout.crypto.kit import RecoveryKit
from haulout.errors import DamagedError, NotFoundError, StorageError, VaultError
from haulout.log.head import NO_STORE, Head, Ref, kit_secrets, open_head
from haulout.log.record import Lane
from haulout.vault.stores.store import HeadFound, Store

_ELSEWHERE: Final = "This head was made for another store."


class Found(NamedTuple):
    """The head to restore from, the store it is in, and the keys that open what it names."""

    head: Head
    copy: HeadFound
    store: Store
    secrets: dict[int, bytes]


Opened = Callable[[bytes], tuple[Head, dict[int, bytes]]]
"""Opens and verifies a head: what it says, and the user keys by generation; or raises."""


def with_kit(kit: RecoveryKit) -> Opened:
    """Heads as the owner's kit opens them."""

    def opened(data: bytes) -> tuple[Head, dict[int, bytes]]:
        secrets = kit_secrets(data, kit.vault_id, kit.recovery)
        return open_head(data, kit.vault_id, secrets), secrets

    return opened


def newest_head(
    stores: Sequence[Store], opened: Opened, lane: Lane = Lane.MEMORY
) -> tuple[Found, tuple[str, ...]]:
    """The newest head of a lane that the owner signed, and why other copies were not used.

    Raises:
        NotFoundError: the stores hold none; StoreUnavailableError: no store can be reached.
    """
    usable: list[Found] = []
    ignored: list[str] = []
    failures: list[StorageError] = []
    for store in stores:
        try:
            copies = store.heads() if lane is Lane.MEMORY else store.state_heads()
        except StorageError as error:
            failures.append(error)
            ignored.append(f"{store.name}: {error.message}")
            continue
        for copy in copies:
            try:
                head, secrets = opened(copy.data)
                head = _settled(head, copy.blob)
                if head.lane != lane:
                    continue  # a store lists those of all lanes
                if head.store not in {NO_STORE, store.id}:
                    raise DamagedError(_ELSEWHERE)
                usable.append(Found(head, copy, store, secrets))
            except VaultError as error:
                ignored.append(f"{copy.source}: {error.message}")
    if not usable:
        if failures:
            raise failures[0]
        message = "No head of this vault is in these stores."
        hint = "See that the 24 words and the locator are of the same vault."
        raise NotFoundError(message, hint=hint)
    chosen = max(usable, key=lambda found: (found.head.clock, found.head.number))
    ignored += [
        f"{other.copy.source}: an older head ({other.head.number})"
        for other in usable
        if other.head.number < chosen.head.number and other.head.device == chosen.head.device
    ]
    return chosen, tuple(dict.fromkeys(ignored))


def _settled(head: Head, own: bytes) -> Head:
    """A head whose own pack is named by its ID, too: a head cannot name what it stands in."""

    def settled(ref: Ref) -> Ref:
        return ref if ref.blob else ref._replace(blob=own)

    runs = tuple(
        run._replace(
            segment=settled(run.segment),
            keys=None if run.keys is None else settled(run.keys),
            vectors=tuple(settled(one) for one in run.vectors),
        )
        for run in head.runs
    )
    return head._replace(runs=runs, chunks=tuple(settled(one) for one in head.chunks))
