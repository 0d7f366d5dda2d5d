"""Which sections share a pack: pure arithmetic over sizes (docs/spec/pack.md, publishing.md)."""

from __future__ import annotations

from typing import NamedTuple

from haulout.crypto.section import padded
from haulout.log.lifetimes import is_lasting


class Pack(NamedTuple):
    """The sections of one pack.

    Attributes:
        sections: their numbers, in order; ``size``: bytes, padded where there are several.
        lasting: whether all of them live as long as the vault.
    """

    sections: tuple[int, ...]
    size: int
    lasting: bool


class Packs:
    """Gathers sections, by size; numbers them from 0 in the order they are added.

    Args:
        most: bytes of a pack.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        self._count = 0

    def add(self, size: int, *, lasting: bool) -> tuple[int, list[Pack]]:
        """Take a section; its number, and the pack that was full without it."""
        full = [] if self._fits(size, lasting=lasting) else self._close(lasting=lasting)
        self._open[lasting].append((self._count, size))
        self._count += 1
        return self._count - 1, full

    def finish(self) -> list[Pack]:
        """The packs that are open still."""
        return [*self._close(lasting=True), *self._close(lasting=False)]

    def join(self) -> list[Pack]:
        """Let what is not worth a blob share that of the keys; the pack where it is one."""
        rest = sum(size for _, size in self._open[True])
        if is_lasting(rest, self._most) or not self._fits(rest, lasting=False):
            return self._close(lasting=True)
        self._open = {True: [], False: [*self._open[True], *self._open[False]]}
        return []

    def make_room(self, size: int) -> list[Pack]:
        """The pack of the keys where a section of so many bytes does not fit into it."""
        return [] if self._fits(size, lasting=False) else self._close(lasting=False)

    @property
    def last(self) -> tuple[int, ...]:
        """The sections that would share the pack of the keys with one that is added."""
        return tuple(section for section, _ in self._open[False])

    def _fits(self, more: int, *, lasting: bool) -> bool:
        size = sum(size for _, size in self._open[lasting])
        return not size or padded(size + more) <= self._most

    def _close(self, *, lasting: bool) -> list[Pack]:
        sections, self._open[lasting] = self._open[lasting], []
        if not sections:
            return []
        size = sum(size for _, size in sections)
        whole = size if len(sections) == 1 else padded(size)
        return [Pack(tuple(section for section, _ in sections), whole, lasting)]
