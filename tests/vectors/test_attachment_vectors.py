"""The vectors of docs/spec/attachment.md, through the package and by the page's words alone."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from vectors import make_attachment

from haulout.crypto.chunk import ChunkContext, chunk_id, chunk_id_key, open_chunk, seal_chunk
from haulout.errors import DamagedError, VaultVersionError
from haulout.log.attachment import decode_list, encode_list
from haulout.log.memory import read_payload

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "attachment.json").read_text("utf-8"))
ERRORS = {"damaged": DamagedError, "version": VaultVersionError}
raw = bytes.fromhex


def context(case: dict[str, Any]) -> ChunkContext:
    return ChunkContext(raw(case["vault"]), raw(case["namespace"]), case["level"], raw(case["id"]))


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


def test_the_file_is_what_its_program_makes() -> None:
    assert make_attachment.TARGET.read_text("utf-8") == make_attachment.text()


@pytest.mark.parametrize("case", VECTORS["chunks"]["accept"], ids=named)
def test_a_chunk_is_sealed_and_named_so(case: dict[str, Any]) -> None:
    content, key = raw(case["content"]), raw(case["key"])
    # By the page: HKDF-Expand with one block, HMAC, and ChaCha20-Poly1305.
    info = b"haulout/1/chunk-ids\x01"
    id_key = hmac.digest(raw(case["namespace_key"]), info, "sha256")
    mac = hmac.digest(id_key, bytes([case["level"]]) + content, "sha256")[:16]
    aad = b"haulout/1/chunk" + raw(case["vault"]) + raw(case["namespace"])
    aad += bytes([case["level"]]) + mac
    sealed = b"\x01" + ChaCha20Poly1305(key).encrypt(bytes(12), content, aad)
    assert (mac.hex(), aad.hex(), sealed.hex()) == (case["id"], case["aad"], case["chunk"])
    # By the package.
    assert chunk_id(chunk_id_key(raw(case["namespace_key"])), case["level"], content) == mac
    assert context(case).encode() == aad
    assert seal_chunk(key, content, context(case)) == sealed
    assert open_chunk(key, sealed, context(case)) == content
    if case["level"]:
        members = decode_list(case["level"], content)
        assert encode_list(members) == content
        assert members[31].id + members[31].key == content[-48:]


@pytest.mark.parametrize("case", VECTORS["chunks"]["reject"], ids=named)
def test_a_chunk_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(ERRORS[case["error"]]):
        open_chunk(raw(case["key"]), raw(case["chunk"]), context(case))


@pytest.mark.parametrize("case", VECTORS["manifests"], ids=named)
def test_a_payload_names_its_chunks_so(case: dict[str, Any]) -> None:
    found = cbor2.loads(raw(case["payload"]))["attachment"]
    content, beside = read_payload(raw(case["payload"]))
    assert content.attachment
    assert (content.payload().hex(), beside) == (case["payload"], {})
    assert found["size"] == content.attachment.size == case["size"]
    rows = found.get("chunks", [])
    assert [row[0] for row in rows] == case["levels"]
    assert sum(row[1] for row in rows) == case["size"]
    assert [tuple(row) for row in rows] == list(content.attachment.chunks)
    assert VECTORS["full"] == 2**20 - 17
