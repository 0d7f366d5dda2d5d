"""Rows of freqtrade's tables as a bot's state, and back. Pure.

A row is a mapping from column to value, as `freqtradetables.from_sql` gives them. What has a name
in the common schema goes there; all other columns are kept in ``extensions.freqtrade``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, NoReturn, cast

import msgspec

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.botstate import (
    BotOrder,
    BotState,
    BotTrade,
    Lock,
    amount_of,
    is_exact,
    plain_bytes,
)
from haulout.interchange.freqtradetables import TABLES, from_sql, to_sql
from haulout.interchange.jsonstream import bounded_nesting

Row = dict[str, Any]
Rows = Mapping[str, list[Row]]
NAME: Final = "freqtrade"
_TRADE: Final = {
    # freqtrade's column: the common field
    "exchange": "venue", "pair": "symbol", "base_currency": "base", "stake_currency": "quote",
    "is_open": "open", "amount": "amount", "open_rate": "entry_price", "close_rate": "exit_price",
    "stake_amount": "stake", "leverage": "leverage", "open_date": "opened_at",
    "close_date": "closed_at", "stop_loss": "stop", "initial_stop_loss": "initial_stop",
    "is_stop_loss_trailing": "trailing", "max_rate": "highest", "min_rate": "lowest",
    "realized_profit": "realized", "strategy": "strategy", "enter_tag": "entry_reason",
    "exit_reason": "exit_reason",
}  # fmt: skip
_ORDER: Final = {
    "order_id": "id", "side": "side", "symbol": "symbol", "order_type": "kind",
    "status": "status", "ft_is_open": "open", "price": "price", "average": "average",
    "amount": "amount", "filled": "filled", "remaining": "remaining", "cost": "cost",
    "stop_price": "stop_price", "order_date": "at", "order_filled_date": "filled_at",
    "order_update_date": "updated_at", "ft_order_tag": "tag",
}  # fmt: skip
_LOCK: Final = {
    "pair": "symbol", "side": "side", "reason": "reason", "lock_time": "at",
    "lock_end_time": "until", "active": "active",
}  # fmt: skip
_WHOLE: Final = {"KeyValueStore": "keyvalues", "wallet_history": "wallets"}
"""Tables that only freqtrade knows the meaning of."""
_STRAY: Final = {"orders": "stray_orders", "trade_custom_data": "stray_custom"}
"""Rows of a trade that is not there (any more)."""
_MOST: Final = Decimal("1E300")
_NUMBERS: Final = {
    "leverage": "1.0", "stop_loss": "0.0", "initial_stop_loss": "0.0", "max_rate": "0.0",
    "realized_profit": "0.0",
}  # fmt: skip
_DEFAULTS: Final = {"fee_open": "0.0", "fee_close": "0.0", "interest_rate": "0.0",
                    "record_version": 2}  # fmt: skip
"""What freqtrade's model gives a trade that says nothing."""


# ---------------------------------------------------------------------- from rows


def bot_of(rows: Rows) -> BotState:
    """The state in a database's rows."""
    trades = {row["id"]: _trade_of(row) for row in rows["trades"]}
    stray: dict[str, list[Row]] = {}
    for row in rows["orders"]:
        trade = trades.get(row["ft_trade_id"])
        if trade is None:
            stray.setdefault(_STRAY["orders"], []).append(_told(row))
        else:
            trade.orders.append(_order_of(row, trade))
    for row in rows["trade_custom_data"]:
        trade = trades.get(row["ft_trade_id"])
        if trade is None:
            stray.setdefault(_STRAY["trade_custom_data"], []).append(_told(row))
        else:
            _take_custom(trade, row)
    whole = {
        name: [_told(row) for row in rows[table]] for table, name in _WHOLE.items() if rows[table]
    }
    rest = {**whole, **stray}
    return BotState(
        source=NAME,
        trades=list(trades.values()),
        locks=[_lock_of(row) for row in rows["pairlocks"]],
        extensions={NAME: rest} if rest else {},
    )


