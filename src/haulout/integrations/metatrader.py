"""MetaTrader 5's Python module, so that no order is sent twice. UNTESTED ON A TERMINAL.

    import MetaTrader5
    from haulout import Vault
    from haulout.integrations.metatrader import guard

    MetaTrader5.initialize()
    mt5 = guard(MetaTrader5, Vault.open().state("bots/ea"), magic=77001)
    print(mt5.recover().text())                         # before the first order
    mt5.order_send({"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", ...})

The module exists for Windows alone, so what is here was tested against `haulout.testing.terminal`,
which is written from its documentation. A terminal takes no ID of a client's: an order carries
the strategy's magic number and, in its comment of 31 characters, the intent's ID. A broker may
write over comments. Then an order whose answer was lost is found by nothing, and stays unknown
until a person looks: it is never sent again by itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple, cast

from haulout.errors import InputError, OutcomeUnknownError, VenueRefusedError
from haulout.state.acting import Actor
from haulout.state.events import amount
from haulout.state.intents import Intent, Role
from haulout.state.recovery import Recovery
from haulout.state.refs import VENUES, Rules, read, write
from haulout.state.state import State
from haulout.state.venue import Seen, SeenStatus

__all__ = ["GuardedTerminal", "SendResult", "Terminal", "guard"]

COMMENT_LENGTH: Final = 31
"""Characters of a comment, by what terminals show; not documented."""
_DEAL, _PENDING, _SLTP, _MODIFY, _REMOVE, _CLOSE_BY = 1, 5, 6, 7, 8, 10
_CHANGES: Final = frozenset({_SLTP, _MODIFY, _REMOVE, _CLOSE_BY})
"""Actions that change what is there: no order of theirs carries a comment."""
_PLACED, _DONE, _DONE_PARTIAL, _NO_CHANGES = 10008, 10009, 10010, 10025
_REFUSED: Final = frozenset(
    {
        10004, 10006, 10007, 10013, 10014, 10015, 10016, 10017, 10018, 10019, 10020, 10021, 10022,
        10023, 10024, 10026, 10027, 10029, 10030, 10032, 10033, 10034, 10035, 10036, 10038, 10039,
        10040, 10041, 10042, 10043, 10044, 10045, 10046,
    }
)  # fmt: skip
"""TRADE_RETCODE_* that say that nothing happened. Not among them, since they say nothing of it:
10011 (processing error), 10012 (timeout), 10028 (locked), 10031 (no connection), and any other."""
_NOT_SENT: Final = frozenset({-2, -6, -7, -8})
"""last_error() where the module refused before it sent: parameters, rights, trading disabled."""
_ORDER_STATES: Final[Mapping[int, SeenStatus]] = {
    2: "cancelled", 4: "done", 5: "refused", 6: "cancelled",
}  # fmt: skip
"""ORDER_STATE_* that are final; every other is open."""
_OUT: Final = frozenset({1, 3})
"""DEAL_ENTRY_OUT and DEAL_ENTRY_OUT_BY."""
_SELLS: Final = 1
_MARGIN: Final = timedelta(days=1)
"""History is asked for a day more on both sides: a terminal's times are its server's, which is
some hours from UTC, and nothing tells how many."""
_APPLIED_US: Final = 60_000_000
"""A change that does not show a minute after it was sent was not made."""
_US: Final = 1_000_000
_ID: Final = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]{22}(?![0-9A-Za-z])")
_ERRORS: Final = (OSError, RuntimeError, SystemError)


class SendResult(NamedTuple):
    """What `order_send` answers where nothing was sent now: MqlTradeResult, from the journal."""

    retcode: int
    deal: int = 0
    order: int = 0
    volume: float = 0.0
    price: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    comment: str = ""
    request_id: int = 0
    retcode_external: int = 0
    request: Any = None


class Terminal:
    """A terminal as a venue of class D.

    Args:
        module: MetaTrader5, or what behaves like it.
        magic: the strategy's number; orders with another are not looked at.
        now: microseconds since 1970 UTC.
        open_intents: of the journal: orders whose comment was written over are known by their
            ticket, and changes by what they wanted.
    """

    def __init__(
        self,
        module: Any,
        magic: int,
        *,
        now: Callable[[], int],
        open_intents: Callable[[], Iterable[Intent]] = tuple,
        rules: Rules = VENUES["metatrader5"],
    ) -> None:
        if not 0 < magic < 2**63:
            message = f"A magic number is from 1 to 2^63 - 1, not {magic}."
            raise InputError(message)
        self.name, self.rules, self.magic = "metatrader5", rules, magic
        self._module, self._now, self._open_intents = module, now, open_intents
        self.answers: dict[bytes, Any] = {}
        """The module's own answers, by intent, until the guard takes them."""

    # ------------------------------------------------------------------ sending

    def request_of(self, intent: Intent) -> dict[str, Any]:
        """The request of an intent, with the magic number and the ID before its own comment."""
        found = dict(cast("dict[str, Any]", intent.content()))
        name = write(intent.id, self.rules.code, self.rules.prefix)
        own = str(found.get("comment") or "")
        found |= {"magic": self.magic, "comment": f"{name} {own}".strip()[:COMMENT_LENGTH]}
        return found

    def submit(self, intent: Intent) -> Seen:
        """Send an order, once.

        Raises:
            VenueRefusedError: it was refused for good; OutcomeUnknownError: nobody knows.
        """
        request = self.request_of(intent)
        try:
            result = self._module.order_send(request)
        except _ERRORS as error:
            message = f"The terminal may have sent it: {error}"
            raise OutcomeUnknownError(message) from error
        if result is None:
            code, words = self._last_error()
            if code in _NOT_SENT:
                message = f"The terminal did not send it: {words} ({code})."
                raise VenueRefusedError(message)
            message = f"The terminal may have sent it: {words} ({code})."
            raise OutcomeUnknownError(message)
        self.answers[intent.id] = result
        said = f"{result.comment} ({result.retcode})"
        if result.retcode in _REFUSED:
            message = f"The trade server refused it: {said}."
            raise VenueRefusedError(message)
        if result.retcode not in {_PLACED, _DONE, _DONE_PARTIAL, _NO_CHANGES}:
            message = f"The trade server may have done it: {said}."
            raise OutcomeUnknownError(message)
        return self._sent(intent, request, result)

    def _sent(self, intent: Intent, request: Mapping[str, Any], result: Any) -> Seen:
        action = request.get("action")
        whole = result.retcode in {_DONE, _NO_CHANGES} and action != _PENDING
        volume = result.volume if action == _DEAL and result.retcode != _PLACED else None
        told = {name: one for name, one in result._asdict().items() if name != "request"}
        return Seen(
            intent=intent.id,
            ref=str(result.order or result.deal or request.get("position") or ""),
            status="done" if whole else "accepted",
            filled=None if volume is None else amount(volume, "volume"),
            target=intent.target,
            entry=intent.role == "entry",
            at=self._now(),
            answer=told,
        )

    def _last_error(self) -> tuple[int, str]:
        code, words = self._module.last_error()
        return int(code), str(words)

    # ------------------------------------------------------------------ looking

    def find(self, intent: Intent) -> Seen | None:
        """An order by its intent; None proves nothing here."""
        found = self.listed(intent.at - 60 * _US)
        return next((one for one in found if one.intent == intent.id), None)

    def listed(self, since: int) -> list[Seen]:
        """What the terminal shows: open orders, positions, and its history since then.

        Raises:
            OutcomeUnknownError: it does not answer.
        """
        begins = datetime.fromtimestamp(since // _US, UTC) - _MARGIN
        ends = datetime.fromtimestamp(self._now() // _US, UTC) + _MARGIN
        orders = {one.ticket: one for one in self._asked("history_orders_get", begins, ends)}
        orders |= {one.ticket: one for one in self._asked("orders_get")}
        deals: dict[int, list[Any]] = {}
        for one in self._asked("history_deals_get", begins, ends):
            deals.setdefault(one.order, []).append(one)
        positions = list(self._asked("positions_get"))
        intents = list(self._open_intents())
        tickets = {one.ref: one.id for one in intents if one.ref}
        found = [
            self._of_order(ticket, orders.get(ticket), deals.get(ticket, []), tickets)
            for ticket in sorted({*orders, *deals})
        ]
        told = {*orders, *deals}
        found += [
            self._of_position(one, tickets) for one in positions if one.identifier not in told
        ]
        changes = [
            seen for one in intents if (seen := self._of_change(one, orders, positions)) is not None
        ]
        return [one for one in found if one is not None] + changes

    def _asked(self, function: str, *arguments: Any) -> Sequence[Any]:
        try:
            found = getattr(self._module, function)(*arguments)
        except _ERRORS as error:
            message = f"The terminal does not answer {function}: {error}"
            raise OutcomeUnknownError(message) from error
        if found is None:  # an error, and not that there are none
            code, words = self._last_error()
            message = f"The terminal does not answer {function}: {words} ({code})."
            raise OutcomeUnknownError(message)
        return cast("Sequence[Any]", found)

    def _intent_of(
        self, rows: Sequence[Any], ticket: int, tickets: Mapping[str, bytes]
    ) -> bytes | None:
        """Whose order it is: by a comment that was left as it was, or by a ticket we know."""
        for row in rows:
            if row.magic != self.magic:
                continue
            for text in _ID.findall(row.comment):
                if (found := read(text, self.rules.code)) is not None:
                    return found
        return tickets.get(str(ticket)) if any(row.magic == self.magic for row in rows) else None

    def _of_order(
        self, ticket: int, order: Any, deals: Sequence[Any], tickets: Mapping[str, bytes]
    ) -> Seen | None:
        rows = [*([order] if order is not None else []), *deals]
        if ticket == 0:
            return None  # balance operations and the like
        filled = sum((Decimal(repr(float(one.volume))) for one in deals), Decimal())
        if order is None:
            status: SeenStatus = "done"  # a deal of an order that is out of reach
            at, exits = deals[0].time_msc, deals[0].entry in _OUT
        else:
            status = _ORDER_STATES.get(order.state, "accepted")
            left = Decimal(repr(float(order.volume_initial))) - Decimal(
                repr(float(order.volume_current))
            )
            filled = max(filled, left)
            at = order.time_setup_msc
            exits = order.position_id not in {0, ticket} or any(d.entry in _OUT for d in deals)
        return Seen(
            intent=self._intent_of(rows, ticket, tickets),
            ref=str(ticket),
            status=status,
            filled=amount(filled, "volume"),
            target=rows[0].symbol,
            entry=not exits,
            at=at * 1000,
            answer=_told(rows[0]),
        )

    def _of_position(self, position: Any, tickets: Mapping[str, bytes]) -> Seen:
        return Seen(
            intent=self._intent_of([position], position.identifier, tickets),
            ref=str(position.identifier),
            status="done",
            filled=amount(position.volume, "volume"),
            target=position.symbol,
            at=position.time_msc * 1000,
            answer=_told(position),
        )

    def _of_change(
        self, intent: Intent, orders: Mapping[int, Any], positions: Sequence[Any]
    ) -> Seen | None:
        """Whether a change that nobody answered was made, by what it wanted."""
        request = cast("dict[str, Any]", intent.content() or {})
        action = request.get("action") if isinstance(request, dict) else None  # pyright: ignore[reportUnnecessaryIsInstance] any payload
        if not intent.is_unsettled or action not in _CHANGES:
            return None
        ticket = request.get("position" if action in {_SLTP, _CLOSE_BY} else "order")
        if action in {_SLTP, _CLOSE_BY}:
            there = next((one for one in positions if one.ticket == ticket), None)
            wanted = {name: request.get(name) for name in ("sl", "tp") if action == _SLTP}
        else:
            there = orders.get(cast("int", ticket))
            there = None if there is None or there.state in _ORDER_STATES else there
            names = {"price": "price_open", "sl": "sl", "tp": "tp"} if action == _MODIFY else {}
            wanted = {names[name]: request[name] for name in names if name in request}
        made: bool = there is None or (
            bool(wanted) and all(getattr(there, name) == (one or 0) for name, one in wanted.items())
        )
        if not made and self._now() - intent.at < _APPLIED_US:
            return None
        return Seen(
            intent=intent.id,
            ref=str(ticket),
            status="done" if made else "refused",
            target=intent.target,
            entry=False,
            at=self._now(),
        )

    def positions(self) -> dict[str, str]:
        """What this strategy holds, by symbol in lots; what is short is below zero."""
        held: dict[str, Decimal] = {}
        for one in self._asked("positions_get"):
            if one.magic == self.magic:
                lots = Decimal(repr(float(one.volume)))
                lots = -lots if one.type == _SELLS else lots
                held[one.symbol] = held.get(one.symbol, Decimal()) + lots
        return {symbol: format(lots.normalize(), "f") for symbol, lots in sorted(held.items())}


def _told(row: Any) -> dict[str, Any]:
    return {name: one for name, one in row._asdict().items() if isinstance(one, str | int | float)}


# ---------------------------------------------------------------------- the guard


class GuardedTerminal:
    """MetaTrader5 with a journal before `order_send`; every other name is the module's own.

    Args:
        module: MetaTrader5; terminal: the same as a venue; actor: who acts there.
    """

    def __init__(self, module: Any, terminal: Terminal, actor: Actor) -> None:
        self._module, self.terminal, self.actor = module, terminal, actor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __repr__(self) -> str:
        return f"<MetaTrader5, guarded by {self.actor.state.name}>"

    def recover(
        self, *, believed: Mapping[str, str] | None = None, confirmed: bool = False
    ) -> Recovery:
        """Find out where the strategy stands, before its first order; see `Actor.recover`."""
        return self.actor.recover(believed=believed, confirmed=confirmed)

    def order_send(
        self,
        request: Mapping[str, Any],
        *,
        key: str | None = None,
        role: Role | None = None,
        cost: Mapping[str, Any] | None = None,
        holds: Sequence[str] = (),
        closes: Sequence[str | bytes] = (),
    ) -> Any:
        """Send a request once; answers what the module does, also where it was done before.

        Args:
            request: as for MetaTrader5. Its comment stands behind the ID, 8 characters of it.
            key: what decided it, such as a bar's time; cost, holds, closes: as for `State.reserve`.
            role: an exit where it names a position or changes something, otherwise an entry; to be
                said for what closes on a netting account without naming the position.

        Raises:
            ActionRefusedError: nothing was sent, and why; OutcomeUnknownError: it may have been
            done, and is not to be repeated; InputError: the request's magic is another.
        """
        wanted = dict(request)
        if wanted.pop("magic", self.terminal.magic) != self.terminal.magic:
            message = f"This guard sends under the magic number {self.terminal.magic} alone."
            raise InputError(message)
        changes = wanted.get("action") in _CHANGES
        closing = changes or "position" in wanted
        target = wanted.get("symbol") or wanted.get("position") or wanted.get("order") or ""
        intent = self.actor.state.intended(
            "change" if changes else "order", wanted, key=key,
            role=role or ("exit" if closing else "entry"), target=str(target), cost=cost,
            holds=holds, closes=closes,
        )  # fmt: skip
        try:
            acted = self.actor.act_on(intent)
        except VenueRefusedError:
            if intent.id not in self.terminal.answers:
                raise
            return self.terminal.answers[intent.id]
        else:
            # What the module said first may be the timeout of an order that was found since.
            told = self.terminal.answers.pop(acted.intent.id, None)
            is_told = told is not None and acted.seen is not None
            return told if is_told else _from_journal(acted.intent)
        finally:
            self.terminal.answers.pop(intent.id, None)


def _from_journal(intent: Intent) -> SendResult:
    kept = intent.answer()
    if isinstance(kept, dict) and "retcode" in kept:
        fields = cast("dict[str, Any]", kept)
        return SendResult(**{name: fields[name] for name in SendResult._fields if name in fields})
    ticket = 0
    with suppress(TypeError, ValueError):
        ticket = int(cast("str", intent.ref))
    retcode = _DONE if intent.status == "done" else _PLACED
    return SendResult(
        retcode=retcode, order=ticket, volume=float(intent.filled or 0), comment=intent.status
    )


def guard(
    module: Any,
    state: State,
    *,
    magic: int,
    sleep: Callable[[float], None] = time.sleep,
    needs_recovery: bool = True,
) -> GuardedTerminal:
    """MetaTrader5 guarded by a state. Use what this returns in place of the module.

    Args:
        module: MetaTrader5, initialised; state: the strategy's; magic: its number, its own alone.
        sleep: waits so many seconds; needs_recovery: entries wait for `recover` after a restart.

    Raises:
        InputError: the magic number is none.
    """
    terminal = Terminal(module, magic, now=state.now, open_intents=state.open_intents)
    actor = Actor(state, terminal, sleep=sleep, needs_recovery=needs_recovery)
    return GuardedTerminal(module, terminal, actor)
