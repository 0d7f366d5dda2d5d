"""Whatever stands in a file, an import gives a balanced report or one of our own errors.

The quick form runs a few thousand cases in seconds; `make fuzz` runs the long one.
"""

from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interchange import fixtures as fx

from haulout.errors import HauloutError
from haulout.interchange import Limits, import_file, jsonstream
from haulout.interchange.importer import Report

SEEDS = {
    "chatgpt zip": fx.chatgpt_shards_zip(),
    "chatgpt json": fx.to_json(fx.chatgpt_conversations()),
    "claude zip": fx.claude_may(),
    "claude nested": fx.to_zip(fx.claude_archives()),
    "claude json": fx.to_json([fx.claude_conversation()]),
    "claude memory": fx.to_json(fx.claude_memories(files=True)),
    "claude manifest": fx.to_json(fx.claude_manifest(["a-000.zip"])),
    "markdown": fx.MEMORY_MD.encode(),
    "chat lines": fx.to_lines(fx.CHAT_LINES),
    "own lines": fx.to_lines(fx.OWN_LINES),
}
LIMITS = Limits(
    members_max=100, member_bytes_max=1 << 22, total_bytes_max=1 << 24, nested_bytes_max=1 << 20
)
SECONDS_PER_CASE_MAX = 2.0
quick = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def survives(folder, content: bytes) -> Report | None:
    """Import the bytes; nothing but a HauloutError may come out, soon, and counts add up."""
    path = folder / "case"
    path.write_bytes(content)
    shelf = fx.Shelf()
    started = time.process_time()
    try:
        report = import_file(path, shelf, secrets="redact", limits=LIMITS)
    except HauloutError:
        return None
    finally:
        assert time.process_time() - started < SECONDS_PER_CASE_MAX
    assert report.balanced()
    json.dumps(report.to_builtins()).encode()
    return report


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Some bytes flipped, cut out, repeated, or put elsewhere."""
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


PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"null", b"[" * 3000, b"\x00", b"\n", b"---\n",
    b"# ", b"- ", b"```", b"\xff\xfe", b"\\ud800", b"1e999", b"-1", b"9" * 400, b"PK\x03\x04",
    b'{"title": "x", "create_time": 1, "mapping": {}}, ', b"<!--", b"[2026-01-01] - ",
    b"\x50\x4b\x01\x02", b"\x50\x4b\x05\x06", b"\xff\xff\xff\xff",
]  # fmt: skip


def run_damage(tmp_path, seed_name: str, cases: int) -> None:
    chance = random.Random(seed_name)
    readable = sum(
        survives(tmp_path, damaged(SEEDS[seed_name], chance)) is not None for _ in range(cases)
    )
    assert readable > 0 or "manifest" in seed_name  # else nothing but the door was tested


@pytest.mark.parametrize("seed_name", SEEDS)
def test_damaged_exports_give_a_report_or_our_own_error(tmp_path, seed_name):
    run_damage(tmp_path, seed_name, 250)


@pytest.mark.full
@pytest.mark.parametrize("seed_name", SEEDS)
def test_damaged_exports_at_length(tmp_path, seed_name):
    run_damage(tmp_path, seed_name, 20_000)


@settings(quick, max_examples=150)
@given(content=st.binary(max_size=600) | st.text(max_size=300).map(str.encode))
def test_arbitrary_bytes(tmp_path, content):
    for before in (b"", b"PK\x03\x04", b"[", b'{"text": "', b"# "):
        survives(tmp_path, before + content)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def replaced(value: object, places: list[int], put: object) -> object:
    """A copy of a JSON value with whatever the places lead to replaced."""
    if not places:
        return put
    if isinstance(value, dict) and value:
        names = list(value)
        name = names[places[0] % len(names)]
        return value | {name: replaced(value[name], places[1:], put)}
    if isinstance(value, list) and value:
        copy = list(value)
        at = places[0] % len(copy)
        copy[at] = replaced(copy[at], places[1:], put)
        return copy
    return put


VALUES = [
    fx.chatgpt_conversations(),
    [fx.claude_conversation()],
    [fx.claude_memories(files=True)],
    [fx.claude_project()],
    fx.claude_manifest(["a-000.zip", "b-000.zip"]),
]


@settings(quick, max_examples=400)
@given(
    value=st.sampled_from(VALUES),
    places=st.lists(st.integers(0, 11), max_size=9),
    put=anything,
)
def test_any_type_may_stand_in_any_field(tmp_path, value, places, put):
    survives(tmp_path, fx.to_json(replaced(value, places, put)))


LINES = [*fx.OWN_LINES[:2], *fx.CHAT_LINES, {"messages": fx.CHAT_LINES}]


@settings(quick, max_examples=200)
@given(line=st.sampled_from(LINES), places=st.lists(st.integers(0, 11), max_size=4), put=anything)
def test_any_type_may_stand_in_any_field_of_a_line(tmp_path, line, places, put):
    survives(tmp_path, fx.to_lines([replaced(line, places, put), fx.OWN_LINES[0]]))


marks = st.sampled_from(
    ["# ", "## a", "- ", "  - ", "* x", "1. ", "```", "~~~", "---", "===", "", " ", "**b**", "x: y",
     "tags:", "[2026-01-02] - ", "<!--", "-->", "\t", "- [ ] ", "text", "\u2028", "\x0b", "|a|"]
)  # fmt: skip


@settings(quick, max_examples=300)
@given(lines=st.lists(marks | st.text(max_size=5), max_size=25))
def test_any_lines_of_markdown(tmp_path, lines):
    survives(tmp_path, "\n".join(["# start", *lines]).encode())


def test_slow_shapes_are_not_slow(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonstream, "RESTARTS_MAX", 8)
    start = b'{"title": "x", "create_time": 1, "mapping": {'
    for content in (
        b"[" * 1_000_000,
        b'["' * 400_000,
        b"[" + start * 20_000,
        b'[{"title": "' + b"\\" * 1_000_001,
        b'{"text": "' + b"\\u0041" * 150_000 + b'"}',
        b"# " + b" " * 500_000 + b"x",
        b"- " * 400_000,
        b"---\n" + b"a: b\n" * 100_000,
        b"# a\n" + b"*" * 300_000 + b"x",
        b"# a\n" + b"<!--" * 200_000,
        b"# a\n" + b"  - x\n\t- y\n" * 30_000,
        b"[" + b"1," * 20_000 + start,
    ):
        survives(tmp_path, content)
