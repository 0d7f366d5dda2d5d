"""What the tests of agent state act with: a clock, a venue of each class, drawn randomness."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from haulout.errors import OutcomeUnknownError, VenueRefusedError
from haulout.state.acting import Actor
from haulout.state.intents import Entropy, Intent
from haulout.state.refs import Class, Rules
from haulout.state.state import State
from haulout.state.venue import Seen

START = 1_790_000_000_000_000  # 2026-09-21, microseconds
SECOND = 1_000_000


class Clock:
    """A clock that moves when it is told to; its `monotonic` never goes back."""

    def __init__(self, at: int = START) -> None:
        self.at, self._passed = at, 0.0

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self._passed

    def pass_by(self, seconds: float) -> None:
        """Time goes by."""
        self.at += round(seconds * SECOND)
        self._passed += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the clock: nothing else moves."""
        self.at += round(seconds * SECOND)


def drawn(seed: str) -> Entropy:
    """Bytes that follow from a seed and from how often they were drawn."""
    times = 0

    def entropy(count: int) -> bytes:
        nonlocal times
        times += 1
        return hashlib.shake_256(f"{seed}/{times}".encode()).digest(count)

    return entropy


def in_memory(clock: Clock, seed: str = "state", **arguments: Any) -> State:
    """A state in memory, the same for the same seed."""
    state = State.in_memory("bots/btc", now=clock.now, entropy=drawn(seed), **arguments)
    state.monotonic = clock.monotonic
    return state


class Desk:
    """A venue in this process that carries orders out at once, and fails when it is told to.

    Attributes:
        orders: what was accepted, in order: the truth. `sent`: every intent that arrived or not.
        script: what becomes of the next sendings: ``"ack"``, ``"before"`` (it does not arrive),
            ``"after"`` (accepted, no answer), ``"refuse"``; ``"ack"`` once it is used up.
        silent: whether it answers no question.
    """

    name = "desk"

    def __init__(self, kind: Class, clock: Clock) -> None:
        self.rules = Rules(kind, "hex", "id", settle_s=1.0)
        self.clock = clock
        self.orders: list[Seen] = []
        self.sent: list[Intent] = []
        self.script: list[str] = []
        self.silent = False
        self.hidden: set[bytes] = set()
        self.status = "done"
        self.filled: str | None = "1"
        self.while_sending: Callable[[Intent], None] = lambda _intent: None

    def submit(self, intent: Intent) -> Seen:
        self.sent.append(intent)
        self.while_sending(intent)
        step = self.script.pop(0) if self.script else "ack"
        if step == "before":
            raise OutcomeUnknownError("The connection was lost.")
        if step == "refuse":
            raise VenueRefusedError("Insufficient balance.")
        known = next((one for one in self.orders if one.intent == intent.id), None)
        kind = self.rules.kind
        if known is not None and kind == "A":
            return known
        if known is not None and (kind == "B" or (kind == "C" and known.status == "accepted")):
            raise VenueRefusedError("Duplicate order ID.")
        seen = Seen(
            intent=intent.id, ref=f"order-{len(self.orders) + 1}", status=self.status,  # pyright: ignore[reportArgumentType]
            filled=self.filled, target=intent.target, entry=intent.role == "entry",
            at=self.clock.now(), answer={"id": len(self.orders) + 1},
        )  # fmt: skip
        self.orders.append(seen)
        if step == "after":
            raise OutcomeUnknownError("No answer within 5 seconds.")
        return seen

    def _ask(self) -> None:
        if self.silent:
            raise OutcomeUnknownError("The venue does not answer.")

    def find(self, intent: Intent) -> Seen | None:
        self._ask()
        return next(
            (o for o in self.orders if o.intent == intent.id and o.intent not in self.hidden), None
        )

    def listed(self, since: int) -> Iterable[Seen]:
        self._ask()
        return [o for o in self.orders if (o.at or 0) >= since and o.intent not in self.hidden]

    def positions(self) -> Mapping[str, str]:
        self._ask()
        return {}

    def tell(self, place: int, **changes: Any) -> Seen:
        """Change an order at the venue, and tell of it."""
        self.orders[place] = msgspec.structs.replace(self.orders[place], **changes)
        return self.orders[place]


def actor(state: State, desk: Desk, **arguments: Any) -> Actor:
    """An actor whose waiting moves the desk's clock."""
    return Actor(state, desk, sleep=desk.clock.pass_by, **arguments)
