"""Attachments as values: the manifest in a payload, lists of chunks, passages (pure).

The bytes of both are in docs/spec/attachment.md; limits stand here and nowhere else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from haulout.crypto.chunk import CHUNK_ID_BYTES, CHUNK_KEY_BYTES, FULL_BYTES
from haulout.errors import DamagedError, InputError, LimitError

SIZE_BYTES = 2**40
FANOUT = 32
"""Chunks in a list."""
MOST_LEVEL = 4
"""32^4 full chunks hold more than `SIZE_BYTES`."""
NAME_BYTES = 255
MEDIA_BYTES = 127
SEARCHED_BYTES = 2**24
DEFAULT_MEDIA = "application/octet-stream"
DIGEST_BYTES = 32
_ROW_BYTES = CHUNK_ID_BYTES + CHUNK_KEY_BYTES
LIST_BYTES = FANOUT * _ROW_BYTES
_MEDIA = re.compile(r"[!-~][ -~]*")


class Chunk(NamedTuple):
    """One entry of a manifest or list.

    Attributes:
        level: 0 for bytes of the attachment; k for a list of `FANOUT` chunks of level k - 1.
        size: bytes of the attachment that it stands for.
        id: the chunk's 16-byte ID; ``key``: its own 32-byte key.
    """

    level: int
    size: int
    id: bytes
    key: bytes


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a payload says of its attachment.

    Attributes:
        name: as a person calls it, such as ``contract.pdf``; ``media``: its media type.
        size: its bytes; ``chunks``: where they are, in order.
        digest: SHA-256 of all of them, where the writer knew it.
        text: so many of its first bytes are searchable.
    """

    name: str
    size: int
    chunks: tuple[Chunk, ...] = ()
    media: str = DEFAULT_MEDIA
    digest: bytes | None = None
    text: int = 0


class PassageOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a passage's payload says of where it stands.

    Attributes:
        of: the 16-byte ID of the memory with the attachment.
        at: its first byte there; ``size``: how many it has.
    """

    of: bytes
    at: int
    size: int


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that belong to a memory; `vault.attachment` reads them.

    Attributes:
        name: as it was attached, such as ``contract.pdf``; ``media_type``: what it is.
        size: its bytes.
        searchable: so many of its first bytes are text that recall finds, 16 MiB at most.
    """

    name: str
    media_type: str
    size: int
    searchable: int = 0


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a passage stands: in the attachment of another memory.

    Attributes:
        of: the ID of that memory; ``at``: the passage's first byte; ``size``: its bytes.
    """

    of: str
    at: int
    size: int


def list_size(level: int) -> int:
    """How many bytes of an attachment one full chunk of a level stands for."""
    return FULL_BYTES * FANOUT**level


# ---------------------------------------------------------------------- names


def checked_name(name: object) -> str:
    """Return an attachment's name if it is one.

    Raises:
        InputError: it is not; LimitError: it is too long.
    """
    if not isinstance(name, str) or not name.strip():
        message = "An attachment's name is text, and not empty."
        raise InputError(message)
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        message = f"An attachment's name has half of a surrogate pair at {error.start}."
        raise InputError(message) from error
    if size > NAME_BYTES:
        message = f"An attachment's name has {size} bytes of UTF-8; the limit is {NAME_BYTES}."
        raise LimitError(message)
    if not _is_name(name):
        message = f"{name!r} cannot name an attachment: no '/', no control characters."
        raise InputError(message)
    return name


def _is_name(name: str) -> bool:
    return "/" not in name and all(unicodedata.category(one) != "Cc" for one in name)


def checked_media(media: object) -> str:
    """Return a media type if it can be one.

    Raises:
        InputError: it is not.
    """
    if not isinstance(media, str) or len(media) > MEDIA_BYTES or not _MEDIA.fullmatch(media):
        message = f"{media!r} is not a media type such as text/plain."
        raise InputError(message)
    return media


# ---------------------------------------------------------------------- manifests


def require_sound(manifest: Manifest) -> None:
    """Refuse a manifest that is not of the form of docs/spec/attachment.md.

    Raises:
        DamagedError: it is not.
    """
    try:
        _require_form(manifest)
    except (ValueError, InputError) as error:
        message = f"An attachment's list of chunks is damaged ({error})."
        raise DamagedError(message) from error


def _require_form(manifest: Manifest) -> None:
    checked_name(manifest.name)
    checked_media(manifest.media)
    sizes = sum(chunk.size for chunk in manifest.chunks)
    if not 0 <= manifest.size <= SIZE_BYTES or sizes != manifest.size:
        message = f"its chunks have {sizes} bytes of {manifest.size}"
        raise ValueError(message)
    if not 0 <= manifest.text <= min(manifest.size, SEARCHED_BYTES):
        message = f"{manifest.text} bytes cannot be text"
        raise ValueError(message)
    if manifest.digest is not None and len(manifest.digest) != DIGEST_BYTES:
        message = "its digest is none"
        raise ValueError(message)
    before = MOST_LEVEL
    for level, group in groupby(manifest.chunks, key=lambda chunk: chunk.level):
        if not 0 <= level <= before:
            message = f"level {level} comes after {before}"
            raise ValueError(message)
        before = level
        _require_run(level, list(group))


def _require_run(level: int, run: Sequence[Chunk]) -> None:
    """One level's entries: full ones, fewer than a list holds, then small ones of bytes."""
    full = [chunk for chunk in run if chunk.size == list_size(level)]
    small = run[len(full) :]
    if any(len(one.id) != CHUNK_ID_BYTES or len(one.key) != CHUNK_KEY_BYTES for one in run):
        message = "an ID or a key has another length"
        raise ValueError(message)
    if len(full) >= FANOUT or list(run[: len(full)]) != full or (small and level):
        message = f"the chunks of level {level} are not those that make its size"
        raise ValueError(message)
    if any(one.size < 1 for one in small) or sum(one.size for one in small) >= FULL_BYTES:
        message = "its last chunks are not smaller than a full one"
        raise ValueError(message)


def parted(chunks: Sequence[Chunk]) -> tuple[tuple[Chunk, ...], tuple[Chunk, ...]]:
    """A sound manifest's chunks that never change, and the small ones after them."""
    count = next((n for n, one in enumerate(chunks) if one.size < FULL_BYTES), len(chunks))
    return tuple(chunks[:count]), tuple(chunks[count:])


def same_content(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests name the same bytes in the same way; both know their digest."""
    bare = msgspec.structs.replace
    same = bare(one, chunks=()) == bare(other, chunks=())
    return same and one.digest is not None


# ---------------------------------------------------------------------- lists


def encode_list(chunks: Iterable[Chunk]) -> bytes:
    """The content of the list of `FANOUT` full chunks of one level."""
    content = b"".join(chunk.id + chunk.key for chunk in chunks)
    assert len(content) == LIST_BYTES
    return content


def decode_list(level: int, content: bytes) -> list[Chunk]:
    """The chunks in a list of a level.

    Raises:
        DamagedError: it has another length than a list's.
    """
    if not 0 < level <= MOST_LEVEL or len(content) != LIST_BYTES:
        message = f"A list of chunks of level {level} has {len(content)} bytes."
        raise DamagedError(message)
    return [
        Chunk(
            level - 1,
            list_size(level - 1),
            content[start : start + CHUNK_ID_BYTES],
            content[start + CHUNK_ID_BYTES : start + _ROW_BYTES],
        )
        for start in range(0, LIST_BYTES, _ROW_BYTES)
    ]
