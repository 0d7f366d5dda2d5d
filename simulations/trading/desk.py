"""The venue: an account, a ledger that is the truth, and a link that breaks. Virtual time.

It is what `haulout.state` asks of a venue (`haulout.state.venue.Venue`), with the four classes of
docs/spec/state.md: what a second order with the same ID meets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from haulout.errors import OutcomeUnknownError, VenueRefusedError
from haulout.state.intents import Intent
from haulout.state.refs import Class, Rules
from haulout.state.venue import Seen
from trading.bot import World, loss_of

TARGET: Final = "venue/main/SYN-USD"
FEE: Final = 2e-4
"""Half a spread and the fee, of the price."""
MINUTE_US: Final = 60_000_000
OPENS_US: Final = 1_767_364_200_000_000  # 14:30 UTC of a day; it ends within the same UTC day
_REST_BARS: Final = 2  # until the rest of a partial fill is there


class CrashError(Exception):
    """The bot's process ends here. No error of Haulout's: nothing in it may catch this."""


def _first(strikes: str, side: str) -> float:
    """How much of an order is filled at once: an entry that is struck so, half of it."""
    return 0.5 if strikes == "partial" and side == "buy" else 1.0


def _spent(fill: Fill) -> dict[str, str]:
    """What an order cost, in the units of the bot's limits."""
    if fill.side == "buy":
        return {"units": f"{fill.units:.6f}"}
    return {"loss": f"{fill.loss:.6f}"}


class Clock:
    """The bot's clock: minutes of the session, and what it is wrong by.

    Attributes:
        at: microseconds since the session opened; step: what the machine's clock is off by.
    """

    def __init__(self) -> None:
        self.at = 0
        self.step = 0

    def now(self) -> int:
        """Microseconds since 1970, as the machine says."""
        return OPENS_US + self.at + self.step

    def reach(self, bar: float) -> None:
        """It is at least this minute."""
        self.at = max(self.at, int(bar * MINUTE_US))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.at += int(seconds * 1_000_000)

    @property
    def minute(self) -> float:
        """The time in minutes of the session."""
        return self.at / MINUTE_US


class Fill(NamedTuple):
    """A line of the ledger: an accepted order, whoever sent it."""

    number: int
    bar: int
    side: str
    units: float
    key: int
    price: float
    client: bytes
    at: int
    loss: float
    """What a sale lost, percent of a unit."""


