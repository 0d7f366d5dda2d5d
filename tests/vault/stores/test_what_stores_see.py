"""Nothing that a person said can be read from what a store was given, and sizes are padded."""

from __future__ import annotations

import base64
import bz2
import lzma
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from vault.publishing import store_of, with_volumes

from haulout import Vault
from haulout.crypto.section import padded
from haulout.redstuff import blob_id_bytes
from haulout.storage.memory import MemoryBackend

CANARIES = {
    "text": "zebrafinch canaries sing at dawn",
    "tag": "tagcanaryquokka",
    "speaker": "Speakercanary Wombat",
    "namespace": "secretcanary/ibexplace",
    "session": "sessioncanarymarmot",
    "source": "sourcecanarypangolin",
    "metadata": "metacanarycapybara",
    "kind": "kindcanaryaxolotl",
    "update": "updatedcanary okapi text",
}
VECTOR = np.linspace(0.1, 0.9, 48, dtype=np.float32)
_MAGIC = {b"\x78\x01": zlib, b"\x78\x9c": zlib, b"\x78\xda": zlib, b"BZh": bz2, b"\xfd7zXZ": lzma}


def forms(words: str) -> Iterator[bytes]:
    """The ways in which words could stand in bytes."""
    raw = words.encode()
    yield from {raw, raw.upper(), words.title().encode()}
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield words.encode("utf-16-le")
    yield words.encode("utf-16-be")
    for shift in range(3):  # the three ways in which base64 can fall on them, without their edges
        packed = base64.b64encode(b"\0" * shift + raw)
        yield packed[4:-4]
    yield raw[::-1]


def vector_forms(vector: np.ndarray) -> Iterator[bytes]:
    """The ways in which a part of a vector could stand in bytes."""
    part = vector[:16]
    for kind in ("<f4", ">f4", "<f2", "<f8"):
        yield part.astype(kind).tobytes()
    codes = np.rint(vector * (127 / vector.max())).astype(np.int8)
    yield codes[:16].tobytes()


def unpacked(data: bytes) -> Iterator[bytes]:
    """What comes out where something compressed seems to begin."""
    for magic, library in _MAGIC.items():
        at = data.find(magic)
        while at >= 0:
            with suppress(Exception):
                yield library.decompress(data[at:])
            at = data.find(magic, at + 1)


def everything(vault: Vault) -> Iterator[tuple[str, bytes]]:
    """Every name and every byte that the volumes hold, and every blob put together again."""
    store = store_of(vault)
    try:
        for volume in store.volumes.layout.volumes:
            backend = MemoryBackend.named(volume.url.partition(":")[2])
            for found in backend.list():
                yield found.name, backend.get(found.name)
        for one in store.volumes.blobs():
            yield f"blob {one.blob_id}", store.volumes.get(one.blob_id)
    finally:
        store.close()


def hits(found: Iterable[tuple[str, bytes]], wanted: dict[str, list[bytes]]) -> set[str]:
    """Which canaries stand anywhere."""
    seen: set[str] = set()
    for name, data in found:
        for piece in (name.encode(), data, *unpacked(data)):
            seen |= {what for what, needles in wanted.items() if any(n in piece for n in needles)}
    return seen


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault, _ = with_volumes(tmp_path / "a")
    with vault:
        for number in range(12):
            memory = vault.remember(
                f"{CANARIES['text']} {number}",
                namespace=CANARIES["namespace"],
                kind=CANARIES["kind"],
                speaker=CANARIES["speaker"],
                session=CANARIES["session"],
                source=CANARIES["source"],
                tags=[CANARIES["tag"]],
                metadata={"animal": CANARIES["metadata"]},
                vector=VECTOR,
                op_id=f"operationcanarytapir{number}",
            )
            if number % 5 == 0:
                vault.sync()
        vault.update(memory.id, CANARIES["update"])
        vault.sync()
        yield vault


def test_no_canary_stands_in_anything_that_a_volume_holds(vault: Vault) -> None:
    wanted = {name: list(forms(words)) for name, words in CANARIES.items()}
    wanted["operation"] = list(forms("operationcanarytapir"))
    wanted["vector"] = list(vector_forms(VECTOR))
    assert hits(everything(vault), wanted) == set()


def test_control_a_canary_that_a_store_was_given_is_found(vault: Vault) -> None:
    """The search finds each form in which a careless program could have written one."""
    row = vault._remote.row("volumes")
    assert row is not None
    store = store_of(vault)
    name = store.volumes.layout.volumes[0].url.partition(":")[2]
    store.close()
    backend = MemoryBackend.named(name)
    words = CANARIES["text"]
    for number, planted in enumerate((*forms(words), zlib.compress(words.encode()))):
        backend.put(f"planted/{number}", secrets.token_bytes(100) + planted + b"tail")
        wanted = {"text": list(forms(words))}
        assert hits([("x", backend.get(f"planted/{number}"))], wanted) == {"text"}


def test_blobs_have_padded_sizes_only_and_padding_costs_an_eighth_at_most(vault: Vault) -> None:
    for number in range(3):
        vault.remember_many([{"text": f"{n} " + "word " * (n % 60)} for n in range(400)])
        vault.remember(f"one {number}")
        vault.sync()
    row = vault._remote.row("volumes")
    assert row is not None
    store = store_of(vault)
    try:
        sizes = {one.blob_id: len(store.volumes.get(one.blob_id)) for one in store.volumes.blobs()}
        assert all(size == padded(size) for size in sizes.values())
        named: dict[bytes, int] = {}
        for run in row.state.runs:
            refs = [run.run.segment, *run.run.vectors, *([run.run.keys] if run.run.keys else [])]
            for ref in refs:
                named[ref.blob] = named.get(ref.blob, 0) + ref.length
        whole = sum(sizes[blob] for blob in sizes if blob_id_bytes(blob) in named)
        assert whole <= sum(named.values()) * 1.12
    finally:
        store.close()
