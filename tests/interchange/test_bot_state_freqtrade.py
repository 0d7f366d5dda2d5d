"""freqtrade's database as a bot state and back, without freqtrade and with its own models."""

from __future__ import annotations

import re
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from interchange.botstates import (
    FEW,
    STATES,
    contents,
    databases,
    interpreter,
    make_database,
)

import haulout.interchange.freqtrade as freqtrade_database
from haulout.errors import ConflictError, ImportFormatError, InputError, StorageError
from haulout.interchange.botstate import BotOrder, BotState, BotTrade, decode, encode
from haulout.interchange.freqtrade import read_freqtrade, write_freqtrade
from haulout.interchange.freqtradetables import TABLES
from haulout.interchange.nautilus import from_nautilus, to_nautilus


def moved(path: Path, name: str) -> Path:
    found = path / name
    found.unlink(missing_ok=True)
    return found


@FEW
@given(databases())
def test_from_freqtrade_to_nautilus_and_back_every_row_is_what_it_was(
    tmp_path: Path, rows: dict[str, list[dict[str, Any]]]
) -> None:
    origin = make_database(moved(tmp_path, "here.sqlite"), rows)
    bot = read_freqtrade(origin).bot
    saved = to_nautilus(decode(encode(bot)))
    target = moved(tmp_path, "back.sqlite")
    write_freqtrade(from_nautilus({key: bytes(value) for key, value in saved.items()}), target)
    assert contents(target) == contents(origin)
    assert read_freqtrade(target).bot == bot


@FEW
@given(STATES)
def test_what_freqtrade_has_no_place_for_comes_back_from_its_file(
    tmp_path: Path, bot: BotState
) -> None:
    for trade in bot.trades:
        seen = [order.intent for order in trade.orders]
        assume(len(set(seen)) == len(seen))
    target = moved(tmp_path, "there.sqlite")
    try:
        write_freqtrade(bot, target)
    except InputError as error:
        assert re.search("takes? no|only once", str(error))  # noqa: PT017 - says which
        assert not target.exists()
        return
    assert read_freqtrade(target).bot == bot


def bot_with(**fields: Any) -> BotState:
    order = BotOrder(
        id="77", intent="0b" * 16, role="entry", side="buy", open=True, amount="0.1", price="9"
    )
    trade = BotTrade(
        id="einzig", venue="binance", symbol="BTC/USDT", amount="0.123456789012345678901",
        entry_price="50000.5", stake="100", opened_at=1_700_000_000_000_000, orders=[order],
        custom={"level": 3}, extensions={"lean": {"a": 1}},
    )  # fmt: skip
    limits = {"usd/day": "5"}
    return BotState(**{"name": "bots/btc", "at": 5, "trades": [trade], "limits": limits, **fields})


