"""A backend that asks again where it got no answer, a bounded number of times.

Reads, puts and deletes are done again as they are: they come to the same. A swap is not, because
the one that got no answer may have been done, and done again it would conflict with itself. After
an unknown outcome the head is read and the bytes compared:

    the bytes stand                        it was done; their version is the answer
    what was to be replaced stands         it was not, or not yet: swap again, same condition
    something else stands                  another writer's, or ours and then another's: a conflict
    no answer to the reading either        not known, and said so

"Not yet" is why a conflict of a second swap is not believed before the bytes are compared once
more: the first may have come through late, and then the conflict is with ourselves. All of it
takes for granted that no two writers swap in the same bytes; a signed head names its writer.
(After icechunk's design document 017, which stamps each write; here the head is its own stamp.)
"""

from __future__ import annotations

import random as randomness
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from haulout.errors import ConflictError, InputError, StoreUnavailableError
from haulout.storage.backend import Backend, Object, Versioned, checked_prefix
from haulout.storage.wrappers.around import AroundBackend

_Answer = TypeVar("_Answer")


class RetryingBackend(AroundBackend):
    """Tries again on `StoreUnavailableError`, and on nothing else, with growing pauses.

    The n-th pause is drawn from the upper half of ``first_s`` doubled n times, ``longest_s`` at
    most, so that many clients of a store that comes back do not come back at once.

    Args:
        inner: the backend.
        tries: how many in all, 1 or more.
        first_s, longest_s: seconds, the bounds of a pause.
        patience_s: seconds after the call began beyond which no new try begins.
        clock, sleep: monotonic seconds, and how to let them pass.
        random: numbers from 0 up to 1.

    Raises:
        InputError: fewer than one try.
    """

    def __init__(
        self,
        inner: Backend,
        *,
        tries: int = 5,
        first_s: float = 0.2,
        longest_s: float = 10.0,
        patience_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        super().__init__(inner)
        if tries < 1:
            message = "A call has to be tried at least once."
            raise InputError(message)
        self._tries, self._first_s, self._longest_s = tries, first_s, longest_s
        self._patience_s, self._clock, self._sleep, self._random = patience_s, clock, sleep, random

    def put(self, name: str, data: bytes) -> None:
        """See `Backend.put`."""
        self._repeated(lambda: self.inner.put(name, data))

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Backend.get`."""
        return self._repeated(lambda: self.inner.get(name, start, length))

    def size(self, name: str) -> int:
        """See `Backend.size`."""
        return self._repeated(lambda: self.inner.size(name))

    def delete(self, name: str) -> None:
        """See `Backend.delete`."""
        self._repeated(lambda: self.inner.delete(name))

    def list(self, prefix: str = "") -> Iterator[Object]:
        """See `Backend.list`. A listing that breaks off begins again, so it is whole at first."""
        checked_prefix(prefix)
        return iter(self._repeated(lambda: list(self.inner.list(prefix))))

    def read_head(self, name: str) -> Versioned | None:
        """See `Backend.read_head`."""
        return self._repeated(lambda: self.inner.read_head(name))

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """See `Backend.swap_head`; after an unknown outcome it reads before it swaps again.

        Raises:
            ConflictError: another head stands there. It may have replaced this one: read it.
            StoreUnavailableError: it is still not known whether the swap was done.
        """
        unknown = False

        def settle() -> str:
            nonlocal unknown
            if unknown:
                standing = self.inner.read_head(name)
                if standing and standing.data == data:
                    return standing.version
                if (standing.version if standing else None) != version:
                    raise self._conflict(name)
            try:
                return self.inner.swap_head(name, data, version)
            except StoreUnavailableError:
                unknown = True
                raise
            except ConflictError:
                if not unknown:
                    raise
            return self._own_or_conflict(name, data)

        return self._repeated(settle)

    def _own_or_conflict(self, name: str, data: bytes) -> str:
        """Tell a conflict with a late write of our own from one with another writer."""
        standing = self.inner.read_head(name)
        if standing and standing.data == data:
            return standing.version
        raise self._conflict(name)

    def _conflict(self, name: str) -> ConflictError:
        message = f"Another head stands under {name} in {self.url}."
        return ConflictError(message, hint="Read it again, then decide.")

    def _repeated(self, call: Callable[[], _Answer]) -> _Answer:
        until = self._clock() + self._patience_s
        for left in reversed(range(self._tries)):
            try:
                return call()
            except StoreUnavailableError:
                if not left:
                    raise
                pause = self._pause(self._tries - 1 - left)
                if self._clock() + pause > until:
                    raise
            self._sleep(pause)
        message = "there is at least one try"
        raise AssertionError(message)

    def _pause(self, number: int) -> float:
        return min(self._longest_s, self._first_s * 2**number) * (0.5 + 0.5 * self._random())
