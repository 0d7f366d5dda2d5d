"""Intents: an action written down before it is done, and what became of it.

Pure. An ID has 16 bytes: the state's tag (4), the low 16 bits of the lease's epoch (2), and
10 random ones. It comes from the intent alone, never from time or parameters: two legitimate
actions may have the same parameters, and one may be sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from haulout.state.events import INTENT_BYTES, TAG_BYTES

Entropy = Callable[[int], bytes]
"""So many random bytes."""
Role = Literal["entry", "exit"]
"""An entry costs or risks something: limits bind it, and in doubt it is refused. An exit takes
risk away: no limit binds it, and in doubt it is sent."""
Status = Literal[
    "reserved", "accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done"
]
Outcome = Literal["accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done"]
"""What may become of an intent."""

FINAL: Final = frozenset({"refused", "dropped", "cancelled", "done"})
UNSETTLED: Final = frozenset({"reserved", "unknown"})
"""Nobody knows whether it was done: after a crash a reserved one is as unknown as the other."""
NEXT: Final[Mapping[str, frozenset[str]]] = {
    "reserved": frozenset(
        {"accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done"}
    ),
    "unknown": frozenset(
        {"accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done"}
    ),
    "absent": frozenset(
        {"accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done"}
    ),
    "accepted": frozenset({"accepted", "cancelled", "done"}),
}
"""Which status may follow which; a final one is followed by none."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """An action, as far as the journal knows it.

    Attributes:
        id: 16 bytes; key: what decided it, such as a signal's ID: one key acts once.
        action: what is done, such as ``order`` or ``send email``; role: see `Role`.
        target: on what, such as ``binance/main/BTC-USDT``; payload: what is sent, frozen.
        cost: amounts by unit; holds: those that stay held once it is done.
        closes: intents whose held costs are given back once this one is done.
        at: when it was written, microseconds by the agent's clock; epoch: under which lease.
        status: see `Status`; ref: the venue's own ID; filled: how much of it was done.
        spent: what it cost in the end; result: the venue's answer; why: in words.
        adopted: found at the venue, and written down afterwards.
        by: the app that began it; empty for the agent whose state it is.
    """

    id: bytes
    key: str | None = None
    action: str
    role: Role
    target: str = ""
    payload: str = "null"
    cost: dict[str, str] = {}
    holds: tuple[str, ...] = ()
    closes: tuple[bytes, ...] = ()
    at: int
    epoch: int = 0
    status: Status = "reserved"
    ref: str | None = None
    filled: str | None = None
    spent: dict[str, str] = {}
    result: str | None = None
    why: str = ""
    adopted: bool = False
    by: str = ""

    @property
    def text(self) -> str:
        """The ID as 32 hexadecimal digits."""
        return self.id.hex()

    @property
    def is_final(self) -> bool:
        """Whether nothing more can become of it."""
        return self.status in FINAL

    @property
    def is_unsettled(self) -> bool:
        """Whether it may have been done, and nobody knows."""
        return self.status in UNSETTLED

    def content(self) -> Any:
        """What is sent, as it was given."""
        return msgspec.json.decode(self.payload)

    def answer(self) -> Any:
        """What came back, or None."""
        return None if self.result is None else msgspec.json.decode(self.result)

    def body(self) -> dict[str, Any]:
        """The fields of the event that writes it down."""
        found: dict[str, Any] = {
            "id": self.id, "action": self.action, "role": self.role, "payload": self.payload,
        }  # fmt: skip
        if self.key is not None:
            found["key"] = self.key
        if self.target:
            found["target"] = self.target
        if self.cost:
            found["cost"] = dict(self.cost)
        if self.holds:
            found["holds"] = list(self.holds)
        if self.closes:
            found["closes"] = list(self.closes)
        if self.adopted:
            found["adopted"] = True
        if self.by:
            found["by"] = self.by
        return found

    def says_the_same(self, other: Intent) -> bool:
        """Whether both are the same action, so that one key may stand for both."""
        return self._asked() == other._asked()

    def _asked(self) -> tuple[Any, ...]:
        return (
            self.action, self.role, self.target, self.payload, self.cost, set(self.holds),
            set(self.closes),
        )  # fmt: skip


def mint(tag: bytes, epoch: int, entropy: Entropy) -> bytes:
    """A new intent's ID."""
    assert len(tag) == TAG_BYTES
    return tag + (epoch & 0xFFFF).to_bytes(2, "big") + entropy(INTENT_BYTES - TAG_BYTES - 2)


def tag_of(intent: bytes) -> bytes:
    """The tag of the state that minted an ID."""
    return intent[:TAG_BYTES]


def epoch_of(intent: bytes) -> int:
    """The low 16 bits of the epoch under which an ID was minted."""
    return int.from_bytes(intent[TAG_BYTES : TAG_BYTES + 2], "big")


def grown(before: str | None, now: str | None) -> str | None:
    """The larger of two amounts filled: reports come twice, late and out of order."""
    if before is None or now is None:
        return now if before is None else before
    return now if Decimal(now) > Decimal(before) else before
