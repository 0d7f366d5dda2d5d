"""An `Actor` that also cancels and edits: what became of those shows in the order itself.

A cancel or an edit is no order: its outcome is read from the order that it changes, whatever the
venue's class. A cancel that did not arrive is sent again without harm. An edit may leave one intent
with several orders at the venue, one after another; the intent follows to the newest.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol, cast

from haulout.errors import HauloutError, OutcomeUnknownError
from haulout.integrations.venues.orders import CANCEL, EDIT, ORDER
from haulout.state.acting import Acted, Actor
from haulout.state.intents import Intent
from haulout.state.venue import Seen, Venue


class ChangingVenue(Venue, Protocol):
    """A venue whose orders can be changed.

    Attributes:
        prefix: what the targets of its own intents begin with.
    """

    prefix: str

    def changed(self, intent: Intent) -> Seen | None:
        """What became of a cancel or an edit; None where it did not do anything yet.

        Raises:
            OutcomeUnknownError: the venue does not answer.
        """
        ...


class ChangingActor(Actor):
    """Acts at a venue whose orders can be changed. Arguments as for `Actor`."""

    def resolve(self, intent: Intent, *, resend: bool = False) -> Intent:
        """As `Resolver.resolve`; a cancel or an edit is looked up in the order that it changes.

        Raises:
            OutcomeUnknownError: as there; the intent is another venue's, which has to be asked.
        """
        venue = cast("ChangingVenue", self.venue)
        if not intent.is_final and not intent.target.startswith(venue.prefix):
            message = f"Intent {intent.text} on {intent.target or 'nothing'} is not {venue.name}'s."
            raise OutcomeUnknownError(message, hint="Keep one state for each exchange and account.")
        if intent.is_final or intent.action not in {CANCEL, EDIT}:
            return super().resolve(intent, resend=resend)
        seen = venue.changed(intent)
        if seen is None:
            self._sleep(venue.rules.settle_s)
            seen = venue.changed(intent)
        if seen is not None and seen.status == "refused":
            why = "the order had ended before"
            return self.state.settle(intent, "refused", ref=seen.ref, result=seen.answer, why=why)
        if seen is not None:
            return self.note(intent, seen)
        return self.state.settle(intent, "absent", why="the order stands as it was, twice looked")

    def _look(self, intent: Intent) -> Seen | None:
        # Also of class D where orders are found by our ID: finding it proves that it happened.
        found = self.venue.find(intent) if self.venue.rules.kind == "D" else None
        return found or super()._look(intent)

    def follow(self, acted: Acted, ref: str) -> None:
        """Take in what a cancel or an edit did to the order that it changed.

        Args:
            acted: what the change came to; ref: the venue's ID of the order before it.
        """
        # What cannot be learnt or written now is learnt by the next recovery.
        with suppress(HauloutError):
            changed = next(
                (
                    one
                    for one in self.state.open_intents()
                    if one.action == ORDER and one.ref == ref and one.status == "accepted"
                ),
                None,
            )
            if changed is None:
                return
            if acted.intent.action == EDIT and acted.intent.ref not in {None, ref}:
                changed = self.state.settle(changed, "accepted", ref=acted.intent.ref)
            self.resolve(changed)

    def refresh(self) -> list[Intent]:
        """Ask after every order that is open or unsettled; what each came to.

        What the venue does not tell stays as it is.
        """
        found: list[Intent] = []
        for one in self.state.open_intents():
            try:
                found.append(self.resolve(one))
            except OutcomeUnknownError:
                found.append(one)
        return found