def change(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


def test_what_freqtrade_changed_since_is_taken_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "t.sqlite"
    before = bot_with()
    write_freqtrade(before, target)
    change(target, "UPDATE trades SET is_open = 0, close_rate = 51000.25, exit_reason = 'roi'")
    change(target, "UPDATE orders SET status = 'closed', ft_is_open = 0")
    change(target, "UPDATE trade_custom_data SET cd_value = '4'")
    now = read_freqtrade(target).bot
    trade, old = now.trades[0], before.trades[0]
    assert (trade.open, trade.exit_price, trade.exit_reason) == (False, "51000.25", "roi")
    assert (trade.id, trade.amount) == ("einzig", old.amount)  # more digits than a float has
    assert trade.extensions["lean"] == {"a": 1}
    assert trade.custom == {"level": 4}
    order = trade.orders[0]
    assert (order.status, order.open, order.intent) == ("closed", False, "0b" * 16)
    assert now.limits == {"usd/day": "5"}
    assert now.at > before.at  # its documents are as old as the database, not as the file


def test_an_amount_that_freqtrade_changed_is_not_what_we_wrote(tmp_path: Path) -> None:
    target = tmp_path / "t.sqlite"
    write_freqtrade(bot_with(), target)
    change(target, "UPDATE trades SET amount = 0.5")
    assert read_freqtrade(target).bot.trades[0].amount == "0.5"


def test_trades_and_locks_that_freqtrade_made_and_removed_are_seen(tmp_path: Path) -> None:
    target = tmp_path / "t.sqlite"
    write_freqtrade(bot_with(), target)
    change(target, "DELETE FROM orders")
    names = [column.name for column in TABLES["trades"]]
    values = ", ".join({"id": "8", "pair": "'ETH/USDT'"}.get(name, name) for name in names)
    change(target, f"INSERT INTO trades SELECT {values} FROM trades")
    day = "2026-01-01"
    values = f"1, 'BTC/USDT', '*', 'cooldown', '{day} 00:00:00', '{day} 01:00:00', 1"
    change(target, f"INSERT INTO pairlocks VALUES ({values})")
    now = read_freqtrade(target).bot
    assert [trade.symbol for trade in now.trades] == ["BTC/USDT", "ETH/USDT"]
    assert now.trades[0].orders == []
    assert [(lock.reason, lock.until - lock.at) for lock in now.locks] == [
        ("cooldown", 3_600_000_000)
    ]
    change(target, "DELETE FROM trades")
    assert read_freqtrade(target).bot.trades == []


def test_what_freqtrade_does_not_see_is_named(tmp_path: Path) -> None:
    told = write_freqtrade(bot_with(extensions={"lean": 1, "freqtrade": {}}), tmp_path / "t")
    assert told.rounded == ("trade einzig: amount 0.123456789012345678901",)
    assert told.unread == ("limits", "extensions.lean")


def test_intents_of_orders_are_named_by_whoever_knows_them(tmp_path: Path) -> None:
    bot = bot_with()
    bot.trades[0].orders[0].intent = None
    write_freqtrade(bot, tmp_path / "t")
    found = read_freqtrade(tmp_path / "t", intents={"77": "ab" * 16}).bot
    assert found.trades[0].orders[0].intent == "ab" * 16


def test_an_order_without_a_name_of_any_kind_is_refused(tmp_path: Path) -> None:
    bot = bot_with()
    bot.trades[0].orders = [BotOrder(role="entry")]
    with pytest.raises(InputError, match="neither an ID nor an intent"):
        write_freqtrade(bot, tmp_path / "t")


def test_a_trade_worth_more_than_a_float_holds_is_refused_by_name(tmp_path: Path) -> None:
    bot = bot_with()
    bot.trades[0].amount, bot.trades[0].entry_price, bot.trades[0].stake = "1E200", "1E200", None
    with pytest.raises(InputError, match="Trade einzig is worth"):
        write_freqtrade(bot, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_a_database_is_never_overwritten_and_is_its_owners_alone(tmp_path: Path) -> None:
    target = tmp_path / "t.sqlite"
    write_freqtrade(bot_with(), target)
    before = target.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(ConflictError, match="exists"):
        write_freqtrade(bot_with(), target)
    assert target.read_bytes() == before


def test_two_orders_of_one_id_on_a_pair_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    bot = bot_with()
    order = bot.trades[0].orders[0]
    bot.trades[0].orders.append(msgspec.structs.replace(order, intent="0c" * 16))
    with pytest.raises(InputError, match="only once"):
        write_freqtrade(bot, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    target = make_database(tmp_path / "t.sqlite", {})
    change(target, "CREATE TABLE trades_bak0 (id INTEGER)")
    change(target, "CREATE VIEW mine AS SELECT 1")
    assert read_freqtrade(target).left_out == ("mine", "trades_bak0")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER TABLE trades ADD COLUMN mood VARCHAR", "other columns .*: mood"),
        ("ALTER TABLE orders DROP COLUMN funding_fee", "orders has other .*: funding_fee"),
        ("DROP TABLE orders", "no table 'orders'"),
        ("ALTER TABLE trades RENAME TO other", "no table 'trades'"),
        ("INSERT INTO pairlocks VALUES (4, 'a', '*', '', 'never', 'x', 1)", "pairlocks 4: lock_ti"),
        ("INSERT INTO pairlocks VALUES (4, x'00', '*', '', '', '', 1)", "pairlocks 4: pair"),
        ("INSERT INTO pairlocks VALUES (4, 'a', '*', '', '2026-01-01', '2026-01-01', 7)", "active"),
        ("INSERT INTO KeyValueStore VALUES (1, 'k', 'float', 0, 0, 9e999, 0)", "datetime_value"),
        ("INSERT INTO KeyValueStore VALUES (1, 'k', 'float', '', NULL, 9e999, 0)", "float_value"),
    ],
)
def test_a_database_of_another_form_is_refused_and_says_where(
    tmp_path: Path, statement: str, says: str
) -> None:
    target = make_database(tmp_path / "t.sqlite", {})
    change(target, statement)
    with pytest.raises(ImportFormatError, match=says):
        read_freqtrade(target)


def test_a_view_in_the_place_of_a_table_is_not_read(tmp_path: Path) -> None:
    target = make_database(tmp_path / "t.sqlite", {})
    change(target, "ALTER TABLE trades RENAME TO other")
    change(target, "CREATE VIEW trades AS SELECT * FROM other")
    with pytest.raises(ImportFormatError, match="no table 'trades'"):
        read_freqtrade(target)


def test_no_database_and_none_of_sqlites_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"no database, and long enough to be looked at" * 9)
    with pytest.raises(ImportFormatError, match="no SQLite database"):
        read_freqtrade(tmp_path / "t")
    with pytest.raises(StorageError, match="cannot be read"):
        read_freqtrade(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def test_a_database_is_read_while_a_bot_writes_to_it(tmp_path: Path) -> None:
    target = make_database(tmp_path / "t.sqlite", {})
    with closing(sqlite3.connect(target)) as bot:
        bot.execute("PRAGMA journal_mode = WAL")
        bot.execute("BEGIN IMMEDIATE")
        bot.execute("INSERT INTO KeyValueStore VALUES (1, 'k', 'int', NULL, NULL, NULL, 4)")
        assert read_freqtrade(target).bot.extensions == {}  # not committed
        bot.execute("COMMIT")
        rows = read_freqtrade(target).bot.extensions["freqtrade"]["keyvalues"]
        assert rows == [{"id": 1, "key": "k", "value_type": "int", "int_value": 4}]


def test_all_tables_are_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = make_database(tmp_path / "t.sqlite", {})
    change(target, "PRAGMA journal_mode = WAL")
    read = freqtrade_database._read

    def slow(database: Any, table: str, tables: Any) -> Any:
        found = read(database, table, tables)
        if table == "trades":  # a bot goes on while the others are still to be read
            change(target, "INSERT INTO KeyValueStore VALUES (1, 'k', 'int', NULL, NULL, NULL, 4)")
        return found

    monkeypatch.setattr(freqtrade_database, "_read", slow)
    assert read_freqtrade(target).bot.extensions == {}
    monkeypatch.undo()
    assert "keyvalues" in read_freqtrade(target).bot.extensions["freqtrade"]


def test_a_short_trade_is_entered_by_a_sale(tmp_path: Path) -> None:
    orders = [
        BotOrder(id=str(number), role=role, status="closed", filled="1")  # type: ignore[arg-type]
        for number, role in enumerate(("entry", "exit", "stop"))
    ]
    for side, words in (("short", ["sell", "buy"]), ("long", ["buy", "sell"])):
        bot = bot_with()
        bot.trades[0].side, bot.trades[0].orders = side, orders  # type: ignore[assignment]
        target = moved(tmp_path, "t.sqlite")
        write_freqtrade(bot, target)
        rows = contents(target)["orders"]
        assert [row["ft_order_side"] for row in rows] == [*words, "stoploss"]
        change(target, "DROP TABLE haulout_bot_state")  # as freqtrade alone would have made it
        (trade,) = read_freqtrade(target).bot.trades
        assert [order.role for order in trade.orders] == ["entry", "exit", "stop"]
        trade.orders[0].role = "exit"  # by another program
        write_freqtrade(BotState(trades=[trade]), moved(tmp_path, "u.sqlite"))
        assert contents(tmp_path / "u.sqlite")["orders"][0]["ft_order_side"] == words[1]


@pytest.mark.parametrize(
    "broken",
    [
        {"freqtrade": {"keyvalues": [{"key": "k"}]}},
        {"freqtrade": []},
        {"freqtrade": {"stray_orders": 3}},
    ],
)
def test_a_broken_extension_is_refused_and_leaves_no_file(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    with pytest.raises(ImportFormatError, match="carries of freqtrade is broken"):
        write_freqtrade(BotState(extensions=broken), tmp_path / "t")
    assert not (tmp_path / "t").exists()


# ---------------------------------------------------------------------- freqtrade itself

PYTHON = interpreter("freqtrade")
with_freqtrade = pytest.mark.skipif(
    not PYTHON, reason="no freqtrade: set HAULOUT_FREQTRADE_PYTHON, or run `make demo-trading`"
)
_MAKE = """
import sys
from datetime import datetime, timedelta, timezone
from freqtrade.persistence import Order, PairLocks, Trade, init_db
from freqtrade.persistence.key_value_store import KeyValueStore
init_db(f"sqlite:///{sys.argv[1]}")
now = datetime(2026, 9, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
for short in (False, True):
    trade = Trade(
        pair="BTC/USDT" if not short else "ETH/USDT", stake_amount=100.1, amount=0.1 + 0.2,
        amount_requested=0.3, fee_open=0.001, fee_close=0.001, open_rate=333.3333, is_open=True,
        open_date=now, exchange="binance", strategy="Mine", timeframe=5, is_short=short,
        leverage=3.0 if short else 1.0, base_currency="BTC", stake_currency="USDT", enter_tag="dip",
    )
    trade.orders.append(Order.parse_from_ccxt_object(
        {"id": f"v-{short}", "symbol": trade.pair, "type": "limit", "status": "closed",
         "side": "sell" if short else "buy", "price": 333.3333, "amount": 0.3, "filled": 0.3,
         "remaining": 0.0, "cost": 99.99, "average": 333.3333, "timestamp": 1788264000123},
        trade.pair, "sell" if short else "buy", 0.3, 333.3333))
    trade.orders.append(Order(
        ft_order_side="stoploss", ft_pair=trade.pair, ft_is_open=True, ft_amount=0.3,
        ft_price=300.0, order_id=f"s-{short}", status="open", order_type="stop_loss_limit",
        stop_price=300.0))
    trade.adjust_stop_loss(333.3333, 0.1, initial=True)
    Trade.session.add(trade)
    Trade.commit()
    trade.set_custom_data("grid", {"level": 3, "prices": [1.5, 2]})
    trade.set_custom_data("armed", True)
    trade.set_custom_data("count", 7)
PairLocks.use_db = True
PairLocks.timeframe = "5m"
PairLocks.lock_pair("BTC/USDT", datetime(2099, 1, 1, tzinfo=timezone.utc), "cooldown", side="long")
KeyValueStore.store_value("bot_start_time", now)
"""
_TELL = """
import json, sys
from freqtrade.persistence import PairLocks, Trade, init_db
from freqtrade.persistence.key_value_store import KeyValueStore
PairLocks.use_db = True
for path in sys.argv[1:]:
    init_db(f"sqlite:///{path}")
    print(json.dumps([
        [trade.to_json() for trade in Trade.get_trades([]).all()],
        [[(one.cd_key, one.value) for one in trade.get_all_custom_data()]
         for trade in Trade.get_trades([]).all()],
        [lock.to_json() for lock in PairLocks.get_all_locks()],
        str(KeyValueStore.get_datetime_value("bot_start_time")),
        [trade.has_open_orders for trade in Trade.get_open_trades()],
    ], default=str, sort_keys=True))
"""


def freqtrade(program: str, *paths: Path) -> list[str]:
    done = subprocess.run(
        [PYTHON, "-c", program, *map(str, paths)],
        check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.stdout.splitlines()


@with_freqtrade
def test_freqtrades_own_models_see_the_same_after_the_round_trip(tmp_path: Path) -> None:
    origin, target, new = (tmp_path / name for name in ("here", "back", "new"))
    freqtrade(_MAKE, origin)
    for table in TABLES:  # and the tables are those that freqtrade makes
        assert shape(make_database(moved(tmp_path, "ours"), {}), table) == shape(origin, table)
    bot = read_freqtrade(origin).bot
    assert [trade.side for trade in bot.trades] == ["long", "short"]
    assert [[order.role for order in trade.orders] for trade in bot.trades] == [
        ["entry", "stop"], ["entry", "stop"],
    ]  # fmt: skip
    assert bot.trades[0].amount == "0.30000000000000004"
    assert bot.trades[0].initial_stop == "299.99997"
    assert bot.trades[0].custom == {
        "grid": {"level": 3, "prices": [1.5, 2]}, "armed": True, "count": 7,
    }  # fmt: skip
    assert [(lock.symbol, lock.side) for lock in bot.locks] == [("BTC/USDT", "long")]
    write_freqtrade(from_nautilus(to_nautilus(decode(encode(bot)))), target)
    assert contents(target) == contents(origin)
    write_freqtrade(bot_with(), new)  # never was in freqtrade
    here, back, made = freqtrade(_TELL, origin, target, new)
    assert back == here
    assert '"pair": "BTC/USDT"' in made
    assert '"order_id": "77"' in made
    assert contents(target) == contents(origin)  # nothing was migrated at its start
    assert read_freqtrade(new).bot == bot_with()


def shape(path: Path, table: str) -> Any:
    affinity = {"VARCHAR": "TEXT", "TEXT": "TEXT", "FLOAT": "REAL", "DOUBLE": "REAL"}
    with closing(sqlite3.connect(path)) as database:
        columns = [
            (name, affinity.get(kind.partition("(")[0], kind), bool(not_null or key))
            for _, name, kind, not_null, _, key in database.execute(f'PRAGMA table_info("{table}")')
        ]
        indexes = {
            name for _, name, *_ in database.execute(f'PRAGMA index_list("{table}")')
            if not name.startswith("sqlite_")
        }  # fmt: skip
        unique = sum(row[3] == "u" for row in database.execute(f'PRAGMA index_list("{table}")'))
    return columns, indexes, unique
