"""Damage to an export, at random but the same for a seed: bytes, lines, JSON values, archives.

Structure-aware where the structure is known: a JSON value is changed and written again, a line
is moved, a member of a ZIP is damaged and packed again, so that what is wrong stands deep
inside what is right.
"""

from __future__ import annotations

import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable, Mapping

SIZE_MAX = 256 * 1024

PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"null", b"[" * 3000, b"\x00", b"\n", b"---\n",
    b"# ", b"- ", b"```", b"\xff\xfe", b"\\ud800", b"1e999", b"-1", b"9" * 400, b"PK\x03\x04",
    b'{"title": "x", "create_time": 1, "mapping": {}}, ', b"<!--", b"[2026-01-01] - ",
    b"\x50\x4b\x01\x02", b"\x50\x4b\x05\x06", b"\xff\xff\xff\xff", b"\r\n", b";", b"\t",
    b'<div class="outer-cell', b'<div class="content-cell">', b"<br>", b"</div>", b"<pre>", b"&",
    b"&#x110000;", b"<script>", b"&nbsp;", b"<system-reminder>", b"</system-reminder>", b"~~~",
    b'"conversations": [', b'{"conversation": {', b'{"$date": {"$numberLong": "1"}}', b"**a**\n",
    b"Mar 4, 2026, 9:31:01 AM CET", b"## Personal\n", b"  ", b"\xe2\x80\xa8", b"\xc2\xa0",
]  # fmt: skip

ODD_VALUES: list[object] = [
    None, True, False, 0, -1, 1, 2**63, -(2**70), 1e308, -1e-9, 1.5e12, "", " ", "\x00", "a" * 300,
    "\ud800", "\u202e", "2026-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.9-01:00",
    "../../x", "/", "C:\\x", "user", "assistant", "<p>", "```", [], [[]], [None], {}, {"": {}},
    {"$date": {"$numberLong": "9" * 30}}, {"$oid": []}, {"type": "text", "text": 1},
    [{"type": "text", "text": "x"}] * 3, {"html": "<" * 50}, "-" * 65, "import:x", "1770000000000",
]  # fmt: skip


