"""What bytes are attached from: a path, bytes, or a binary stream, read in pieces."""

from __future__ import annotations

import io
import mimetypes
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from haulout.errors import InputError, LimitError, StorageError
from haulout.log.attachment import DEFAULT_MEDIA, SIZE_BYTES

Source = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes themselves, or a binary stream."""


class Readable(Protocol):
    """What gives bytes, at most so many at a time, and none at its end."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        ...


_UNNAMED: Final = "attachment"
_PIECE_BYTES: Final = 64 * 1024
_PIECES_WAITING: Final = 16
_MEDIA_OF_NAMES = mimetypes.MimeTypes()  # the table that Python brings, and no file of the system's


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that is being read.

    Attributes:
        stream: its bytes from where they begin; ``name``: what it calls itself.
        size: how many bytes there are, where that is known.
        start: where it begins, if it can be read again from there; None if it cannot.
    """

    stream: BinaryIO
    name: str
    size: int | None
    start: int | None

    def again(self) -> None:
        """Go back to the beginning; only where there is a ``start``."""
        assert self.start is not None
        self.stream.seek(self.start)


@contextmanager
def opened(source: Source) -> Generator[Opened]:
    """Open a source for the block; a stream of the caller's stays open.

    Raises:
        InputError: there is no such file, or it is no source; LimitError: it is too large.
    """
    if isinstance(source, bytes):
        yield _described(io.BytesIO(source), _UNNAMED)
        return
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            stream = path.open("rb")
        except (OSError, ValueError) as error:
            message = f"{path} cannot be read ({getattr(error, 'strerror', None) or error})."
            raise InputError(message) from error
        with stream:
            yield _described(stream, path.name)
        return
    if not hasattr(source, "read") or isinstance(source, io.TextIOBase):
        message = f"attach a path, bytes or a binary stream, not {type(source).__name__}."
        raise InputError(message)
    name = getattr(source, "name", None)
    yield _described(source, Path(name).name if isinstance(name, str) else _UNNAMED)


def _described(stream: BinaryIO, name: str) -> Opened:
    if not (hasattr(stream, "seekable") and stream.seekable()):
        return Opened(stream, name, None, None)
    start = stream.tell()
    size = stream.seek(0, io.SEEK_END) - start
    stream.seek(start)
    if size > SIZE_BYTES:
        message = f"{name} has {size} bytes; the limit of an attachment is {SIZE_BYTES}."
        raise LimitError(message)
    return Opened(stream, name, size, start)


def media_type(name: str, *, is_text: bool) -> str:
    """What a file is, by its name; otherwise by whether it is text."""
    found, encoding = _MEDIA_OF_NAMES.guess_type(name)
    if found is not None and encoding is None:
        return found
    return "text/plain" if is_text else DEFAULT_MEDIA


def read_full(stream: Readable, count: int) -> bytes:
    """So many bytes of a stream, or all that are left.

    Raises:
        InputError: it gives no bytes; StorageError: it cannot be read.
    """
    first = _read(stream, count)
    if len(first) == count or not first:
        return first
    pieces, got = [first], len(first)
    while got < count and (piece := _read(stream, count - got)):
        pieces.append(piece)
        got += len(piece)
    return b"".join(pieces)


def _read(stream: Readable, count: int) -> bytes:
    try:
        piece = stream.read(count)
    except OSError as error:
        message = f"What is attached could not be read ({error.strerror or error})."
        raise StorageError(message) from error
    if not isinstance(piece, bytes):  # pyright: ignore[reportUnnecessaryIsInstance] callers
        message = f"The stream gives {type(piece).__name__} instead of bytes."
        raise InputError(message, hint="Open it in binary mode, and not as non-blocking.")
    return piece


# ---------------------------------------------------------------------- streams that grow


class Following:
    """A stream's bytes as they come: given on when so many are there, or after some time.

    A thread of its own reads, since nothing interrupts a read that waits. It is a daemon: a
    terminal or pipe that never ends must not keep the program from ending.

    Args:
        stream: what is read, to its end. Where it may wait as the program ends, give it raw
            (``sys.stdin.buffer.raw``): Python aborts if a thread holds a buffer's lock then.
        every_us: what has come is given on after so many microseconds at the latest.
        most: and when so many bytes are there.
        now: the clock, microseconds.
    """

    def __init__(
        self, stream: BinaryIO, *, every_us: int, most: int, now: Callable[[], int]
    ) -> None:
        self._stream, self._every, self._most, self._now = stream, every_us, most, now
        self._pieces: queue.Queue[bytes | Exception] = queue.Queue(_PIECES_WAITING)
        self._held = bytearray()
        self._stopped = threading.Event()
        threading.Thread(target=self._read_on, name="haulout-source", daemon=True).start()

    def _read_on(self) -> None:
        read = getattr(self._stream, "read1", self._stream.read)
        try:
            while not self._stopped.is_set() and (piece := read(_PIECE_BYTES)):
                self._pieces.put(bytes(piece))
        except (OSError, ValueError, TypeError) as error:
            self._pieces.put(error)
        self._pieces.put(b"")

    def __iter__(self) -> Iterator[bytes]:
        due = 0
        while True:
            wait = max(0, min(due - self._now(), self._every)) / 1e6 if self._held else None
            try:
                piece = self._pieces.get(timeout=wait)
            except queue.Empty:
                yield self.rest()
                continue
            if isinstance(piece, Exception):
                message = f"What is appended could not be read ({piece})."
                raise StorageError(message) from piece
            if not piece:
                break
            if not self._held:
                due = self._now() + self._every
            self._held += piece
            if len(self._held) >= self._most:
                yield self.rest()
        if self._held:
            yield self.rest()

    def rest(self) -> bytes:
        """What has come and was not given on; also after the iteration was broken off."""
        held = bytes(self._held)
        self._held.clear()
        return held

    def stop(self) -> None:
        """Read no further than what is being read."""
        self._stopped.set()
        while not self._pieces.empty():
            self._pieces.get_nowait()
