"""The bytes of all blobs of a loopback network, once, and their slivers on demand.

Nodes do not keep slivers: they derive them from the blob. The systematic primary slivers are parts
of it; any other takes an encoding, of which a few stay in memory. With a folder, blobs lie in
files and are read in pieces; putting one still takes it into memory once, to encode it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from haulout.redstuff import Encoded, Metadata, Sliver, encode, parameters
from haulout.redstuff.parameters import Axis
from haulout.storage.durable import make_folder, write_file

_KEPT_BYTES: Final = 64 << 20  # of blobs whose encodings are kept; 2.5 times that in memory
_PIECE: Final = 1 << 20


class Shelf:
    """Keeps blobs by their IDs. Safe to share between threads.

    Args:
        n_shards: of the network; folder: where files lie, or None for memory.
    """

    def __init__(self, n_shards: int, folder: Path | None = None) -> None:
        self.n_shards = n_shards
        self._folder = folder
        self._blobs: dict[str, bytes] = {}
        self._metadata: dict[str, Metadata] = {}
        self._encoded: OrderedDict[str, Encoded] = OrderedDict()
        self._lock = threading.Lock()
        if folder is not None:
            make_folder(folder)

    def encode(self, data: bytes) -> Encoded:
        """Encode a blob, or give the encoding that is at hand; nothing is kept for others yet."""
        return self._remembered(encode(data, self.n_shards))

    def put(self, encoded: Encoded, data: bytes) -> None:
        """Keep a blob."""
        name = encoded.blob_id_text
        if self._folder is not None and not self._file(name).exists():
            write_file(self._file(name), _pieces(data))
        with self._lock:
            self._metadata[name] = encoded.metadata
            if self._folder is None:
                self._blobs[name] = data

    def drop(self, name: str) -> None:
        """Forget a blob's bytes."""
        with self._lock:
            self._metadata.pop(name, None)
            self._blobs.pop(name, None)
            self._encoded.pop(name, None)
        if self._folder is not None:
            self._file(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """The IDs of all blobs; for the network itself, never for a route."""
        with self._lock:
            return list(self._metadata)

    def metadata(self, name: str) -> Metadata | None:
        """A blob's metadata, or None where there is no such blob."""
        with self._lock:
            return self._metadata.get(name)

    def pieces(self, name: str, start: int, length: int) -> Iterator[bytes]:
        """A part of a blob, piece by piece."""
        if self._folder is None:
            whole = memoryview(self._blobs[name])[start : start + length]
            for at in range(0, len(whole), _PIECE):
                yield bytes(whole[at : at + _PIECE])
            return
        with self._file(name).open("rb") as file:
            file.seek(start)
            while length > 0 and (piece := file.read(min(_PIECE, length))):
                length -= len(piece)
                yield piece

    def part(self, name: str, start: int, length: int) -> bytes:
        """A part of a blob."""
        return b"".join(self.pieces(name, start, length))

    def sliver(self, name: str, axis: Axis, index: int) -> Sliver:
        """One sliver of a blob that is there."""
        metadata = self._metadata[name]
        _, _, p, s = parameters(self.n_shards)
        if axis == "primary" and index < p:
            row = s * metadata.symbol_size
            data = self.part(name, index * row, row)
            return Sliver("primary", index, metadata.symbol_size, data.ljust(row, b"\0"))
        with self._lock:
            encoded = self._encoded.get(name)
        if encoded is None:
            encoded = self.encode(self.part(name, 0, metadata.size))
        return encoded.primary(index) if axis == "primary" else encoded.secondary(index)

    def _remembered(self, encoded: Encoded) -> Encoded:
        with self._lock:
            self._encoded[encoded.blob_id_text] = encoded
            while len(self._encoded) > 1 and self._weight() > _KEPT_BYTES:
                self._encoded.popitem(last=False)
        return encoded

    def _weight(self) -> int:
        return sum(one.size for one in self._encoded.values())

    def _file(self, name: str) -> Path:
        assert self._folder is not None
        # Blob IDs differ in case alone, and file systems fold it: hexadecimal digits do not.
        return self._folder / name.encode().hex()


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), _PIECE):
        yield data[at : at + _PIECE]
