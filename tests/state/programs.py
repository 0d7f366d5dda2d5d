"""Random programs of what an agent and its owner do to a state, run on any tape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st
from state.desk import Clock, drawn

from haulout.errors import HauloutError
from haulout.state.book import Book, opened
from haulout.state.leases import HeldLease
from haulout.state.state import State
from haulout.state.tape import Numbered, Tape

AMOUNTS = st.sampled_from(["0", "1", "2.5", "40", "100", "0.000000000000000001", "9" * 30])
UNITS = st.sampled_from(["usd", "btc"])
TARGETS = st.sampled_from(["", "desk/BTC", "desk/ETH"])
KEYS = st.none() | st.sampled_from(["signal-1", "signal-2"])
COSTS = st.dictionaries(UNITS, AMOUNTS, max_size=2)
WHICH = st.integers(0, 7)
STATUSES = st.sampled_from(
    ["accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done"]
)
LIMITS = st.sampled_from(["usd/held", "usd/day", "btc/60", "btc/held", "usd/604800"])

Step = tuple[Any, ...]

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("reserve"), KEYS, st.sampled_from(["entry", "exit"]), TARGETS, COSTS,
              st.lists(WHICH, max_size=2)),
    st.tuples(st.just("reserve"), KEYS, st.just("entry"), TARGETS, COSTS, st.just([])),
    st.tuples(st.just("settle"), WHICH, STATUSES, st.none() | AMOUNTS, COSTS, st.booleans()),
    st.tuples(st.just("settle"), WHICH, STATUSES, st.none() | AMOUNTS, COSTS, st.just(value=True)),
    st.tuples(st.just("again"), WHICH),
    st.tuples(st.just("adopt"), WHICH, STATUSES),
    st.tuples(st.just("close"), WHICH),
    st.tuples(st.just("limit"), LIMITS, st.none() | AMOUNTS, st.booleans()),
    st.tuples(st.just("charge"), UNITS, AMOUNTS),
    st.tuples(st.sampled_from(["pause", "flatten", "resume"])),
    st.tuples(st.just("document"), st.sampled_from(["a", "b"]), st.integers(0, 9),
              st.none() | st.integers(0, 3)),
    st.tuples(st.just("delete"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("change"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("note"), st.sampled_from(["x", "y"]), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("lease"), st.sampled_from(["one", "two"]), st.sampled_from([5, 60])),
    st.tuples(st.sampled_from(["renew", "release"])),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 10.0, 4000.0, 90_000.0])),
    st.tuples(st.just("step"), st.sampled_from([-100_000.0, -5.0, 5.0, 900_000.0])),
)  # fmt: skip
PROGRAMS = st.lists(STEPS, min_size=1, max_size=40)


class Run:
    """A program under way on a tape, the same on every tape for the same steps."""

    def __init__(self, tape: Tape, seed: str = "program", clock: Clock | None = None) -> None:
        self.clock = Clock() if clock is None else clock
        self.state = State(
            tape, now=self.clock.now, entropy=drawn(seed), monotonic=self.clock.monotonic
        )
        self.ids: list[bytes] = []
        self.held: HeldLease | None = None

    def all(self, steps: Sequence[Step]) -> list[Any]:
        """Every answer, or the error in its place."""
        return [self.one(step) for step in steps]

    def one(self, step: Step) -> Any:
        try:
            found = self._do(*step)
        except HauloutError as error:
            return type(error).__name__, error.message
        return msgspec.to_builtins(found) if isinstance(found, msgspec.Struct) else found

    def _id(self, which: int) -> bytes:
        return self.ids[which % len(self.ids)] if self.ids else bytes(16)

    def _do(self, what: str, *given: Any) -> Any:  # noqa: PLR0911, PLR0912 - a line each
        state = self.state
        match what:
            case "reserve":
                key, role, target, cost, closes = given
                found = state.reserve(
                    "order", {"n": 1}, key=key, role=role, target=target, cost=cost,
                    holds=sorted(cost)[:1], closes=[self._id(one) for one in closes],
                )  # fmt: skip
                self.ids.append(found.intent.id)
                return found.intent, found.fresh
            case "settle":
                which, status, filled, spent, wait = given
                return state.settle(
                    self._id(which), status, filled=filled, spent=spent, ref="r", wait=wait
                )
            case "again":
                return state.send_again(state.intent(self._id(given[0])))
            case "adopt":
                intent = msgspec.structs.replace(
                    state.intent(self._id(given[0])), adopted=True, status="reserved"
                )
                return state.adopt(intent, {"status": given[1], "filled": "1"})
            case "close":
                return state.close_held(self._id(given[0]))
            case "limit":
                return state.limit(given[0], given[1], by_owner=given[2])
            case "charge":
                return state.charge(given[0], given[1], why="a loss")
            case "document":
                return state.document(given[0]).set({"n": given[1]}, expected=given[2])
            case "delete":
                return state.document(given[0]).delete()
            case "change":
                document = state.document(given[0])
                return document.change(lambda old: {"n": (old or {"n": 0})["n"] + 1})
            case "note":
                journal = state.journal(given[0], lambda total, note: total + note, 0, every=5)
                journal.note(given[1], wait=given[2])
                return journal.value if given[2] else None
            case "lease":
                self.held = state.lease(given[0], given[1])
                return self.held.epoch
            case "renew" | "release":
                return getattr(self.held, what)() if self.held else None
            case "pass":
                return self.clock.pass_by(given[0])
            case "step":
                return self.clock.step(given[0])
            case _:
                return getattr(state, what)()

    def shown(self) -> Any:
        """What the state says of itself, by itself."""
        state = self.state
        return (
            [one.id for one in state.open_intents()],
            state.halted,
            [(name, state.document(name).get()) for name in ("a", "b")],
            [state.journal(name, lambda t, n: t + n, 0).value for name in ("x", "y")],
            [state.intent(one).status for one in self.ids],
            state.tape.read(
                lambda book, _past: [
                    (one.name, str(book.used(one, self.clock.at))) for one in book.in_force()
                ]
            ),
        )


def renumbered(events: Sequence[Numbered]) -> list[Numbered]:
    """The events with numbers from 1: a lane's are shared with its other states."""
    return [Numbered(place, one.event) for place, one in enumerate(events, 1)]


def book_of(events: Sequence[Numbered], start: bytes | None = None) -> Book:
    """The fold of events, going on from a snapshot where one is given."""
    book = Book() if start is None else opened(start)
    assert book is not None
    for number, event in events:
        if number > book.through:
            book.fold(number, event)
    return book


def plain(value: Any) -> str:
    """A value as text, for a comparison that shows where it differs."""
    return json.dumps(value, default=str, sort_keys=True, indent=1)
