"""A backend that takes no more than its share of the line.

Each direction has a token bucket: it fills at the rate, holds one second's worth, and may be
overdrawn by one call, whose caller waits until it is level again. So an object larger than the
bucket passes, and the mean over any longer time keeps the rate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from haulout.errors import InputError
from haulout.storage.backend import Backend, Versioned
from haulout.storage.wrappers.around import AroundBackend


class TokenBucket:
    """Bytes that may pass. Safe among threads; who overdraws it waits outside its lock.

    Args:
        rate: bytes per second; ``clock``, ``sleep``: monotonic seconds, how to let them pass.

    Raises:
        InputError: the rate is not above nothing.
    """

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not rate > 0:
            message = "A rate has to be above 0 bytes per second."
            raise InputError(message)
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._level = rate
        self._filled_at = clock()
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Let ``count`` bytes pass, and return once the bucket is level again."""
        with self._lock:
            now = self._clock()
            self._level = min(self._rate, self._level + (now - self._filled_at) * self._rate)
            self._filled_at = now
            self._level -= count
            wait = -self._level / self._rate
        if wait > 0:
            self._sleep(wait)


class LimitingBackend(AroundBackend):
    """Moves object and head bytes no faster than told. Names and listings are not counted.

    Args:
        inner: the backend.
        up: bytes per second towards it, or a bucket that it shares with others; ``down``: from it;
            None for as fast as it goes.
        clock, sleep: monotonic seconds, and how to let them pass.

    Raises:
        InputError: a rate is not above nothing.
    """

    def __init__(
        self,
        inner: Backend,
        *,
        up: float | TokenBucket | None = None,
        down: float | TokenBucket | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(inner)
        self._up, self._down = (
            TokenBucket(rate, clock, sleep) if isinstance(rate, float | int) else rate
            for rate in (up, down)
        )

    def put(self, name: str, data: bytes) -> None:
        """See `Backend.put`; waits first."""
        if self._up:
            self._up.take(len(data))
        self.inner.put(name, data)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Backend.get`; waits once it is known how much came."""
        data = self.inner.get(name, start, length)
        if self._down:
            self._down.take(len(data))
        return data

    def read_head(self, name: str) -> Versioned | None:
        """See `Backend.read_head`; waits once it is known how much came."""
        head = self.inner.read_head(name)
        if self._down and head:
            self._down.take(len(head.data))
        return head

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """See `Backend.swap_head`; waits first."""
        if self._up:
            self._up.take(len(data))
        return self.inner.swap_head(name, data, version)
