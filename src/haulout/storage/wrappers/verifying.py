"""A backend whose whole objects are checked as they come in."""

from __future__ import annotations

from collections.abc import Callable

from haulout.storage.backend import Backend
from haulout.storage.wrappers.around import AroundBackend

Verify = Callable[[str, bytes], None]
"""Takes a name and the bytes got under it; raises `WrongBytesError` where they do not belong."""


class VerifyingBackend(AroundBackend):
    """Checks every object that is read whole. A range proves nothing by itself and passes.

    Args:
        inner: the backend whose word is not taken.
        verify: the check; its error goes to the caller.
    """

    def __init__(self, inner: Backend, verify: Verify) -> None:
        super().__init__(inner)
        self._verify = verify

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under ``name``, checked where they are all of them.

        Raises:
            WrongBytesError: they are not what their name promises.
        """
        data = self.inner.get(name, start, length)
        if start == 0 and length is None:
            self._verify(name, data)
        return data