class Desk:
    """A venue with one account.

    Args:
        world: its prices; clock: of the bot; kind: its class; trip_s: a question's time.
        keeps_text: told for each order whether its client's ID is given back.
        ideal: fills at the price, as a backtest has them.
    """

    name = "desk"

    def __init__(
        self,
        world: World,
        clock: Clock,
        kind: Class,
        trip_s: float,
        keeps_text: Callable[[int], bool],
        *,
        ideal: bool = False,
    ) -> None:
        self._world, self.clock, self._trip_s = world, clock, trip_s
        self._keeps_text, self._ideal = keeps_text, ideal
        self.rules = Rules(kind, "hex", "client_id", settle_s=2.0)
        self.up = True
        self.strikes = ""
        """What the next order meets; see `Fault.kind`."""
        self.ledger: list[Fill] = []
        self.units, self.average, self.cash = 0.0, 0.0, 0.0
        self.bar = 0
        self._rest: list[tuple[int, Fill, float]] = []

    # ------------------------------------------------------------------ the account

    def tick(self, bar: int) -> list[Fill]:
        """A minute begins; orders whose rest was filled now."""
        self.bar = bar
        if not self._rest:
            return []
        due = [one for one in self._rest if one[0] <= bar]
        if due:
            self._rest = [one for one in self._rest if one[0] > bar]
            for _, fill, rest in due:
                if fill.side == "buy" or self.units > 0:
                    self._settle(fill.side, rest, fill.price)
        return [fill for _, fill, _ in due]

    def _settle(self, side: str, units: float, price: float) -> None:
        if side == "buy":
            total = self.units + units
            self.average = (self.units * self.average + units * price) / total
            self.units = round(total, 6)
            self.cash -= units * price
            return
        units = min(units, self.units)
        self.units = round(self.units - units, 6)
        self.cash += units * price
        if self.units <= 0:
            self.units, self.average = 0.0, 0.0

    def by_hand(self) -> bool:
        """The user closes the position; whether there was one."""
        if self.units <= 0:
            return False
        self._rest.clear()
        self._settle("sell", self.units, self._world.price[self.bar] * (1 - FEE))
        return True

    @property
    def worth(self) -> float:
        """Cash and position at the minute's price."""
        return self.cash + self.units * self._world.price[self.bar]

    def place(self, side: str, units: float, key: int, client: bytes, share: float = 1.0) -> Fill:
        """Accept an order and fill it, or the ``share`` of it that comes at once.

        Raises:
            VenueRefusedError: there is nothing to sell.
        """
        if side == "sell":
            units = min(units, self.units)
            if units <= 0:
                raise VenueRefusedError("There is nothing to sell.")
        price, slip = self._world.price[self.bar], self._world.slip[self.bar]
        if not self._ideal:
            price *= 1 + (FEE + slip) * (1 if side == "buy" else -1)
        at = OPENS_US + self.clock.at  # by the venue's own clock, which does not jump
        loss = 0.0
        if side == "sell":
            loss = loss_of(price, self.average, units)
        fill = Fill(len(self.ledger), self.bar, side, units, key, price, client, at, loss)
        self.ledger.append(fill)
        now = units * share
        self._settle(side, now, price)
        if share < 1:
            self._rest.append((self.bar + _REST_BARS, fill, units - now))
        return fill

    # ------------------------------------------------------------------ over the link

    def send(self, side: str, units: float, key: int, client: bytes) -> Fill:
        """An order as it travels: struck by what is due, or answered.

        Raises:
            OutcomeUnknownError: no answer came; CrashError: the process ended;
            VenueRefusedError: it was refused.
        """
        self.clock.wait(self._trip_s)
        strikes, self.strikes = self.strikes, ""
        if not self.up:
            raise OutcomeUnknownError("There is no link.")
        if strikes == "crash1":
            raise CrashError
        if strikes == "before":
            raise OutcomeUnknownError("The link broke.")
        fill = self.place(side, units, key, client, _first(strikes, side))
        if strikes == "crash2":
            raise CrashError
        if strikes:
            raise OutcomeUnknownError("The link broke before the answer.")
        return fill

    def _ask(self) -> None:
        self.clock.wait(self._trip_s)
        if not self.up:
            raise OutcomeUnknownError("There is no link.")

    def account(self) -> tuple[float, float]:
        """Units held and what they cost on average, as the venue tells.

        Raises:
            OutcomeUnknownError: there is no link.
        """
        self._ask()
        return self.units, self.average

    # ------------------------------------------------------------------ haulout.state's port

    def submit(self, intent: Intent) -> Seen:
        """Send an intent's order. Raises as `send`."""
        if self.up and self.rules.kind != "D":
            known = self._known(intent.id)
            if known is not None and self.rules.kind == "A":
                self.clock.wait(self._trip_s)
                return self._seen(known)
            if known is not None and (self.rules.kind == "B" or self._open(known)):
                raise VenueRefusedError("There is an order of this ID.")
        body = intent.content()
        return self._seen(self.send(body["side"], body["units"], body["key"], intent.id))

    def _known(self, client: bytes) -> Fill | None:
        return next((fill for fill in self.ledger if fill.client == client), None)

    def _open(self, fill: Fill) -> bool:
        return any(one is fill for _, one, _ in self._rest)

    def _seen(self, fill: Fill) -> Seen:
        kept = self.rules.kind != "D" or self._keeps_text(fill.number)
        is_open = self._open(fill)
        return Seen(
            intent=fill.client if kept else None, ref=str(fill.number),
            status="accepted" if is_open else "done", target=TARGET,
            filled=f"{fill.units / 2 if is_open else fill.units:.6f}",
            entry=fill.side == "buy", at=fill.at,
            spent=_spent(fill),
            answer={
                "side": fill.side, "units": fill.units, "price": fill.price, "bar": fill.bar,
            },
        )  # fmt: skip

    def seen(self, fill: Fill) -> Seen:
        """A fill as the user stream reports it."""
        return self._seen(fill)

    def find(self, intent: Intent) -> Seen | None:
        """The order of an intent. Raises as `account`."""
        self._ask()
        known = self._known(intent.id)
        return None if known is None else self._seen(known)

    def listed(self, since: int) -> Iterable[Seen]:
        """Everything since a moment, by the venue's clock. Raises as `account`."""
        self._ask()
        return [
            self._seen(fill)
            for fill in self.ledger
            if fill.client and (fill.at >= since or self._open(fill))
        ]

    def positions(self) -> Mapping[str, str]:
        """What is held. Raises as `account`."""
        self._ask()
        return {TARGET: f"{self.units:.6f}"} if self.units > 0 else {}
