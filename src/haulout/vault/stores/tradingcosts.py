"""What memory costs a trader, as a share of what an account of a size is meant to earn. Pure.

The formula is that of a table which vendors of such products print:

    share = dollars a month / (account * target)

with a target of 4 % a month. Its three rows are kept as they stand: the dollars follow from them
(90, 120 and 175), since the table gives the shares alone. Between the rows the dollars are drawn
straight, outside they are those of the nearest row; both is marked. A bot that keeps its state on
its own disk pays nothing. The target is somebody's wish and is promised by nobody here: without a
gain the share of it is without meaning, and the dollars are due all the same.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Final

import msgspec

from haulout.errors import InputError
from haulout.redstuff import encoded_length
from haulout.vault.stores.costing import DAYS_PER_MONTH, S3_GB_MONTH, S3_PUT

TARGET_PERCENT: Final = Decimal(4)
"""Of an account, a month: the table's."""
PRINTED: Final = (
    (Decimal(2000), Decimal("112.5")),
    (Decimal(5000), Decimal(60)),
    (Decimal(25_000), Decimal("17.5")),
)
"""Account in dollars, and the table's share of the target in percent."""
EVENT_BYTES: Final = 300
EVENTS_A_DAY: Final = 1000
_KEPT_DAYS: Final = 30
_SEAL_BYTES: Final = 150  # a record's header, signature and seal
_SHARDS: Final = 10
_PACK: Final = 1024 * 1024
_OBJECTS: Final = 3  # of a publication: segments, their keys, the head
_GIGABYTE: Final = 1_000_000_000
_MOST: Final = Decimal(10) ** 12


class TradingRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account size and what memory costs it.

    Attributes:
        account: dollars; target: what it is meant to earn in a month, dollars.
        fee: what the product costs in a month, dollars; share: that in percent of the target.
        source: ``printed`` in the table, ``between`` two of its rows, ``beyond`` them, or
            ``given`` by who asks.
        local: dollars of state on the own disk; share_local: in percent of the target.
    """

    account: float
    target: float
    fee: float
    share: float
    source: str
    local: float = 0.0
    share_local: float = 0.0


class TradingStore(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping a bot's state costs somewhere, in dollars a month, whatever the account."""

    name: str
    dollars: float
    note: str


class TradingCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The cost table.

    Attributes:
        target_percent: of an account, a month; formula: in words.
        rows: by account; stores: what Haulout's own copies cost, local first.
        events_a_day, event_bytes, kept_days: of the bot whose state is counted in ``stores``.
    """

    target_percent: float
    formula: str
    rows: tuple[TradingRow, ...]
    stores: tuple[TradingStore, ...]
    events_a_day: int
    event_bytes: int
    kept_days: int


def table(
    account: str | float | None = None,
    *,
    fee: str | float | None = None,
    target_percent: str | float = "4",
) -> TradingCosts:
    """The table, with a row for an account of one's own.

    Args:
        account: dollars; None for the three printed rows alone.
        fee: what a product costs in a month, dollars, for that account; None: as the table has it.
        target_percent: of the account, a month. The printed rows keep their dollars.

    Raises:
        InputError: a number that is none, below or at zero, or beyond 10^12.
    """
    target = _positive(target_percent, "The target")
    rows = [_row(size, dollars(size), target, "printed") for size, _ in PRINTED]
    if account is not None:
        own = _positive(account, "The account")
        if fee is not None:
            rows.append(_row(own, _number(fee, "The fee"), target, "given"))
        elif own not in {size for size, _ in PRINTED}:
            within = PRINTED[0][0] < own < PRINTED[-1][0]
            rows.append(_row(own, dollars(own), target, "between" if within else "beyond"))
    elif fee is not None:
        message = "A fee is one of an account: name its size, too."
        raise InputError(message)
    return TradingCosts(
        target_percent=float(target),
        formula="share = dollars a month / (account x target)",
        rows=tuple(sorted(rows, key=lambda row: (row.account, row.source))),
        stores=_stores(),
        events_a_day=EVENTS_A_DAY,
        event_bytes=EVENT_BYTES,
        kept_days=_KEPT_DAYS,
    )


def dollars(account: Decimal) -> Decimal:
    """What the table's product costs an account in a month: the shares solved for the dollars."""
    known = [(size, share * size * TARGET_PERCENT / 10_000) for size, share in PRINTED]
    if account <= known[0][0]:
        return known[0][1]
    for (below, low), (above, high) in pairwise(known):
        if account <= above:
            return low + (high - low) * (account - below) / (above - below)
    return known[-1][1]


def _row(account: Decimal, fee: Decimal, target_percent: Decimal, source: str) -> TradingRow:
    target = account * target_percent / 100
    return TradingRow(
        account=float(account), target=float(target), fee=float(fee),
        share=float(fee / target * 100), source=source,
    )  # fmt: skip


def _stores() -> tuple[TradingStore, ...]:
    """Copies of a bot's state: on disks of the owner's, and in buckets as they are billed."""
    size = EVENTS_A_DAY * _KEPT_DAYS * (EVENT_BYTES + _SEAL_BYTES)
    packs = -(-size // _PACK)
    stored = packs * encoded_length(_PACK, _SHARDS) / _GIGABYTE * S3_GB_MONTH
    requests = DAYS_PER_MONTH * _OBJECTS * _SHARDS * S3_PUT
    return (
        TradingStore(name="local", dollars=0.0, note="this disk"),
        TradingStore(
            name="volumes",
            dollars=0.0,
            note="10 shards on folders of your own; any 3 may be lost",
        ),
        TradingStore(
            name="s3", dollars=stored + requests, note="the same in buckets, published once a day"
        ),
    )


def _number(value: str | float, what: str) -> Decimal:
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        found = Decimal("NaN")
    if not found.is_finite() or not 0 <= found <= _MOST:
        message = f"{what} is a number from 0 to 10^12, not {str(value)[:40]!r}."
        raise InputError(message)
    return found


def _positive(value: str | float, what: str) -> Decimal:
    found = _number(value, what)
    if found == 0:
        message = f"{what} is above zero."
        raise InputError(message)
    return found