def mutated(content: bytes, others: Mapping[str, bytes], chance: random.Random) -> bytes:
    """One damaged form of an export; most often damaged in one way, sometimes in several."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        way = chance.choice(_WAYS)
        content = way(content, others, chance)[:SIZE_MAX]
    return content


def flipped(content: bytes, chance: random.Random) -> bytes:
    """Some bytes flipped, cut out, repeated, put elsewhere, or everything behind them gone."""
    held = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(len(held) + 1)
        width = chance.choice((1, 2, 4, 30))
        match chance.randrange(6):
            case 0 if at < len(held):
                held[at] ^= 1 << chance.randrange(8)
            case 1:
                held[at : at + width] = chance.randbytes(width)
            case 2:
                del held[at : at + width]
            case 3:
                held[at:at] = held[at : at + width] * chance.choice((1, 50))
            case 4:
                held[at:at] = chance.choice(PIECES)
            case _:
                del held[at + chance.randrange(len(held) + 1) :]
    return bytes(held)


def _flipped(content: bytes, _others: Mapping[str, bytes], chance: random.Random) -> bytes:
    return flipped(content, chance)


def _truncated(content: bytes, _others: Mapping[str, bytes], chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _quote_storm(content: bytes, _others: Mapping[str, bytes], chance: random.Random) -> bytes:
    """Quotes, escapes and brackets where there were none."""
    held = bytearray(content)
    storm = chance.choice((b'"', b'""', b'\\"', b'",', b'"\n', b"'", b"`", b"<", b"[{", b"\\"))
    for _ in range(chance.choice((1, 3, 30))):
        at = chance.randrange(len(held) + 1)
        held[at:at] = storm * chance.choice((1, 2, 3, 200))
    return bytes(held)


def _spliced(content: bytes, others: Mapping[str, bytes], chance: random.Random) -> bytes:
    """The beginning of one export and the end of another."""
    other = others[chance.choice(sorted(others))]
    head = content[: chance.randrange(len(content) + 1)]
    return head + other[chance.randrange(len(other) + 1) :]


def _lines_moved(content: bytes, _others: Mapping[str, bytes], chance: random.Random) -> bytes:
    mark = chance.choice((b"\n", b"\n", b"<br>", b", ", b"}"))
    lines = content.split(mark)
    for _ in range(chance.choice((1, 2, 5))):
        at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                lines[at], lines[to] = lines[to], lines[at]
            case 1:
                lines[to:to] = [lines[at]] * chance.choice((1, 1, 40))
            case 2:
                lines[at] = chance.choice(PIECES)
            case _ if len(lines) > 1:
                del lines[at]
    return mark.join(lines)


def _value_changed(content: bytes, _others: Mapping[str, bytes], chance: random.Random) -> bytes:
    """A JSON document, or one line of JSON Lines, with a value changed somewhere inside."""
    try:
        return _to_json(_changed(json.loads(content), chance))
    except (ValueError, RecursionError):
        pass
    lines = content.split(b"\n")
    at = chance.randrange(len(lines))
    try:
        lines[at] = _to_json(_changed(json.loads(lines[at]), chance))
    except (ValueError, RecursionError):
        return flipped(content, chance)
    return b"\n".join(lines)


def _to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _changed(value: object, chance: random.Random) -> object:  # noqa: PLR0911 - one a way
    stop = chance.random() < 0.15
    if not stop and isinstance(value, dict) and value:
        name = chance.choice(list(value))
        changed = _changed(value[name], chance)
        match chance.randrange(8):
            case 0:
                return {other: held for other, held in value.items() if other != name}
            case 1:
                return {(f"{other}_" if other == name else other): h for other, h in value.items()}
            case _:
                return value | {name: changed}
    if not stop and isinstance(value, list) and value:
        at = chance.randrange(len(value))
        match chance.randrange(6):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value[:at] + [value[at]] * chance.choice((2, 30)) + value[at + 1 :]
            case _:
                return [*value[:at], _changed(value[at], chance), *value[at + 1 :]]
    if isinstance(value, str) and chance.random() < 0.4:
        return flipped(value.encode("utf-8", "replace"), chance).decode("utf-8", "surrogateescape")
    if chance.random() < 0.1:
        deep = value
        for _ in range(chance.choice((3, 40, 900))):
            deep = {"a": deep} if chance.random() < 0.5 else [deep]
        return deep
    return chance.choice(ODD_VALUES)


def _member_changed(content: bytes, others: Mapping[str, bytes], chance: random.Random) -> bytes:
    """A ZIP with one member damaged, renamed or doubled; anything else is packed into one."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()[:40]]
    except Exception:  # noqa: BLE001 - zipfile raises whatever damaged bytes make it
        members = [(chance.choice(NAMES), content)]
    if not members:
        return flipped(content, chance)
    at = chance.randrange(len(members))
    name, held = members[at]
    match chance.randrange(6):
        case 0:
            members.append((chance.choice(NAMES), held))
        case 1:
            members[at] = (chance.choice(NAMES), held)
        case 2:
            members.append((chance.choice(NAMES), others[chance.choice(sorted(others))]))
        case 3:
            members[at] = (f"{name}.zip", packed([(chance.choice(NAMES), held)]))
        case _:
            ways = (_flipped, _truncated, _quote_storm, _value_changed, _lines_moved)
            members[at] = (name, chance.choice(ways)(held, others, chance))
    return packed(members)


NAMES = [
    "conversations.json", "conversations-000.json", "memories.json", "memories/a.json",
    "projects/a.json", "memory.json", "a.zip", "MyActivity.json", "Gemini/MyActivity.html",
    "conversation_1.txt", "prod-grok-backend.json", "a.csv", "a/b.jsonl", "a/memory/MEMORY.md",
    "rollout-1.json", "memories/raw_memories.md", "CLAUDE.md", "../x.json", "/abs.md", "C:\\a.md",
    "a\\b.json", "x/" * 40 + "deep.md", "\u202e.md", " ", "conversations-000.zip",
]  # fmt: skip


def packed(members: list[tuple[str, bytes]]) -> bytes:
    held = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        warnings.simplefilter("ignore", UserWarning)  # of a name that stands there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return held.getvalue()


_WAYS: tuple[Callable[[bytes, Mapping[str, bytes], random.Random], bytes], ...] = (
    _flipped, _flipped, _truncated, _quote_storm, _spliced, _lines_moved, _value_changed,
    _value_changed, _value_changed, _member_changed,
)  # fmt: skip
