"""What became of an action whose outcome nobody knows: looked up before anything is sent again.

By the venue's class (docs/spec/state.md, "Order of an action"): A answers a second sending with the
first order, B and C are asked by ID, twice, with the settling time between, and C by its fills as
well, D is read through and matched, or left to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from haulout.errors import OutcomeUnknownError, VenueRefusedError
from haulout.state.intents import Intent

if TYPE_CHECKING:
    from haulout.state.state import State
    from haulout.state.venue import Seen, Venue

_BEFORE_US = 60_000_000
"""Orders are read from a minute before their intent: the venue's clock may be behind."""


class Resolver:
    """Looks actions up at a venue and settles them.

    Args:
        state: the journal; venue: who carries actions out.
        sleep: waits so many seconds; a backtest's moves its clock instead.
    """

    def __init__(self, state: State, venue: Venue, sleep: Callable[[float], None]) -> None:
        self.state, self.venue, self._sleep = state, venue, sleep

    def note(self, intent: Intent, seen: Seen) -> Intent:
        """Settle an intent as the venue tells of it."""
        return self.state.settle(
            intent, seen.status, ref=seen.ref, filled=seen.filled, spent=seen.spent,
            result=seen.answer,
        )  # fmt: skip

    def observe(self, seen: Seen) -> Intent | None:
        """Take in what a venue tells by itself, such as a fill; None where it is none of ours.

        Twice, late and out of order change nothing: what is filled only grows, and an intent
        that ended is not opened again.
        """
        if seen.intent is None or seen.intent[: len(self.state.tag())] != self.state.tag():
            return None
        known = self.state.intent(seen.intent)
        if known.is_final or (known.status == "accepted" and seen.status == "refused"):
            return known
        return self.note(known, seen)

    def resolve(self, intent: Intent, *, resend: bool = False) -> Intent:
        """Find out what became of an intent, and settle it.

        Args:
            intent: an unsettled one, or one that the venue has accepted.
            resend: whether the same may be sent again in order to learn it (class A).

        Returns:
            The intent as it stands; ``absent`` where it is proven not to have arrived.

        Raises:
            OutcomeUnknownError: the venue does not answer, or cannot tell.
        """
        if intent.is_final:
            return intent
        if self.venue.rules.kind == "A" and resend and intent.is_unsettled:
            try:
                return self.note(intent, self.venue.submit(intent))
            except VenueRefusedError as error:
                return self.state.settle(intent, "refused", why=error.message)
        seen = self._look(intent)
        if seen is None:
            self._sleep(self.venue.rules.settle_s)
            seen = self._look(intent)
        if seen is not None:
            return self.note(intent, seen)
        if self.venue.rules.kind == "D" or intent.status == "accepted":
            message = f"{self.venue.name} does not show intent {intent.text}, which proves nothing."
            raise OutcomeUnknownError(
                message, hint="Look at the account, then `haulout state resolve`."
            )
        return self.state.settle(intent, "absent", why="not found, and not found again")

    def _look(self, intent: Intent) -> Seen | None:
        kind = self.venue.rules.kind
        found = None if kind == "D" else self.venue.find(intent)
        if found is None and kind != "B":
            since = intent.at - _BEFORE_US
            found = next((s for s in self.venue.listed(since) if s.intent == intent.id), None)
        return found