def _told(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def _common(row: Row, fields: Mapping[str, str]) -> Row:
    return {field: row[column] for column, field in fields.items()}


def _rest(row: Row, *known: Iterable[str]) -> Row:
    named = {name for names in known for name in names}
    return {name: value for name, value in _told(row).items() if name not in named}


def _trade_of(row: Row) -> BotTrade:
    return BotTrade(
        id=str(row["id"]),
        side="short" if row["is_short"] else "long",
        orders=[],
        custom={},
        extensions={NAME: {"row": _rest(row, _TRADE, ("id", "is_short"))}},
        **_common(row, _TRADE),
    )


def _role_of(order_side: str, trade_side: str) -> str:
    if order_side == "stoploss":
        return "stop"
    return "entry" if order_side == ("sell" if trade_side == "short" else "buy") else "exit"


def _order_of(row: Row, trade: BotTrade) -> BotOrder:
    return BotOrder(
        role=cast("Any", _role_of(row["ft_order_side"], trade.side)),
        extensions={NAME: {"row": _rest(row, _ORDER, ("ft_trade_id",))}},
        **_common(row, _ORDER),
    )


def _lock_of(row: Row) -> Lock:
    return Lock(extensions={NAME: {"row": {"id": row["id"]}}}, **_common(row, _LOCK))


def _take_custom(trade: BotTrade, row: Row) -> None:
    kept = trade.extensions[NAME].setdefault("custom", {})
    kept[row["cd_key"]] = _rest(row, ("ft_trade_id", "cd_key"))
    with suppress(ValueError, RecursionError):  # JSON has no such value: freqtrade's alone
        trade.custom[row["cd_key"]] = _custom_value(row)


def _custom_value(row: Mapping[str, Any]) -> Any:
    """What freqtrade's `get_custom_data` would give. ValueError: JSON has no such value."""
    kind, text = row["cd_type"], row["cd_value"]
    if kind == "str":
        return text
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text)
    if kind == "float":
        value = float(text)
        if value - value != 0:
            raise ValueError(text)
        return value
    with bounded_nesting():
        value = json.loads(text, parse_constant=_no_constant)
    json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# ---------------------------------------------------------------------- to rows


class _Numbers:
    """IDs of rows: those they had, and free ones for those that had none."""

    def __init__(self, wanted: Iterable[Any]) -> None:
        self._free = max([one for one in wanted if type(one) is int], default=0)
        self._taken: set[int] = set()

    def of(self, wanted: Any) -> int:
        if type(wanted) is int and wanted not in self._taken:
            self._taken.add(wanted)
            return wanted
        self._free += 1
        self._taken.add(self._free)
        return self._free


def _kept(part: BotTrade | BotOrder | Lock) -> Row:
    return cast("Row", part.extensions.get(NAME, {}).get("row", {}))


def trade_numbers(bot: BotState) -> list[int]:
    """The database's ID of each trade: its own where that is a number."""
    own = [_number(trade.id) for trade in bot.trades]
    numbers = _Numbers(own)
    return [numbers.of(one) for one in own]


def order_numbers(bot: BotState) -> list[list[int]]:
    """The database's ID of each order, trade by trade."""
    strays = cast("list[Row]", bot.extensions.get(NAME, {}).get(_STRAY["orders"], []))
    wanted = [[_kept(order).get("id") for order in trade.orders] for trade in bot.trades]
    stray = [row["id"] for row in strays]
    numbers = _Numbers([*stray, *(one for ones in wanted for one in ones)])
    for one in stray:
        numbers.of(one)
    return [[numbers.of(one) for one in ones] for ones in wanted]


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) < 19  # noqa: PLR2004 - of 2**63
    return int(text) if is_number and str(int(text)) == text else None


def rows_of(bot: BotState) -> dict[str, list[Row]]:
    """The rows in which freqtrade keeps a state, as far as it has a place for it.

    Raises:
        ImportFormatError: what the state carries of freqtrade is broken.
        InputError: freqtrade has no form for something of it.
    """
    try:
        return _rows_of(bot)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"What the state carries of freqtrade is broken ({error!r:.60})."
        raise ImportFormatError(message) from error


