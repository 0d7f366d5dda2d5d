"""Makes the vectors of docs/spec/attachment.md: the same bytes on every run.

python tests/vectors/make_attachment.py            writes attachment.json anew
python tests/vectors/make_attachment.py --check    tells whether it is what this makes
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from vectors.make import VAULT, fixed, flipped

from haulout.crypto.chunk import FULL_BYTES, ChunkContext, chunk_id, chunk_id_key, seal_chunk
from haulout.log.attachment import Chunk, Manifest, encode_list, list_size
from haulout.log.memory import Content

TARGET = Path(__file__).parent / "attachment.json"
NAMESPACE_KEY = fixed("namespace key", 32)
NAMESPACE = fixed("namespace id")
CONTENT = b"Ana is allergic to walnuts.\n"


def member(number: int, level: int = 0) -> Chunk:
    key = fixed(f"chunk key {level} {number}", 32)
    return Chunk(level, list_size(level), fixed(f"chunk id {level} {number}"), key)


def chunk_case(name: str, level: int, content: bytes) -> dict[str, Any]:
    named = chunk_id(chunk_id_key(NAMESPACE_KEY), level, content)
    context = ChunkContext(VAULT, NAMESPACE, level, named)
    key = fixed(f"key of {name}", 32)
    return {
        "name": name,
        "namespace_key": NAMESPACE_KEY.hex(),
        "vault": VAULT.hex(),
        "namespace": NAMESPACE.hex(),
        "level": level,
        "content": content.hex(),
        "id": named.hex(),
        "key": key.hex(),
        "aad": context.encode().hex(),
        "chunk": seal_chunk(key, content, context).hex(),
    }


def chunk_rejects(good: dict[str, Any]) -> list[dict[str, Any]]:
    sealed = bytes.fromhex(good["chunk"])

    def case(name: str, error: str = "damaged", **changed: Any) -> dict[str, Any]:
        kept = ("vault", "namespace", "level", "id", "key", "chunk")
        return {"name": name, "error": error} | {n: good[n] for n in kept} | changed

    return [
        case("nothing", chunk=""),
        case("no content", chunk=sealed[:17].hex()),
        case("version 0", "version", chunk=(b"\0" + sealed[1:]).hex()),
        case("version 2", "version", chunk=(b"\2" + sealed[1:]).hex()),
        case("a changed letter", chunk=flipped(sealed, 1).hex()),
        case("a changed tag", chunk=flipped(sealed, -1).hex()),
        case("a lost byte", chunk=sealed[:-1].hex()),
        case("another vault", vault=bytes(16).hex()),
        case("another namespace", namespace=bytes(16).hex()),
        case("another level", level=1),
        case("another ID", id=bytes(16).hex()),
        case("another key", key=bytes(32).hex()),
    ]


def manifest_case(name: str, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": name,
        "size": manifest.size,
        "levels": [chunk.level for chunk in manifest.chunks],
        "payload": Content("words", attachment=manifest).payload().hex(),
    }


def vectors() -> dict[str, Any]:
    full, lists = [member(n) for n in range(32)], [member(n, 1) for n in range(2)]
    small = [
        Chunk(0, size, fixed(f"small {size}"), fixed(f"small key {size}", 32))
        for size in (70_000, 5)
    ]
    chunks = [
        chunk_case("a small one", 0, CONTENT),
        chunk_case("one byte", 0, b"\0"),
        chunk_case("a list", 1, encode_list(full)),
        chunk_case("a list of lists", 2, encode_list(member(n, 1) for n in range(32))),
    ]
    sizes = sum(chunk.size for chunk in (*lists, *full[:2], *small))
    return {
        "spec": "docs/spec/attachment.md",
        "full": FULL_BYTES,
        "chunks": {"accept": chunks, "reject": chunk_rejects(chunks[0])},
        "manifests": [
            manifest_case("nothing", Manifest("empty", 0)),
            manifest_case(
                "one small chunk",
                Manifest("a.txt", 5, (small[1],), "text/plain", fixed("digest", 32), 5),
            ),
            manifest_case(
                "lists, full ones, small ones", Manifest("log", sizes, (*lists, *full[:2], *small))
            ),
        ],
    }


def text() -> str:
    return json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(TARGET.read_text("utf-8") != text())
    TARGET.write_text(text(), "utf-8")
