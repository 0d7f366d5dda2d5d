"""The tables of freqtrade's database, as version 2026.9 makes them, and what each column holds.

Pure. A database has no version of its own: what it must look like is the set of its columns.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.botstate import amount_of

Kind = Literal["int", "bool", "real", "text", "time"]
_TYPES: Final = {
    "int": "INTEGER", "bool": "BOOLEAN", "real": "FLOAT", "text": "VARCHAR(255)",
    "time": "DATETIME",
}  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Column(NamedTuple):
    """A column: its name, what it holds, and whether it may be NULL."""

    name: str
    kind: Kind
    null: bool


def _columns(text: str) -> tuple[Column, ...]:
    """Columns from ``name:kind`` words; a ``!`` behind the kind: never NULL."""
    found: list[Column] = []
    for word in text.split():
        name, _, kind = word.partition(":")
        found.append(Column(name, kind.rstrip("!"), not kind.endswith("!")))  # pyright: ignore[reportArgumentType] the words below
    return tuple(found)


TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "trades": _columns(
        """
        id:int! exchange:text! pair:text! base_currency:text stake_currency:text is_open:bool!
        fee_open:real! fee_open_cost:real fee_open_currency:text fee_close:real!
        fee_close_cost:real fee_close_currency:text open_rate:real! open_rate_requested:real
        open_trade_value:real close_rate:real close_rate_requested:real realized_profit:real
        close_profit:real close_profit_abs:real stake_amount:real! max_stake_amount:real
        amount:real! amount_requested:real open_date:time! close_date:time stop_loss:real
        stop_loss_pct:real initial_stop_loss:real initial_stop_loss_pct:real
        is_stop_loss_trailing:bool! max_rate:real min_rate:real exit_reason:text
        exit_order_status:text strategy:text enter_tag:text timeframe:int trading_mode:text
        amount_precision:real price_precision:real precision_mode:int precision_mode_price:int
        contract_size:real leverage:real is_short:bool! liquidation_price:real
        interest_rate:real! funding_fees:real funding_fee_running:real record_version:int!
        """
    ),
    "orders": _columns(
        """
        id:int! ft_trade_id:int! ft_order_side:text! ft_pair:text! ft_is_open:bool!
        ft_amount:real! ft_price:real! ft_cancel_reason:text order_id:text! status:text
        symbol:text order_type:text side:text price:real average:real amount:real filled:real
        remaining:real cost:real stop_price:real order_date:time order_filled_date:time
        order_update_date:time funding_fee:real ft_fee_base:real ft_order_tag:text
        """
    ),
    "pairlocks": _columns(
        "id:int! pair:text! side:text! reason:text lock_time:time! lock_end_time:time! active:bool!"
    ),
    "trade_custom_data": _columns(
        """
        id:int! ft_trade_id:int cd_key:text! cd_type:text! cd_value:text! created_at:time!
        updated_at:time
        """
    ),
    "KeyValueStore": _columns(
        """
        id:int! key:text! value_type:text! string_value:text datetime_value:time
        float_value:real int_value:int
        """
    ),
    "wallet_history": _columns(
        """
        id:int! timestamp:time! currency:text! rate:real quote_currency:text! balance:real!
        total_quote:real total_position_value:real collateral:real leverage:real!
        bot_managed:bool!
        """
    ),
}
NEEDED: Final = ("trades", "orders")
"""Without these a database is none of freqtrade's; the others came with later versions."""
_CONSTRAINTS: Final = {
    "orders": ", UNIQUE (ft_pair, order_id), FOREIGN KEY (ft_trade_id) REFERENCES trades (id)",
    "trade_custom_data": (
        ", UNIQUE (ft_trade_id, cd_key), FOREIGN KEY (ft_trade_id) REFERENCES trades (id)"
    ),
    "wallet_history": ", UNIQUE (timestamp, currency)",
}
_INDEXED: Final = {
    "trades": ("pair", "is_open"),
    "orders": ("ft_trade_id", "ft_is_open", "order_id"),
    "pairlocks": ("pair", "lock_end_time", "active"),
    "trade_custom_data": ("ft_trade_id",),
    "KeyValueStore": ("key",),
    "wallet_history": ("timestamp",),
}


def schema() -> list[str]:
    """The statements that make the tables and their indexes."""
    found: list[str] = []
    for table, columns in TABLES.items():
        lines = [f'"{c.name}" {_TYPES[c.kind]}{"" if c.null else " NOT NULL"}' for c in columns]
        rest = _CONSTRAINTS.get(table, "")
        found.append(f'CREATE TABLE "{table}" ({", ".join(lines)}, PRIMARY KEY (id){rest})')
        found += [
            f'CREATE INDEX "ix_{table}_{name}" ON "{table}" ("{name}")' for name in _INDEXED[table]
        ]
    return found


# ---------------------------------------------------------------------- values


def from_sql(column: Column, value: Any, where: str) -> Any:
    """A column's value as JSON has it: amounts as decimal text, times as microseconds.

    Raises:
        ImportFormatError: the database holds something else there.
    """
    if value is None and column.null:
        return None
    if column.kind == "int" and type(value) is int:
        return value
    if column.kind == "bool" and value in {0, 1}:
        return bool(value)
    if column.kind == "text" and isinstance(value, str):
        return value
    if column.kind == "real" and isinstance(value, int | float):
        try:
            return amount_of(value)
        except (InputError, OverflowError):
            pass  # infinite
    if column.kind == "time" and isinstance(value, str):
        try:
            return _microseconds(datetime.fromisoformat(value).replace(tzinfo=UTC))
        except ValueError:
            pass  # worded below
    message = f"{where} holds {value!r:.40}, which is no {column.kind}."
    raise ImportFormatError(message)


def to_sql(column: Column, value: Any, where: str) -> Any:
    """What a column takes, from what `from_sql` gave. A time has a fraction, as freqtrade's have.

    Raises:
        InputError: it has not the column's kind.
    """
    if value is None and column.null:
        return None
    if column.kind == "bool" and isinstance(value, bool):
        return int(value)
    if column.kind == "int" and type(value) is int and -(2**63) <= value < 2**63:
        return value
    if column.kind == "text" and isinstance(value, str):
        return value
    if column.kind == "real" and isinstance(value, str):
        found = float(Decimal(value))
        if found - found == 0:  # finite
            return found + 0.0  # SQLite knows no negative zero
    if column.kind == "time" and type(value) is int:
        try:
            when = _EPOCH + timedelta(microseconds=value)
        except OverflowError:
            pass  # worded below
        else:
            return when.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    message = f"{where} takes no {value!r:.40}: freqtrade keeps {column.kind} there."
    raise InputError(message)


def _microseconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)
