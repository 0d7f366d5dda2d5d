"""Chunk maps: where the chunks of attachments stand in a store (docs/spec/segment.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from haulout.errors import DamagedError, VaultVersionError
from haulout.log.canonical import read_canonical, version_of
from haulout.log.head import Ref
from haulout.log.record import HASH_BYTES, ID_BYTES, canonical

CHUNK_MAP_VERSION = 1


def encode_chunk_map(places: Mapping[bytes, Ref]) -> bytes:
    """Write down where chunks stand, by chunk ID."""
    return canonical([CHUNK_MAP_VERSION, [[name, [*places[name]]] for name in sorted(places)]])


def decode_chunk_map(content: bytes) -> dict[bytes, Ref]:
    """Where chunks stand, by chunk ID.

    Raises:
        VaultVersionError: a later version wrote it; DamagedError: it has another form.
    """
    if version_of(content) > CHUNK_MAP_VERSION:
        message = f"A chunk map has version {content[1]}; this code reads {CHUNK_MAP_VERSION}."
        raise VaultVersionError(message)
    try:
        version, rows = cast("list[Any]", read_canonical(content))
        found: dict[bytes, Ref] = {}
        before = b""
        for name, place in cast("list[Any]", rows):
            if version != CHUNK_MAP_VERSION or len(name) != ID_BYTES or name <= before:
                raise ValueError(name)
            found[name] = _ref(place)
            before = name
    except (TypeError, ValueError) as error:
        message = "A chunk map does not have the form of docs/spec/segment.md."
        raise DamagedError(message) from error
    return found


def _ref(place: Any) -> Ref:
    match place:
        case [bytes(blob), int(offset), int(length), bytes(digest)] if (
            len(blob) == len(digest) == HASH_BYTES
        ):
            return Ref(blob, offset, length, digest)
        case _:
            raise ValueError(place)
