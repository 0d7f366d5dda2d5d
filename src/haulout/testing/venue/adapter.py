"""`haulout.state.venue.Venue` over a wire: what an agent's side of both fronts has in common.

Intents of three actions are understood: ``order`` with the payload ``symbol``, ``side``,
``amount`` and, where wanted, ``type``, ``price`` and ``stop``; ``cancel`` with ``order``, the
venue's ID or ``client:`` and the client's; ``replace`` with both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from haulout.errors import InputError, OutcomeUnknownError, VenueRefusedError
from haulout.state import refs
from haulout.state.intents import Intent
from haulout.state.refs import Rules
from haulout.state.venue import Seen
from haulout.testing.venue.orders import Refusal, Wanted
from haulout.testing.venue.shown import Listing, Shown, seen


class Wire(Protocol):
    """Calls to a venue; each raises `OutcomeUnknownError` where no answer came, or `Refusal`."""

    def place(self, wanted: Wanted) -> Shown:
        """Send an order, once."""
        ...

    def cancel(self, name: str) -> Shown:
        """Take an order back."""
        ...

    def replace(self, name: str, wanted: Wanted) -> Shown:
        """Put an order in another's place."""
        ...

    def get(self, name: str) -> Shown | None:
        """An order, or None where none is shown."""
        ...

    def orders(self, since: int) -> Listing:
        """What is open, and what changed since."""
        ...

    def positions(self) -> Mapping[str, str]:
        """What is held."""
        ...


class Adapter:
    """A venue behind a wire.

    Args:
        wire: how it is reached; rules: what it does with a client's ID; name: for messages.
    """

    def __init__(self, wire: Wire, rules: Rules, name: str = "loopback") -> None:
        self._wire, self.rules, self.name = wire, rules, name

    def submit(self, intent: Intent) -> Seen:
        """Send an intent's action, once.

        Raises:
            VenueRefusedError: it was refused for good; OutcomeUnknownError: nobody knows, as
            when the venue has an order of this ID already.
        """
        content = intent.content()
        try:
            if intent.action == "cancel":
                return self._ended(intent, self._wire.cancel(content["order"]))
            if intent.action == "replace":
                return self._seen(self._wire.replace(content["order"], self.wanted(intent)))
            if intent.action != "order":
                raise InputError(f"The venue knows no action {intent.action!r}.")
            return self._seen(self._wire.place(self.wanted(intent)))
        except Refusal as refusal:
            if refusal.reason == "duplicate":
                message = f"{self.name} has an order of intent {intent.text} already."
                raise OutcomeUnknownError(message) from refusal
            message = f"{self.name} refused {intent.action}: {refusal.words}."
            raise VenueRefusedError(message) from refusal

    def wanted(self, intent: Intent) -> Wanted:
        """The order that an intent's payload describes."""
        content: dict[str, Any] = intent.content()
        return Wanted(
            symbol=content["symbol"], side=content["side"], type=content.get("type", "market"),
            amount=Decimal(content["amount"]), price=_number(content.get("price")),
            stop=_number(content.get("stop")), client=self.client_id(intent), key=intent.key,
            entry=intent.role == "entry",
        )  # fmt: skip

    def client_id(self, intent: Intent) -> str:
        """An intent's ID as this venue takes it."""
        return refs.write(intent.id, self.rules.code, self.rules.prefix)

    def find(self, intent: Intent) -> Seen | None:
        """An action by its intent's ID; a cancellation by the order that it was to end.

        Raises:
            OutcomeUnknownError: the venue does not answer.
        """
        if intent.action == "cancel":
            return self._took_back(intent, intent.content()["order"])
        found = self._wire.get("client:" + self.client_id(intent))
        return None if found is None else self._seen(found)

    def listed(self, since: int) -> Iterable[Seen]:
        """Everything open, and what changed since then (microseconds).

        Raises:
            OutcomeUnknownError: the venue does not answer, or its history begins later.
        """
        listing = self._wire.orders(since)
        if listing.complete_since > max(since, 0):
            message = f"The history of {self.name} begins after what is asked for."
            raise OutcomeUnknownError(message)
        return [self._seen(one) for one in listing.orders]

    def positions(self) -> Mapping[str, str]:
        """What is held, by symbol.

        Raises:
            OutcomeUnknownError: the venue does not answer.
        """
        return self._wire.positions()

    def _seen(self, one: Shown) -> Seen:
        return seen(one, self.rules)

    def _took_back(self, intent: Intent, name: str) -> Seen | None:
        order = self._wire.get(name)
        if order is None or order.status == "open":
            return None  # the cancellation has not been there, or is not shown yet
        return self._ended(intent, order)

    def _ended(self, intent: Intent, order: Shown) -> Seen:
        return Seen(
            intent=intent.id, ref=order.id, target=order.symbol, entry=False,
            status="done" if order.status == "cancelled" else "refused",
            answer=msgspec.to_builtins(order),
        )  # fmt: skip


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
