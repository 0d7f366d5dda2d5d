"""The manifest, lists and chunks of docs/spec/attachment.md: what is one, and what is refused."""

from __future__ import annotations

from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.crypto.chunk import (
    FULL_BYTES,
    SEALED_BYTES,
    ChunkContext,
    chunk_id,
    open_chunk,
    seal_chunk,
)
from haulout.errors import DamagedError, VaultVersionError
from haulout.log.attachment import (
    FANOUT,
    LIST_BYTES,
    SIZE_BYTES,
    Chunk,
    Manifest,
    decode_list,
    encode_list,
    list_size,
    parted,
    require_sound,
    same_content,
)
from haulout.log.memory import Content, read_payload
from haulout.log.record import canonical

HERE = ChunkContext(b"v" * 16, b"n" * 16, 0, b"c" * 16)


def entries(size: int, small: int = 0) -> tuple[Chunk, ...]:
    """The entries of a content that was written at once, with so many small ones at its end."""
    found: list[Chunk] = []
    full, rest = divmod(size, FULL_BYTES)
    for level in range(4, -1, -1):
        count, full = divmod(full, FANOUT**level)
        found += [Chunk(level, list_size(level), bytes(16), bytes(32))] * count
    for number in range(small, -1, -1):
        piece = rest // (number + 1)
        found += [Chunk(0, piece, bytes(16), bytes(32))] if piece else []
        rest -= piece
    return tuple(found)


def payload_of(**attachment: Any) -> bytes:
    fields = {"name": "a", "size": 3, "chunks": [[0, 3, b"i" * 16, b"k" * 32]]} | attachment
    kept = {name: value for name, value in fields.items() if value is not None}
    return canonical({"text": "x", "attachment": kept})


@given(size=st.integers(0, SIZE_BYTES), small=st.integers(0, 3))
def test_a_content_of_any_size_has_few_entries_and_a_small_payload(size: int, small: int) -> None:
    manifest = Manifest("name", size, entries(size, small), text=0)
    require_sound(manifest)
    assert len(manifest.chunks) < 150
    content = Content("x", attachment=manifest)
    assert len(content.payload()) < 10_000
    assert read_payload(content.payload()) == (content, {})
    full, rest = parted(manifest.chunks)
    assert full + rest == manifest.chunks
    assert sum(chunk.size for chunk in rest) == size % FULL_BYTES


ROW = [0, 3, b"i" * 16, b"k" * 32]
FULL_ROW = [0, FULL_BYTES, b"i" * 16, b"k" * 32]
LIST_ROW = [1, FULL_BYTES * 32, b"i" * 16, b"k" * 32]


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 4}, {"size": -3}, {"size": "3"}, {"size": True}, {"size": None}, {"size": 3.5},
        {"name": None}, {"name": ""}, {"name": "a/b"}, {"name": "a\n"}, {"name": b"a"},
        {"name": "n" * 256}, {"media": ""}, {"media": "é"}, {"media": "m" * 128}, {"media": 1},
        {"digest": b"short"}, {"digest": "d" * 32}, {"text": 4}, {"text": -1}, {"other": 1},
        {"chunks": None}, {"chunks": 5}, {"chunks": [5]}, {"chunks": [[]]}, {"chunks": [ROW[:3]]},
        {"chunks": [[*ROW, 1]]}, {"chunks": [[0, 3, b"i" * 15, b"k" * 32]]},
        {"chunks": [[0, 3, b"i" * 16, b"k" * 33]]}, {"chunks": [[0, 3, "i" * 16, b"k" * 32]]},
        {"chunks": [ROW, [0, 0, b"i" * 16, b"k" * 32]]},
        {"chunks": [ROW, [0, -3, b"i" * 16, b"k" * 32], ROW]},
        {"chunks": [[1, 3, b"i" * 16, b"k" * 32]]}, {"chunks": [[-1, 3, b"i" * 16, b"k" * 32]]},
        {"chunks": [[5, FULL_BYTES * 32**5, b"i" * 16, b"k" * 32]], "size": FULL_BYTES * 32**5},
        {"chunks": [ROW, FULL_ROW], "size": 3 + FULL_BYTES},
        {"chunks": [FULL_ROW, LIST_ROW], "size": FULL_BYTES * 33},
        {"chunks": [FULL_ROW] * 32, "size": FULL_BYTES * 32},
        {"chunks": [LIST_ROW] * 32, "size": FULL_BYTES * 32 * 32},
        {"chunks": [[0, FULL_BYTES - 3, b"i" * 16, b"k" * 32], ROW], "size": FULL_BYTES},
        {"chunks": [[0, FULL_BYTES + 1, b"i" * 16, b"k" * 32]], "size": FULL_BYTES + 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_of_another_form_is_damaged(wrong: dict[str, Any]) -> None:
    assert read_payload(payload_of())[0].attachment
    with pytest.raises(DamagedError):
        read_payload(payload_of(**wrong))


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 400), value=st.integers(1, 255), cut=st.booleans())
def test_a_changed_payload_is_another_sound_one_or_damaged(at: int, value: int, cut: bool) -> None:  # noqa: FBT001
    content = Content("x", attachment=Manifest("name", 70, entries(70, 2), text=7))
    payload = bytearray(content.payload())
    at %= len(payload)
    payload[at] ^= value
    try:
        found, _ = read_payload(bytes(payload[:at] if cut else payload))
    except DamagedError:
        return
    if found.attachment is not None:
        require_sound(found.attachment)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_payload_are_damaged(data: bytes) -> None:
    for hostile in (data, canonical({"text": "x", "attachment": data})):
        try:
            read_payload(hostile)
        except DamagedError:
            continue
        assert "attachment" not in cbor2.loads(hostile)


