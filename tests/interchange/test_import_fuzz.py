"""Whatever stands in a file, an import gives a balanced report or one of our own errors.

The quick form runs a few thousand cases in seconds; `make fuzz` runs the long one.
"""

from __future__ import annotations

import io
import json
import random
import resource
import signal
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interchange import agents, assistants
from interchange import fixtures as fx
from interchange.mutations import ODD_VALUES, mutated

from haulout.errors import HauloutError, LimitError
from haulout.interchange import Limits, SecretPolicy, import_file, jsonstream
from haulout.interchange.importer import Report

ONE_CELL = assistants.cell("Prompted&nbsp;a", "Mar 4, 2026, 9:31:01 AM CET", assistants.RYE)
SEEDS: dict[str, bytes] = {
    "chatgpt zip": fx.chatgpt_shards_zip(),
    "chatgpt json": fx.to_json(fx.chatgpt_conversations()),
    "claude zip": fx.claude_may(),
    "claude nested": fx.to_zip(fx.claude_archives()),
    "claude json": fx.to_json([fx.claude_conversation()]),
    "claude memory": fx.to_json(fx.claude_memories(files=True)),
    "claude manifest": fx.to_json(fx.claude_manifest(["a-000.zip"])),
    "claude 2023": fx.claude_2023(),
    "gemini json": assistants.gemini_json(),
    "gemini older": fx.to_json(assistants.gemini_older()),
    "gemini page": assistants.page(ONE_CELL, ONE_CELL),
    "gemini takeout": assistants.gemini_takeout(html=True),
    "gemini workspace": fx.to_json(assistants.workspace_conversation()),
    "grok": fx.to_json(assistants.grok_document()),
    "grok zip": assistants.grok_zip(),
    "copilot": assistants.COPILOT_CSV.encode(),
    "copilot other": assistants.COPILOT_OTHER_CSV.encode(),
    "claude code": fx.to_lines(agents.claude_code_lines()),
    "claude code zip": fx.to_zip(agents.claude_code_projects()),
    "codex": fx.to_lines(agents.codex_lines()),
    "codex before": fx.to_lines(agents.codex_lines_before()),
    "codex first": fx.to_json(agents.codex_document()),
    "codex zip": fx.to_zip(agents.codex_folder()),
    "pasted": fx.PASTED.encode(),
    "markdown": fx.MEMORY_MD.encode(),
    "chat lines": fx.to_lines(fx.CHAT_LINES),
    "own lines": fx.to_lines(fx.OWN_LINES),
}
LIMITS = Limits(
    members_max=100, member_bytes_max=1 << 22, total_bytes_max=1 << 24, nested_bytes_max=1 << 20
)
SECONDS_PER_CASE_MAX = 2.0
TRACED_BYTES_MAX = 48 * 1024 * 1024  # of one case: inputs are at most 256 KiB
GROWTH_BYTES_MAX = 256 * 1024 * 1024  # of the process, over all cases: nothing piles up
TRACED_EVERY = 500
FULL_CASES = 1_000_000
quick = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Hung(BaseException):
    """A case ran far past its time; no handler for ordinary errors may take it."""


@contextmanager
def watched() -> Iterator[None]:
    """Stop a case that hangs, and fail one that is slow, by the CPU time of this process."""

    def stop(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 10 * SECONDS_PER_CASE_MAX)
    started = time.process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert time.process_time() - started < SECONDS_PER_CASE_MAX


def survives(content: bytes, *, secrets: SecretPolicy = "redact") -> Report | None:
    """Import the bytes; nothing but a HauloutError may come out, soon, and counts add up."""
    with watched():
        try:
            report = import_file(io.BytesIO(content), fx.Shelf(), secrets=secrets, limits=LIMITS)
        except HauloutError:
            return None
    told = report.to_builtins()
    assert told["seen"] == told["taken"] + sum(told["left_out"].values())
    assert report.sent == report.added + report.already_there + report.erased + report.refused
    json.dumps(told).encode()
    return report


def run_damage(seed_name: str, cases: int, seed: str = "") -> None:
    """So many damaged forms of one export. A failure names the case that made it."""
    chance = random.Random(f"{seed}{seed_name}")
    readable = 0
    begun = 0
    for case in range(cases):
        content = mutated(SEEDS[seed_name], SEEDS, chance)
        traced = case % TRACED_EVERY == TRACED_EVERY - 1
        try:
            if traced:
                tracemalloc.start()
            readable += survives(content, secrets=("keep", "redact", "skip")[case % 3]) is not None
            if traced:
                assert tracemalloc.get_traced_memory()[1] < TRACED_BYTES_MAX
        except BaseException as error:
            error.add_note(f"{seed_name}, case {case}: {content[:200]!r}... {len(content)} bytes")
            raise
        finally:
            if traced:
                tracemalloc.stop()
        if case == min(cases, 2 * TRACED_EVERY) - 1:
            begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun) * 1024
    assert grown < GROWTH_BYTES_MAX
    assert readable > 0 or "manifest" in seed_name  # else nothing but the door was tested