def _rows_of(bot: BotState) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {table: [] for table in TABLES}
    rest = cast("dict[str, list[Row]]", bot.extensions.get(NAME, {}))
    stray_orders, stray_custom = (rest.get(name, []) for name in _STRAY.values())
    custom = _Numbers(
        [one.get("id") for t in bot.trades for one in _kept_custom(t).values()]
        + [row["id"] for row in stray_custom]
    )
    locks = _Numbers(_kept(lock).get("id") for lock in bot.locks)
    rows["orders"] += [dict(row) for row in stray_orders]
    rows["trade_custom_data"] += [{**row, "id": custom.of(row["id"])} for row in stray_custom]
    orders = order_numbers(bot)
    for trade, number, places in zip(bot.trades, trade_numbers(bot), orders, strict=True):
        rows["trades"].append(_trade_row(trade, number))
        rows["orders"] += [
            _order_row(order, trade, number, place)
            for order, place in zip(trade.orders, places, strict=True)
        ]
        rows["trade_custom_data"] += _custom_rows(trade, number, custom, bot.at)
    for lock in bot.locks:
        row = {"id": locks.of(_kept(lock).get("id"))}
        rows["pairlocks"].append(row | _columns(lock, _LOCK))
    for table, name in _WHOLE.items():
        rows[table] = [dict(row) for row in rest.get(name, [])]
    return {
        table: [
            {c.name: row.get(c.name) for c in TABLES[table]}
            for row in sorted(found, key=lambda row: row["id"])
        ]
        for table, found in rows.items()
    }


def _columns(part: BotTrade | BotOrder | Lock, fields: Mapping[str, str]) -> Row:
    return {column: getattr(part, field) for column, field in fields.items()}


def _trade_row(trade: BotTrade, number: int) -> Row:
    row = {**_DEFAULTS, **_kept(trade), **_columns(trade, _TRADE)}
    row |= {"id": number, "is_short": trade.side == "short"}
    if not _kept(trade):  # it never was in freqtrade, whose code counts on numbers here
        worth = Decimal(trade.amount) * Decimal(trade.entry_price)
        if not abs(worth) < _MOST:
            message = f"Trade {trade.id} is worth {worth:.3E}, and freqtrade takes no such number."
            raise InputError(message)
        stake = amount_of(float(worth / Decimal(trade.leverage or "1")))
        made = {**_NUMBERS, "stake_amount": stake, "open_trade_value": amount_of(float(worth))}
        row |= {name: value for name, value in made.items() if row.get(name) is None}
    return row


def _order_row(order: BotOrder, trade: BotTrade, number: int, place: int) -> Row:
    kept = _kept(order)
    row = {"ft_pair": trade.symbol, **kept, **_columns(order, _ORDER)}
    row |= {"id": place, "ft_trade_id": number}
    if not order.id:
        if order.intent is None:
            message = f"An order of trade {trade.id} has neither an ID nor an intent."
            raise InputError(message)
        row["order_id"] = f"haulout-{order.intent}"
    side = kept.get("ft_order_side")
    if side is None or _role_of(side, trade.side) != order.role:
        row["ft_order_side"] = _order_side(order.role, trade.side)
    if not kept and order.status is None:  # freqtrade looks past orders without one
        filled = Decimal(order.filled or "0") > 0
        row["status"] = "open" if order.open else "closed" if filled else "canceled"
    row.setdefault("ft_amount", order.amount or "0.0")
    row.setdefault("ft_price", order.price or order.average or "0.0")
    return row


def _order_side(role: str, trade_side: str) -> str:
    if role == "stop":
        return "stoploss"
    return "buy" if (role == "entry") == (trade_side == "long") else "sell"


def _kept_custom(trade: BotTrade) -> dict[str, Row]:
    return cast("dict[str, Row]", trade.extensions.get(NAME, {}).get("custom", {}))


def _custom_rows(trade: BotTrade, number: int, numbers: _Numbers, at: int) -> list[Row]:
    kept = _kept_custom(trade)
    found: list[Row] = []
    for key, row in kept.items():
        try:
            value = _custom_value(row)
            same = key in trade.custom and _is_same(value, trade.custom[key])
        except (ValueError, RecursionError):
            same = key not in trade.custom  # no other program ever saw it
        if same:
            found.append({**row, "cd_key": key})
    told = {row["cd_key"] for row in found}
    for key, value in sorted(trade.custom.items()):
        if key not in told:
            old = kept.get(key, {})
            made = {"cd_key": key, "created_at": old.get("created_at", at), "updated_at": at}
            found.append({"id": old.get("id"), **made, **_custom_text(value)})
    return [{**row, "id": numbers.of(row.get("id")), "ft_trade_id": number} for row in found]


def _is_same(one: Any, other: Any) -> bool:
    return plain_bytes(one) == plain_bytes(other)  # 1, 1.0 and True are three values


def _custom_text(value: Any) -> Row:
    """A value as freqtrade's `set_custom_data` writes it; equal values are one text."""
    kind = type(value).__name__
    plain = kind in {"bool", "float", "int", "str"}
    return {"cd_type": kind, "cd_value": str(value) if plain else json.dumps(value, sort_keys=True)}