def test_a_list_holds_thirty_two_chunks_and_nothing_else() -> None:
    members = [Chunk(2, list_size(2), bytes([n]) * 16, bytes([n]) * 32) for n in range(32)]
    content = encode_list(members)
    assert len(content) == LIST_BYTES == 1536
    assert decode_list(3, content) == members
    for level, wrong in ((3, content[:-1]), (3, content + b"x"), (3, b""), (0, content)):
        with pytest.raises(DamagedError):
            decode_list(level, wrong)


@given(st.binary(max_size=3000), st.integers(1, 4))
def test_a_list_of_any_bytes_is_read_or_damaged(data: bytes, level: int) -> None:
    try:
        assert encode_list(decode_list(level, data)) == data
    except DamagedError:
        assert len(data) != LIST_BYTES


@pytest.mark.parametrize("place", ["vault", "namespace", "level", "id"])
def test_a_chunk_opens_in_its_own_place_alone(place: str) -> None:
    sealed = seal_chunk(b"k" * 32, b"content", HERE)
    assert open_chunk(b"k" * 32, sealed, HERE) == b"content"
    other = HERE._replace(**{place: 1 if place == "level" else b"x" * 16})
    with pytest.raises(DamagedError):
        open_chunk(b"k" * 32, sealed, other)
    with pytest.raises(DamagedError):
        open_chunk(b"K" * 32, sealed, HERE)


def test_a_full_chunk_has_a_mebibyte_and_a_longer_one_is_refused() -> None:
    sealed = seal_chunk(b"k" * 32, bytes(FULL_BYTES), HERE)
    assert len(sealed) == SEALED_BYTES == 1 << 20
    with pytest.raises(DamagedError, match="as none has"):
        open_chunk(b"k" * 32, sealed + b"x", HERE)
    with pytest.raises(DamagedError):
        open_chunk(b"k" * 32, b"\x01" * 17, HERE)
    with pytest.raises(VaultVersionError):
        open_chunk(b"k" * 32, b"\x02" + sealed[1:], HERE)


def test_an_id_depends_on_key_level_and_content() -> None:
    one = chunk_id(b"k" * 32, 0, b"content")
    others = {chunk_id(b"K" * 32, 0, b"content"), chunk_id(b"k" * 32, 1, b"content"),
              chunk_id(b"k" * 32, 0, b"contents")}  # fmt: skip
    assert len({one, *others}) == 4
    assert len(one) == 16


def test_two_manifests_are_the_same_by_digest_and_not_by_where_their_chunks_are() -> None:
    one = Manifest("a", 3, entries(3), digest=b"d" * 32)
    assert same_content(one, msgspec.structs.replace(one, chunks=()))
    assert not same_content(one, msgspec.structs.replace(one, digest=b"e" * 32))
    bare = msgspec.structs.replace(one, digest=None)
    assert not same_content(bare, bare)
