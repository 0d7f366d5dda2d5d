"""A JSON array, element by element, in bounded memory, past elements that are broken.

``conversations.json`` is one array that can pass a gigabyte. The reader finds where each
element ends by matching brackets outside strings, and decodes that element alone. So

- an element that does not decode is lost alone, and its position is told;
- where brackets do not match, or a string never ends, the reader looks for the next place
  that only a new element can start with (``restart``) and goes on from there;
- an element over the limit is passed over without being kept.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from haulout.errors import ImportFormatError

_DEEPEST = 5000
"""Calls in each other, decoding included: five times Python's usual bound."""

ELEMENT_BYTES_MAX = 64 * 1024 * 1024
ELEMENTS_MAX = 1_000_000
DEPTH_MAX = 1_000
RESTARTS_MAX = 64  # each can mean reading one element's bytes again: this bounds the total
RESTART_BYTES_MAX = 8 * 1024  # no longer match of ``restart`` is promised to be found
CHUNK_BYTES = 256 * 1024

# Anything but brackets, with whole strings in it. The loop cannot fail, so it never backtracks.
_BETWEEN_BRACKETS = re.compile(rb'(?:[^"\[\]{}]+|"[^"\\]*(?:\\.[^"\\]*)*")*', re.DOTALL)
_REST_OF_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_BETWEEN_ELEMENTS = re.compile(rb"[\s,]*")
_BEFORE_VALUE = re.compile(rb"[\s:]*")
_SCALAR = re.compile(rb'[^\[\]{},"]*')
_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_CLOSER = {ord("["): ord("]"), ord("{"): ord("}")}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its value, or why there is none. ``offset`` counts bytes from the start."""

    index: int
    offset: int
    value: object = None
    error: str = ""


def decode(raw: bytes | bytearray) -> object:
    """Decode one JSON value, forgiving what exporters get wrong and readers can mend.

    Raises:
        ImportFormatError: it is no JSON even so.
    """
    with bounded_nesting():
        return _decode(raw)


@contextmanager
def bounded_nesting() -> Generator[None]:
    """Within the block no JSON of others is decoded deeper than the stack holds.

    Decoders stop at the interpreter's bound. Where the program around us raised it, as py_ecc
    does to 100,000, a nesting of that depth breaks the stack before.
    """
    usual = sys.getrecursionlimit()
    if usual <= _DEEPEST:
        yield
        return
    sys.setrecursionlimit(_DEEPEST)
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def _decode(raw: bytes | bytearray) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:  # raw line breaks in strings, half surrogate pairs, NaN, bytes that are not UTF-8
        return json.loads(
            raw.decode("utf-8", "replace"), strict=False, parse_constant=lambda _name: None
        )
    except json.JSONDecodeError as error:
        raise ImportFormatError(f"broken JSON: {error.msg} (character {error.pos})") from None
    except (ValueError, RecursionError):
        raise ImportFormatError("broken JSON: a number or a nesting past all use") from None


class _NoEndError(Exception):
    """An element has no end that can be found; never seen outside this module."""


class ArrayReader:
    """Iterate once over the elements of a top-level array; an object counts as one element."""

    def __init__(
        self,
        stream: Readable,
        *,
        restart: re.Pattern[bytes] | None = None,
        element_bytes_max: int = ELEMENT_BYTES_MAX,
        under: str = "",
    ) -> None:
        self._stream = stream
        self._restart = restart
        self._limit = element_bytes_max
        self._under = under.encode()
        self._data = bytearray()
        self._base = 0  # how many bytes of the file were dropped before _data[0]
        self._at = 0  # where in _data the reader stands
        self._restarts = 0
        self._index = 0

    def __iter__(self) -> Iterator[Element]:
        while len(self._data) < len(_BYTE_ORDER_MARK) and self._more():
            pass
        if self._data.startswith(_BYTE_ORDER_MARK):
            self._at = len(_BYTE_ORDER_MARK)
        opener = self._pass_over(_BETWEEN_ELEMENTS)
        if opener == ord("{") and not self._under:
            yield self._element()
            return
        if opener == ord("{"):
            opener = self._value_under(self._under)
        if opener != ord("["):
            raise ImportFormatError("This is no JSON array or object.")
        self._at += 1
        while True:
            byte = self._pass_over(_BETWEEN_ELEMENTS)
            if byte is None:
                yield self._failed("the file ends before its array does")
                return
            if byte == ord("]"):
                return
            if self._index >= ELEMENTS_MAX:
                yield self._failed(f"more than {ELEMENTS_MAX} elements; the rest is not read")
                return
            yield self._element() if byte in _CLOSER else self._scalar(byte)

    def _failed(self, why: str, offset: int | None = None) -> Element:
        where = self._base + self._at if offset is None else offset
        self._index += 1
        return Element(self._index - 1, where, error=why)

    def _more(self) -> bool:
        chunk = self._stream.read(CHUNK_BYTES)
        self._data += chunk
        return bool(chunk)

    def _drop(self, count: int) -> None:
        del self._data[:count]
        self._base += count
        self._at = 0

    def _pass_over(self, pattern: re.Pattern[bytes]) -> int | None:
        """Move past what the pattern matches; the byte after it, or None at the end."""
        while True:
            found = pattern.match(self._data, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._data):
                return self._data[self._at]
            self._drop(self._at)
            if not self._more():
                return None

    def _value_under(self, name: bytes) -> int | None:
        """In the top-level object, stand before the value of a name; its first byte, or None."""
        self._at += 1
        while self._pass_over(_BETWEEN_ELEMENTS) == _QUOTE:
            self._drop(self._at)
            try:
                self._at = 1
                self._to_end_of_string(keep=True)
                found = bytes(self._data[1 : self._at - 1]) == name
                byte = self._pass_over(_BEFORE_VALUE)
                if found or byte is None:
                    return byte
                self._drop(self._at)
                if byte in _CLOSER:
                    self._to_end_of_element()
                elif byte == _QUOTE:
                    self._at = 1
                    self._to_end_of_string(keep=False)
                else:
                    self._pass_over(_SCALAR)
            except _NoEndError as error:
                raise ImportFormatError(f"broken JSON: {error}") from None
        return None

    def _scalar(self, byte: int) -> Element:
        offset = self._base + self._at
        if byte == _QUOTE:
            self._at += 1
            try:
                self._to_end_of_string(keep=False)
            except _NoEndError as error:
                return self._failed(str(error), offset)
        elif self._pass_over(_SCALAR) == ord("}"):
            self._at += 1
        return self._failed("not an object", offset)

    def _element(self) -> Element:
        self._drop(self._at)
        offset = self._base
        try:
            kept = self._to_end_of_element()
        except _NoEndError as error:
            self._recover()
            return self._failed(str(error), offset)
        end = self._at
        if not kept:
            return self._failed(f"larger than {self._limit} bytes", offset)
        try:
            value = decode(self._data[:end])
        except ImportFormatError as error:
            if not self._restart_before(end):
                self._drop(end)
            return self._failed(error.message, offset)
        self._drop(end)
        self._index += 1
        return Element(self._index - 1, offset, value)

    def _to_end_of_element(self) -> bool:
        """From an opening bracket to past its match; False when the bytes were not kept."""
        expected = bytearray()
        keep = True
        while True:
            found = _BETWEEN_BRACKETS.match(self._data, self._at)
            assert found is not None
            self._at = found.end()
            keep = keep and self._at <= self._limit
            if self._at == len(self._data):
                if not keep:
                    self._drop(self._at)
                if not self._more():
                    raise _NoEndError("the file ends inside this element")
                continue
            byte = self._data[self._at]
            self._at += 1
            if byte == _QUOTE:  # a string that runs over the buffer's end
                keep = self._to_end_of_string(keep=keep)
            elif byte in _CLOSER:
                expected.append(_CLOSER[byte])
                if len(expected) > DEPTH_MAX:
                    raise _NoEndError(f"nested deeper than {DEPTH_MAX}")
            elif expected.pop() != byte:
                raise _NoEndError("a bracket is closed by one of another kind")
            if not expected:
                return keep

    def _to_end_of_string(self, *, keep: bool) -> bool:
        """From inside a string to past its closing quote; False when bytes were not kept."""
        while True:
            found = _REST_OF_STRING.match(self._data, self._at)
            assert found is not None
            self._at = found.end()
            # A backslash as the buffer's last byte waits for the byte it escapes.
            if self._at < len(self._data) and self._data[self._at] != _BACKSLASH:
                self._at += 1
                return keep
            keep = keep and self._at <= self._limit
            if not keep:
                self._drop(self._at)
            if not self._more():
                raise _NoEndError("the file ends inside a string")

    def _restart_before(self, end: int) -> bool:
        """Stand at the next sure start of an element in the buffer; whether there is one."""
        if self._restart is None or self._restarts >= RESTARTS_MAX:
            return False
        found = self._restart.search(self._data, 1, end)
        if found is None:
            return False
        self._restarts += 1
        self._drop(found.start())
        return True

    def _recover(self) -> None:
        """After an element without an end: stand where the next one starts, or at the end."""
        while not self._restart_before(len(self._data)):
            self._drop(max(0, len(self._data) - RESTART_BYTES_MAX))
            if not self._more():
                self._drop(len(self._data))
                return
