"""What an actor needs of whoever carries actions out: a venue, a mail server, a payment service.

An adapter translates its library's answers: a refusal for good is a `VenueRefusedError`; a
timeout, a lost connection, a 5xx or an answer that cannot be read is an `OutcomeUnknownError`,
whatever the library calls it. An error is never "not done".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from haulout.state.intents import Intent
from haulout.state.refs import Rules

SeenStatus = Literal["accepted", "done", "cancelled", "refused"]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An action as the venue tells of it.

    Attributes:
        intent: the intent's ID, where the venue gives it back; ref: the venue's own ID.
        status: accepted is open there; filled: how much of it is done, decimal text.
        spent: what it cost, by unit, where that is known; target: on what.
        entry: whether it adds risk, where that can be told; at: when, microseconds.
        answer: the venue's own words, as JSON's kinds of values.
    """

    intent: bytes | None = None
    ref: str
    status: SeenStatus
    filled: str | None = None
    spent: dict[str, str] = {}
    target: str = ""
    entry: bool = True
    at: int | None = None
    answer: Any = None


class Venue(Protocol):
    """Carries actions out, once each if it can; says what it has of them."""

    name: str
    rules: Rules

    def submit(self, intent: Intent) -> Seen:
        """Send an action, with the intent's ID in it. It is sent once: no retries inside.

        Raises:
            VenueRefusedError: it was refused for good; OutcomeUnknownError: nobody knows.
        """
        ...

    def find(self, intent: Intent) -> Seen | None:
        """An action by its intent's ID, or None where the venue shows none.

        Raises:
            OutcomeUnknownError: it does not answer, or answers nonsense.
        """
        ...

    def listed(self, since: int) -> Iterable[Seen]:
        """What the venue shows: all that is open, and what was done since (microseconds).

        Raises:
            OutcomeUnknownError: it does not answer.
        """
        ...

    def positions(self) -> Mapping[str, str]:
        """What is held, by target, decimal text; a venue without positions has none.

        Raises:
            OutcomeUnknownError: it does not answer.
        """
        ...
