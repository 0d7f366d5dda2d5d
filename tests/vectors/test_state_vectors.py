"""The vectors of docs/spec/state.md, run through the package and through a second reader."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state.programs import PROGRAMS, Run, Step
from vectors import make_state, plainly_state

from haulout.errors import DamagedError, VaultVersionError
from haulout.state.book import Book
from haulout.state.events import decode_event, encode_event
from haulout.state.refs import VENUES, read, write
from haulout.state.tape import MemoryTape

FOUND = json.loads((Path(__file__).parent / "state.json").read_text("utf-8"))
ERRORS = {"damaged": DamagedError, "version": VaultVersionError}


def cases(name: str) -> Any:
    found = FOUND[name]
    return pytest.mark.parametrize("case", found, ids=[one.get("name", "") for one in found])


def test_the_file_is_what_make_state_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert make_state.main(["--check"]) == 0, capsys.readouterr().out


@cases("accept")
def test_an_event_has_one_form(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"])
    event = decode_event(data)
    assert encode_event(event) == data
    assert [event.kind, event.at, event.epoch, event.body] == plainly_state.read(data)
    assert (event.kind, event.at, event.epoch) == (case["kind"], case["at"], case["epoch"])


@cases("reject")
def test_anything_else_is_none(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"])
    assert case["reason"]
    with pytest.raises(ERRORS[case["error"]]):
        decode_event(data)
    with pytest.raises(plainly_state.No) as no:
        plainly_state.read(data)
    assert no.value.what == case["error"]


@cases("fold")
def test_events_add_up_to_the_same_in_both(case: dict[str, Any]) -> None:
    book, desk = Book(), plainly_state.Desk()
    for number, data in enumerate(map(bytes.fromhex, case["events"]), 1):
        book.fold(number, decode_event(data))
        desk.take(*plainly_state.read(data))
    agree(book, desk, case["at"])
    assert {
        one.hex(): desk.status[one.hex()] for one in map(bytes.fromhex, case["status"])
    } == case["status"]
    assert {name: desk.used(name, case["at"]) for name in case["used"]} == {
        name: Fraction(used) for name, used in case["used"].items()
    }
    assert desk.limits() == {name: Fraction(most) for name, most in case["most"].items()}
    for name, spent in case["spent"].items():
        assert desk.spent[name] == {unit: Fraction(one) for unit, one in spent.items()}
    assert desk.halted == case["halted"] == book.halted


def agree(book: Book, desk: plainly_state.Desk, at: int) -> None:
    found = {one.id.hex(): one.status for one in [*book.recent, *book.intents.values()]}
    assert found == desk.status
    assert {one.name: Fraction(one.most) for one in book.in_force()} == desk.limits()
    for one in book.in_force():
        assert Fraction(str(book.used(one, at))) == desk.used(one.name, at), one.name


@given(PROGRAMS, st.integers(0, 10))
@settings(max_examples=100, deadline=None)
def test_whatever_an_agent_does_adds_up_to_the_same_in_both(steps: list[Step], hours: int) -> None:
    tape, desk = MemoryTape("bots/btc"), plainly_state.Desk()
    run = Run(tape)
    run.all(steps)
    for _, event in tape.history():
        data = encode_event(event)
        desk.take(*plainly_state.read(data))
    agree(tape.read(lambda book, _past: book), desk, run.clock.at + hours * 3_600_000_000)


@given(st.binary(max_size=60) | st.builds(
    lambda kind, body: cbor2.dumps([1, kind, 5, 0, body], canonical=True),
    st.integers(0, 11),
    st.dictionaries(
        st.sampled_from(["id", "status", "value", "journal", "amount", "unit", "action", "tag"]),
        st.sampled_from(["done", "1", "1.0", bytes(16), bytes(4), 1, None, "pause", "x"]),
    ),
))  # fmt: skip
def test_fuzz_both_readers_accept_the_same_bytes(data: bytes) -> None:
    try:
        ours: Any = list(decode_event(data))
    except (DamagedError, VaultVersionError):
        ours = None
    try:
        plain: Any = plainly_state.read(data)
    except plainly_state.No:
        plain = None
    assert ours == plain or (ours is not None and ours[0] not in plainly_state.KINDS)


@cases("refs")
def test_an_id_is_written_for_a_venue_as_its_rules_say(case: dict[str, Any]) -> None:
    rules, intent = VENUES[case["venue"]], bytes.fromhex(case["intent"])
    assert write(intent, rules.code, rules.prefix) == case["text"]
    assert read(case["text"], rules.code, rules.prefix) == intent
