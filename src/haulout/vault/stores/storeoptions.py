"""How stores are spoken to: what of the line they may take."""

from __future__ import annotations

from typing import Final

from haulout.storage.backend import Backend
from haulout.storage.bucket import OPTIONS
from haulout.storage.volumes.volumeset import DEFAULT_HEDGE_AFTER
from haulout.storage.wrappers.limiting import LimitingBackend, TokenBucket
from haulout.storage.wrappers.retrying import RetryingBackend

_CODED: Final = 5.0
"""Bytes that travel for a byte of a large pack, at the most: ten shards take 3.94 times."""
_TRIES: Final = 3
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 0.8
_PATIENCE_S: Final = 2.0


class StoreOptions:
    """How a vault's stores are used. Its limits hold for all of them together.

    Args:
        limit_up: bytes per second towards stores; ``limit_down``: from them; None for as fast as
            it goes. On volumes the coded bytes count, which are several times those of the vault.

    Raises:
        InputError: a limit is not above nothing.
    """

    def __init__(self, *, limit_up: float | None = None, limit_down: float | None = None) -> None:
        self.limit_up, self.limit_down = limit_up, limit_down
        self._up = None if limit_up is None else TokenBucket(limit_up)
        self._down = None if limit_down is None else TokenBucket(limit_down)

    def around(self, backend: Backend) -> Backend:
        """A volume's backend within the limits; a bucket is asked again where it did not answer.

        A folder is not: a disk that is gone is not back a second later, and other volumes answer
        in its place. A bucket's busy second passes; three tries within two seconds bridge it.
        """
        found = backend
        if self._up is not None or self._down is not None:
            found = LimitingBackend(found, up=self._up, down=self._down)
        if backend.url.partition(":")[0] not in OPTIONS:
            return found
        return RetryingBackend(
            found,
            tries=_TRIES,
            first_s=_FIRST_PAUSE_S,
            longest_s=_LONGEST_PAUSE_S,
            patience_s=_PATIENCE_S,
        )

    def hedge_after(self, pack_bytes: int) -> float:
        """Seconds after which an answer is late: a limited line is slow, and nobody's fault.

        Args:
            pack_bytes: the most that a pack may have.
        """
        rates = [rate for rate in (self.limit_up, self.limit_down) if rate is not None]
        slow = _CODED * pack_bytes / min(rates) if rates else 0.0
        return DEFAULT_HEDGE_AFTER + slow

    def sent(self, count: int) -> None:
        """Let bytes towards a store pass that is no backend; returns when there is room."""
        if self._up is not None:
            self._up.take(count)

    def received(self, count: int) -> None:
        """The same for bytes that came."""
        if self._down is not None:
            self._down.take(count)


AS_FAST_AS_IT_GOES: Final = StoreOptions()