# ---------------------------------------------------------------------- since then


def merged(now: BotState, before: BotState) -> BotState:
    """A state as freqtrade has it now, with what it has no place for as it was written.

    Args:
        now: read from the rows; before: what was written to them.
    """
    then = bot_of(_stored(rows_of(before)))  # what would be read had nothing changed
    places = [str(number) for number in trade_numbers(before)]
    old = dict(zip(places, zip(before.trades, order_numbers(before), strict=True), strict=True))
    was = {trade.id: trade for trade in then.trades}
    trades = [
        _merged_trade(trade, was[trade.id], *old[trade.id]) if trade.id in old else trade
        for trade in now.trades
    ]
    if [trade.id for trade in now.trades] == [trade.id for trade in then.trades]:
        found = dict(zip((trade.id for trade in now.trades), trades, strict=True))
        trades = [found[place] for place in places]  # the database sorts them by number
    return msgspec.structs.replace(
        before,
        trades=trades,
        locks=before.locks if now.locks == then.locks else now.locks,
        extensions=_merged_extensions(now, then, before),
    )


def _stored(rows: Rows) -> Rows:
    """Rows as they come back from the database, whose floats round."""
    return {
        table: [
            {c.name: from_sql(c, to_sql(c, row[c.name], c.name), c.name) for c in TABLES[table]}
            for row in found
        ]
        for table, found in rows.items()
    }


def _merged_extensions(now: Any, then: Any, before: Any) -> dict[str, Any]:
    """Freqtrade's own as it is now, others' as they were."""
    found = dict(before.extensions)
    if now.extensions.get(NAME) != then.extensions.get(NAME):
        found.pop(NAME, None)
        if NAME in now.extensions:
            found[NAME] = now.extensions[NAME]
    return found


def _merged_fields(now: Any, then: Any, before: Any, *except_for: str) -> dict[str, Any]:
    """Each field: as it was written where it is unchanged, as it is now otherwise."""
    return {
        name: getattr(before if getattr(now, name) == getattr(then, name) else now, name)
        for name in now.__struct_fields__
        if name not in except_for
    }


def _merged_trade(now: BotTrade, then: BotTrade, before: BotTrade, numbers: list[int]) -> BotTrade:
    if now == then:
        return before
    was = {_kept(order)["id"]: order for order in then.orders}
    old = dict(zip(numbers, before.orders, strict=True))
    orders = [
        _merged_order(order, was[place], old[place])
        if (place := _kept(order)["id"]) in old
        else order
        for order in now.orders
    ]
    fields = _merged_fields(now, then, before, "at", "orders", "extensions")
    return BotTrade(**fields, orders=orders, extensions=_merged_extensions(now, then, before))


def _merged_order(now: BotOrder, then: BotOrder, before: BotOrder) -> BotOrder:
    fields = _merged_fields(now, then, before, "extensions")
    return BotOrder(**fields, extensions=_merged_extensions(now, then, before))


# ---------------------------------------------------------------------- what is not seen

_AMOUNTS: Final = {
    BotTrade: (
        "amount", "entry_price", "exit_price", "stake", "leverage", "stop", "initial_stop",
        "highest", "lowest", "realized",
    ),
    BotOrder: ("price", "average", "amount", "filled", "remaining", "cost", "stop_price"),
}  # fmt: skip


def rounded(bot: BotState) -> tuple[str, ...]:
    """Amounts that no float has: freqtrade sees the nearest."""
    found: list[str] = []
    for trade in bot.trades:
        for part, where in [
            (trade, f"trade {trade.id}"),
            *((order, f"trade {trade.id}, order {order.id}") for order in trade.orders),
        ]:
            for name in _AMOUNTS[type(part)]:
                value = getattr(part, name)
                if value is not None and not is_exact(value):
                    found.append(f"{where}: {name} {value}")
    return tuple(found)


def unread(bot: BotState) -> tuple[str, ...]:
    """Parts of a state that freqtrade has no table for."""
    parts = (
        "limits", "owner_limits", "halt", "spent", "values", "journals", "intents",
    )  # fmt: skip
    found = [name for name in parts if getattr(bot, name)]
    return (*found, *(f"extensions.{name}" for name in sorted(bot.extensions) if name != NAME))