@pytest.mark.parametrize("seed_name", SEEDS)
def test_damaged_exports_give_a_report_or_our_own_error(seed_name):
    run_damage(seed_name, 60)


@pytest.mark.full
@pytest.mark.parametrize("seed_name", SEEDS)
def test_a_million_damaged_exports_give_a_report_or_our_own_error(seed_name):
    run_damage(seed_name, -(-FULL_CASES // len(SEEDS)), "full ")


def test_control_a_hang_a_slow_case_and_a_stray_error_are_reported(monkeypatch):
    def importer(act):
        monkeypatch.setitem(globals(), "import_file", lambda *_, **__: act())

    monkeypatch.setitem(globals(), "SECONDS_PER_CASE_MAX", 0.02)

    def forever():
        while True:
            pass

    def slow():
        started = time.process_time()
        while time.process_time() - started < 0.05:
            pass
        raise LimitError("")

    importer(forever)
    with pytest.raises((Hung, AssertionError)):
        survives(b"")
    importer(slow)
    with pytest.raises(AssertionError):
        survives(b"")
    importer(lambda: {}["missing"])
    with pytest.raises(KeyError):
        survives(b"")


def test_the_same_seed_gives_the_same_damage():
    def drawn() -> list[bytes]:
        chance = random.Random("x")
        return [mutated(SEEDS["claude code zip"], SEEDS, chance) for _ in range(50)]

    assert drawn() == drawn()


@settings(quick, max_examples=150)
@given(content=st.binary(max_size=600) | st.text(max_size=300).map(str.encode))
def test_arbitrary_bytes(content):
    for before in (b"", b"PK\x03\x04", b"[", b'{"text": "', b"# "):
        survives(before + content)


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
    assistants.gemini_records(),
    assistants.gemini_older(),
    assistants.workspace_conversation(),
    assistants.grok_document(),
    agents.codex_document(),
]


@settings(quick, max_examples=400)
@given(
    value=st.sampled_from(VALUES),
    places=st.lists(st.integers(0, 11), max_size=9),
    put=anything,
)
def test_any_type_may_stand_in_any_field(value, places, put):
    survives(fx.to_json(replaced(value, places, put)))


LINES = [
    *fx.OWN_LINES[:2], *fx.CHAT_LINES, {"messages": fx.CHAT_LINES},
    *agents.claude_code_lines(), *agents.codex_lines(), *agents.codex_lines_before(),
]  # fmt: skip


@settings(quick, max_examples=200)
@given(
    line=st.sampled_from(LINES),
    chance_line=st.sampled_from(LINES),
    places=st.lists(st.integers(0, 11), max_size=4),
    put=anything | st.sampled_from(ODD_VALUES),
)
def test_any_type_may_stand_in_any_field_of_a_line(line, chance_line, places, put):
    survives(fx.to_lines([replaced(line, places, put), chance_line]))


marks = st.sampled_from(
    ["# ", "## a", "- ", "  - ", "* x", "1. ", "```", "~~~", "---", "===", "", " ", "**b**", "x: y",
     "tags:", "[2026-01-02] - ", "<!--", "-->", "\t", "- [ ] ", "text", "\u2028", "\x0b", "|a|"]
)  # fmt: skip


@settings(quick, max_examples=300)
@given(lines=st.lists(marks | st.text(max_size=5), max_size=25))
def test_any_lines_of_markdown(lines):
    survives("\n".join(["# start", *lines]).encode())


def test_slow_shapes_are_not_slow(monkeypatch):
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
        b'<div class="outer-cell">Gemini' * 20_000,
        b'<div class="outer-cell">Gemini<div class="content-cell">' + b"<br>" * 200_000,
        b'<div class="outer-cell">Gemini<div class="content-cell">a<br>'
        b"Mar 4, 2026, 9:31:01 AM CET<br>" + b"<" * 300_000 + b"<script>" * 50_000,
        b'{"conversations": [' + b'{"conversation": {' * 20_000,
        b'{"a": "' + b"x" * 1_000_000,
        b'{"conversations": [{"conversation": {}, "responses": [{"response": {"sender": "human",'
        b' "message": "' + b"<grok:render>" * 60_000 + b'"}}]}]}',
        b"Conversation,Time,Author,Message\n" + b'T,,Human,"\n' * 20_001,
        b"Conversation,Time,Author,Message\n" + b'T,,Human,"' + b"\n" * 400_000,
        b'{"text": "a"}' + b"\n" * 200_000,
        fx.to_lines(agents.codex_lines()) + b"\n" * 200_000,
        b'{"sessionId": "s", "type": "user", "message": {"content": "'
        + b"<skill>" * 100_000
        + b'"}}',
        b"## Personal\n[2026-01-01] - a\n" + b"[" * 300_000,
        b"## Personal\n" + b"[2026-01-01] - a\n```\n" * 20_000,
    ):
        survives(content)
