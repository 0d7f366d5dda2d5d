"""Binary Canonical Serialization, as much of it as Walrus's formats use.

Little-endian integers, ULEB128 lengths, no field names and no padding; every value has one
form. Writers are functions that return bytes. The reader refuses whatever a writer would not
have written: an overlong length, a map out of order, bytes left over, text that is not UTF-8. It
never takes more memory than its input has bytes, whatever a length in it claims.

Source: the specification of BCS (github.com/diem/bcs); walrus.md §3 and §5 for the formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from haulout.errors import InputError, LimitError, WrongBytesError

MOST_LENGTH: Final = 2**31 - 1
_MOST_U32: Final = 2**32 - 1
_ULEB128_BYTES: Final = 5
_MORE: Final = 0x80

K = TypeVar("K")
T = TypeVar("T")


def _integer(value: int, size: int) -> bytes:
    try:
        return value.to_bytes(size, "little")
    except OverflowError:
        raise InputError(f"{value} does not fit into {8 * size} bits without a sign.") from None


def u8(value: int) -> bytes:
    """One byte, 0..255; any other value is an `InputError`, as with all integers here."""
    return _integer(value, 1)


def u16(value: int) -> bytes:
    """Two bytes, little-endian."""
    return _integer(value, 2)


def u32(value: int) -> bytes:
    """Four bytes, little-endian."""
    return _integer(value, 4)


def u64(value: int) -> bytes:
    """Eight bytes, little-endian."""
    return _integer(value, 8)


def uleb128(value: int) -> bytes:
    """A length or a variant: seven bits a byte, lowest first, in as few bytes as it takes.

    Raises:
        InputError: it is negative or above 2^32 - 1.
    """
    if not 0 <= value <= _MOST_U32:
        raise InputError(f"{value} cannot be written as a ULEB128 number of 32 bits.")
    out = bytearray()
    while value >= _MORE:
        out.append(value & 0x7F | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def _length(value: int) -> bytes:
    if value > MOST_LENGTH:
        raise LimitError(f"{value} is more than BCS counts in one vector ({MOST_LENGTH}).")
    return uleb128(value)


def byte_vector(data: bytes) -> bytes:
    """The length of ``data`` in bytes, then ``data``."""
    return _length(len(data)) + data


def string(text: str) -> bytes:
    """The length in bytes of the UTF-8 form, then that form.

    Raises:
        InputError: it holds half of a surrogate pair, which has no UTF-8 form.
    """
    try:
        return byte_vector(text.encode())
    except UnicodeEncodeError:
        raise InputError(f"{text[:60]!r} cannot be written as UTF-8.") from None


def vector(items: Iterable[bytes]) -> bytes:
    """The number of items, then the items, each serialised already."""
    written = list(items)
    return _length(len(written)) + b"".join(written)


def mapping(entries: Mapping[bytes, bytes]) -> bytes:
    """The number of entries, then serialised keys and values, sorted by serialised key.

    A string's length comes first in its serialised form, so "b" stands before "aa".
    """
    return vector(key + entries[key] for key in sorted(entries))


class Reader:
    """Reads values one after the other from ``data``, and refuses what has another form.

    Every method raises `WrongBytesError`, with ``what`` and the offset in its message, where the
    bytes end too early or no writer would have written them.

    Args:
        data: the bytes; what: whose bytes they are, for messages ("The quilt's index").
    """

    def __init__(self, data: bytes | memoryview, what: str) -> None:
        self._data = memoryview(data).cast("B")
        self._what = what
        self._at = 0

    @property
    def offset(self) -> int:
        """How many bytes are read."""
        return self._at

    @property
    def left(self) -> int:
        """How many bytes are not read yet."""
        return len(self._data) - self._at

    def refuse(self, why: str) -> WrongBytesError:
        """The error to raise where a value was read that cannot be; ``why`` ends a sentence."""
        return WrongBytesError(f"{self._what} cannot be read at byte {self._at}: {why}.")

    def fixed(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if size > self.left:
            raise self.refuse(f"{size} bytes should follow, and {self.left} are left")
        self._at += size
        return bytes(self._data[self._at - size : self._at])

    def u8(self) -> int:
        """The next byte as a number."""
        return self.fixed(1)[0]

    def u16(self) -> int:
        """The next two bytes as a number, little-endian."""
        return int.from_bytes(self.fixed(2), "little")

    def u32(self) -> int:
        """The next four bytes as a number, little-endian."""
        return int.from_bytes(self.fixed(4), "little")

    def u64(self) -> int:
        """The next eight bytes as a number, little-endian."""
        return int.from_bytes(self.fixed(8), "little")

    def uleb128(self) -> int:
        """A number of 32 bits in its shortest ULEB128 form."""
        value = 0
        for place in range(_ULEB128_BYTES):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * place)
            if byte < _MORE:
                if place and not byte:
                    raise self.refuse("a ULEB128 number is longer than it has to be")
                if value > _MOST_U32:
                    break
                return value
        raise self.refuse("a ULEB128 number is above 32 bits")

    def count(self, least: int) -> int:
        """The number of items of a vector, each of which takes ``least`` bytes or more (≥ 1).

        A count that the rest of the bytes cannot hold is refused before anything is read.
        """
        count = self.uleb128()
        if count * least > self.left:
            raise self.refuse(f"{count} items cannot stand in the {self.left} bytes that are left")
        return count

    def byte_vector(self) -> bytes:
        """A length, then as many bytes."""
        return self.fixed(self.count(1))

    def string(self) -> str:
        """A length, then as many bytes of UTF-8."""
        data = self.byte_vector()
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise self.refuse("a text is not UTF-8") from None

    def variant(self, known: int) -> int:
        """The number of an enumeration's variant, 0 to ``known`` - 1."""
        number = self.uleb128()
        if number >= known:
            raise self.refuse(f"variant {number} is not known")
        return number

    def vector(self, item: Callable[[Reader], T], least: int) -> list[T]:
        """A vector, each item read by ``item`` and of ``least`` bytes or more (≥ 1)."""
        return [item(self) for _ in range(self.count(least))]

    def mapping(
        self, key: Callable[[Reader], K], value: Callable[[Reader], T], least: int
    ) -> dict[K, T]:
        """A map whose serialised keys grow strictly; an entry takes ``least`` bytes or more."""
        out: dict[K, T] = {}
        before: bytes | None = None
        for _ in range(self.count(least)):
            start = self._at
            name = key(self)
            written = bytes(self._data[start : self._at])
            if before is not None and written <= before:
                raise self.refuse("a map's keys are not in order, or one stands there twice")
            before = written
            out[name] = value(self)
        return out

    def finish(self) -> None:
        """Refuse bytes that are left over."""
        if self.left:
            raise self.refuse(f"{self.left} bytes are left over")
