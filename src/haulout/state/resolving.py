"""What became of an action whose outcome nobody knows: looked up before anything is sent again.

By the venue's class (docs/spec/state.md, "Order of an action"): A answers a second sending with the
first order, B and C are asked by ID and by what they list, twice, with the settling time between,
D is read through and matched, or left to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from haulout.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    OutcomeUnknownError,
    VenueRefusedError,
)
from haulout.state.events import amount, json_text
from haulout.state.intents import Intent, Outcome
from haulout.state.secrets import redacted
from haulout.state.venue import Seen

if TYPE_CHECKING:
    from haulout.state.state import State
    from haulout.state.venue import Venue

_BEFORE_US: Final = 3_600_000_000
"""Orders are read from an hour before their intent: this machine's clock may have been ahead. What
is read besides costs time, and what is not read would be taken for absent, and sent again."""
_REPLAY_US: Final = 900_000_000
"""A second sending asks what became of the first for a quarter of an hour: no venue of class A says
for how long it answers with the first, and after that it is a new order."""
_TARGET: Final = 60


class Resolver:
    """Looks actions up at a venue and settles them.

    Args:
        state: the journal; venue: who carries actions out.
        sleep: waits so many seconds; a backtest's moves its clock instead.
    """

    def __init__(self, state: State, venue: Venue, sleep: Callable[[float], None]) -> None:
        self.state, self.venue, self._sleep = state, venue, sleep

    # ------------------------------------------------------------------ what a venue tells

    def note(self, intent: Intent, seen: Seen) -> Intent:
        """Settle an intent as the venue tells of it.

        It was carried out, or not: nothing in the venue's answer may keep that from being
        written down. What is no amount, no JSON or a secret in it is left out.

        Raises:
            StorageError, VaultClosedError: it is not kept.
        """
        status: Outcome = seen.status
        if status == "refused" and intent.status == "accepted":
            status = "cancelled"  # taken first, and turned away then: what was filled counts
        found = _told(seen)
        try:
            return self.state.settle(
                intent, status, ref=seen.ref, filled=found.filled, spent=found.spent,
                result=found.answer,
            )  # fmt: skip
        except ConflictError:
            return self._other_end(self.state.intent(intent.id), found)

    def _other_end(self, known: Intent, seen: Seen) -> Intent:
        """The venue tells otherwise than the journal, in which the intent has ended."""
        if seen.status == "refused" or known.status not in {"dropped", "refused", "cancelled"}:
            return known
        if known.status != "cancelled":
            return self.adopt(seen, known)  # it was given up for lost, and is there after all
        if seen.status != "done":
            return known
        spent = {**known.cost, **seen.spent}  # filled before the cancelling arrived
        return self.state.settle(known, "cancelled", filled=seen.filled, spent=spent)

    def adopt(self, seen: Seen, known: Intent | None = None) -> Intent:
        """Write down what the venue has of this state, and the journal lacks or gave up for lost.

        Args:
            seen: as the venue tells of it; known: what the journal has.
        """
        assert seen.intent is not None
        found = _told(seen)
        now = self.state.now()
        if known is not None:
            intent = msgspec.structs.replace(known, adopted=True, status="reserved")
        else:
            intent = Intent(
                id=seen.intent, action="order", role="entry" if seen.entry else "exit",
                target=found.target, at=now if seen.at is None else min(max(seen.at, 0), now),
                payload=json_text(found.answer, "The venue's answer"), cost=dict(found.spent),
                adopted=True,
            )  # fmt: skip
        body: dict[str, Any] = {"status": seen.status, "ref": str(seen.ref)[:255]}
        if found.filled is not None:
            body["filled"] = found.filled
        if found.spent:
            body["spent"] = dict(found.spent)
        return self.state.adopt(intent, body)

    def observe(self, seen: Seen) -> Intent | None:
        """Take in what a venue tells by itself, such as a fill; None where it is none of ours.

        Twice, late and out of order change nothing: what is filled only grows, and an intent
        that ended is opened again only where it was given up for lost. What the journal has not
        is adopted.
        """
        if seen.intent is None or seen.intent[: len(self.state.tag())] != self.state.tag():
            return None
        try:
            known = self.state.intent(seen.intent)
        except NotFoundError:
            return self.adopt(seen)
        if known.status == "accepted" and seen.status == "refused":
            return known
        return self.note(known, seen)

    # ------------------------------------------------------------------ asking a venue

    def resolve(self, intent: Intent, *, resend: bool = False) -> Intent:
        """Find out what became of an intent, and settle it.

        Args:
            intent: an unsettled one, or one that the venue has accepted.
            resend: whether the same may be sent again in order to learn it. That is done in
                class A alone, soon after, and while the agent may send it.

        Returns:
            The intent as it stands; ``absent`` where it is proven not to have arrived.

        Raises:
            OutcomeUnknownError: the venue does not answer, or cannot tell; or another thread is
                sending it.
        """
        if intent.is_final:
            return intent
        with self.state.tape.sending.turn(intent.id) as ours:
            if not ours:
                raise elsewhere(intent)
            if resend and self._may_replay(intent):
                try:
                    return self.note(intent, self.venue.submit(intent))
                except VenueRefusedError:
                    pass  # of the second sending: what became of the first is looked up
            return self._looked_up(intent)

    def _may_replay(self, intent: Intent) -> bool:
        """Whether sending again is the way to ask: the venue answers with the first, for a time."""
        now = self.state.now()
        return (
            self.venue.rules.kind == "A"
            and intent.is_unsettled
            and abs(now - intent.at) <= _REPLAY_US
            and self.state.may_send
            and not self.state.forbidden(intent)
        )

    def _looked_up(self, intent: Intent) -> Intent:
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
        found = None if self.venue.rules.kind == "D" else self.venue.find(intent)
        if found is None:  # a look-up by ID may fail for what a list shows
            since = max(min(intent.at, self.state.now()) - _BEFORE_US, 0)
            found = next((s for s in self.venue.listed(since) if s.intent == intent.id), None)
        return found


def elsewhere(intent: Intent) -> OutcomeUnknownError:
    """What is raised where another thread is sending an intent."""
    message = f"Another thread is sending intent {intent.text}."
    return OutcomeUnknownError(message, hint="Ask again once it is done.")


def _told(seen: Seen) -> Seen:
    """What a venue told, without what cannot be kept."""
    answer = redacted(seen.answer)
    try:
        json_text(answer, "The answer")
    except InputError:  # no JSON, or too long
        answer = None
    filled = None if seen.filled is None else _amount(seen.filled)
    told = {str(unit): _amount(one) for unit, one in seen.spent.items()}
    spent = {unit: one for unit, one in told.items() if one is not None}
    target = "".join(letter for letter in seen.target if letter.isprintable())[:_TARGET]
    return msgspec.structs.replace(seen, answer=answer, filled=filled, spent=spent, target=target)


def _amount(value: Any) -> str | None:
    try:
        return amount(value)
    except InputError:
        return None
