"""Bot states and databases of freqtrade's form, made by hypothesis."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from haulout.interchange import botstate as bs
from haulout.interchange.freqtradetables import TABLES, Column, schema

FEW = settings(
    max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
"""States are large: shrinking one takes minutes and tells little."""


def interpreter(name: str) -> str:
    """A Python that has ``freqtrade`` or ``nautilus``; empty where there is none.

    What HAULOUT_FREQTRADE_PYTHON or HAULOUT_NAUTILUS_PYTHON names, otherwise the environment that
    `make demo-trading` made.
    """
    named = os.environ.get(f"HAULOUT_{name.upper()}_PYTHON", "")
    made = Path(__file__).resolve().parents[2] / "build" / "trading" / name
    return named or (str(made / "bin" / "python") if (made / "done").exists() else "")


PRINTED = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
MOMENTS = st.integers(0, 4_000_000_000_000_000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | PRINTED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PRINTED, inner, max_size=3),
    max_leaves=6,
)
AMOUNTS = st.one_of(
    FLOATS.map(bs.amount_of),
    st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-9, max_value=9**9).map(
        str
    ),
)
INTENTS = st.binary(min_size=16, max_size=16).map(bytes.hex)


def _sql_value(column: Column) -> st.SearchStrategy[Any]:
    found: dict[str, st.SearchStrategy[Any]] = {
        "int": st.integers(-(2**40), 2**40),
        "bool": st.integers(0, 1),
        "real": FLOATS,
        "text": PRINTED,
        "time": MOMENTS.map(_sql_time),
    }
    value = found[column.kind]
    return st.none() | value if column.null else value


def _sql_time(at: int) -> str:
    from datetime import UTC, datetime, timedelta

    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")


def _sql_row(table: str, **given: Any) -> st.SearchStrategy[dict[str, Any]]:
    columns = {c.name: _sql_value(c) for c in TABLES[table] if c.name not in given}
    fixed = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for name, value in given.items()
    }
    return st.fixed_dictionaries({**columns, **fixed})


@st.composite
def custom_texts(draw: st.DrawFn) -> dict[str, str]:
    """A value as freqtrade writes it, or as it cannot be read."""
    kind, text = draw(
        st.one_of(
            st.tuples(st.just("str"), PRINTED),
            st.tuples(st.just("bool"), st.sampled_from(["True", "False"])),
            st.tuples(st.just("int"), st.integers().map(str)),
            st.tuples(st.just("float"), st.floats().map(str)),  # nan and inf among them
            st.tuples(st.sampled_from(["dict", "list", "NoneType"]), JSON.map(json.dumps)),
            st.tuples(st.just("dict"), st.sampled_from(["{", "[NaN]", '"\\ud800"'])),
            st.tuples(st.just("int"), st.just("seven")),
        )
    )
    return {"cd_type": kind, "cd_value": text}


@st.composite
def databases(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table, as SQLite holds them."""
    numbers = draw(st.lists(st.integers(1, 60), unique=True, max_size=3))
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    rows["trades"] = [draw(_sql_row("trades", id=n, pair="BTC/USDT")) for n in sorted(numbers)]
    owners = st.sampled_from([*numbers, 99])  # 99: the trade is gone
    names = draw(st.lists(st.integers(1, 90), unique=True, max_size=6))
    rows["orders"] = [
        draw(
            _sql_row(
                "orders", id=n, ft_trade_id=owners, order_id=f"o-{n}",
                ft_order_side=st.sampled_from(["buy", "sell", "stoploss"]),
            )
        )
        for n in sorted(names)
    ]  # fmt: skip
    for n in sorted(draw(st.lists(st.integers(1, 90), unique=True, max_size=4))):
        row = draw(_sql_row("trade_custom_data", id=n, ft_trade_id=owners, cd_key=f"key-{n}"))
        rows["trade_custom_data"].append({**row, **draw(custom_texts())})
    for table in ("pairlocks", "KeyValueStore", "wallet_history"):
        for n in sorted(draw(st.lists(st.integers(1, 9), unique=True, max_size=2))):
            row = draw(_sql_row(table, id=n))
            if table == "wallet_history":
                row["currency"] = f"C{n}"  # unique with the day
            if table == "pairlocks":
                row["pair"] = row["pair"] or "*"
            rows[table].append(row)
    return rows


def make_database(path: Path, rows: dict[str, list[dict[str, Any]]]) -> Path:
    """A database of freqtrade's form with these rows."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("BEGIN")
        for statement in schema():
            database.execute(statement)
        for table, lines in rows.items():
            for row in lines:
                marks = ", ".join("?" for _ in row)
                names = ", ".join(f'"{name}"' for name in row)
                database.execute(
                    f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values())
                )
    return path


def contents(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of freqtrade's tables, by table, in order of their IDs."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return {
            table: [dict(row) for row in database.execute(f'SELECT * FROM "{table}" ORDER BY id')]
            for table in TABLES
        }


def _maybe(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | value


EXTENSIONS = st.dictionaries(st.sampled_from(["lean", "jesse"]), JSON, max_size=1)
ORDERS = st.builds(
    bs.BotOrder,
    intent=INTENTS, role=st.sampled_from(["entry", "exit", "stop"]),
    side=_maybe(st.sampled_from(["buy", "sell"])), symbol=_maybe(PRINTED), kind=_maybe(PRINTED),
    status=_maybe(PRINTED), open=st.booleans(), price=_maybe(AMOUNTS), average=_maybe(AMOUNTS),
    amount=_maybe(AMOUNTS), filled=_maybe(AMOUNTS), remaining=_maybe(AMOUNTS),
    cost=_maybe(AMOUNTS), stop_price=_maybe(AMOUNTS), at=_maybe(MOMENTS),
    filled_at=_maybe(MOMENTS), updated_at=_maybe(MOMENTS), tag=_maybe(PRINTED),
    extensions=EXTENSIONS,
)  # fmt: skip
TRADES = st.builds(
    bs.BotTrade,
    id=st.one_of(st.integers(1, 99).map(str), st.sampled_from(["0x1", "007", "einzig", "-3"])),
    at=MOMENTS, venue=PRINTED, symbol=PRINTED.map(lambda text: text or "BTC/USDT"),
    base=_maybe(PRINTED), quote=_maybe(PRINTED), side=st.sampled_from(["long", "short"]),
    open=st.booleans(), amount=AMOUNTS, entry_price=AMOUNTS, exit_price=_maybe(AMOUNTS),
    stake=_maybe(AMOUNTS), leverage=_maybe(st.sampled_from(["1", "2.5"])), opened_at=MOMENTS,
    closed_at=_maybe(MOMENTS), stop=_maybe(AMOUNTS), initial_stop=_maybe(AMOUNTS),
    trailing=st.booleans(), highest=_maybe(AMOUNTS), lowest=_maybe(AMOUNTS),
    realized=_maybe(AMOUNTS), strategy=_maybe(PRINTED), entry_reason=_maybe(PRINTED),
    exit_reason=_maybe(PRINTED), orders=st.lists(ORDERS, max_size=2),
    custom=st.dictionaries(PRINTED, JSON, max_size=3), extensions=EXTENSIONS,
)  # fmt: skip
LOCKS = st.builds(
    bs.Lock, symbol=st.sampled_from(["*", "BTC/USDT"]), side=st.sampled_from(["*", "long"]),
    reason=_maybe(PRINTED), at=MOMENTS, until=MOMENTS, active=st.booleans(), extensions=EXTENSIONS,
)  # fmt: skip
COSTS = st.dictionaries(st.sampled_from(["usd", "orders"]), st.sampled_from(["1", "2.5"]))
KEPT_INTENTS = st.builds(
    bs.KeptIntent,
    id=INTENTS, key=_maybe(st.sampled_from(["k1", "k2"])), action=st.just("order"),
    role=st.sampled_from(["entry", "exit"]), target=PRINTED, payload=JSON, cost=COSTS,
    at=MOMENTS, status=st.sampled_from(["unknown", "accepted", "done", "cancelled"]),
    ref=_maybe(PRINTED), filled=_maybe(st.just("1")), result=JSON, why=PRINTED,
)  # fmt: skip
STATES = st.builds(
    bs.BotState,
    name=PRINTED, at=MOMENTS, source=PRINTED, tag=st.sampled_from(["", "0badcafe"]),
    trades=st.lists(TRADES, max_size=3, unique_by=lambda one: one.id),
    locks=st.lists(LOCKS, max_size=2),
    limits=st.dictionaries(st.sampled_from(["usd/day", "orders/60"]), st.just("5")),
    owner_limits=st.dictionaries(st.just("usd/day"), _maybe(st.just("7"))),
    halt=_maybe(
        st.builds(bs.Halt, action=st.sampled_from(["pause", "flatten"]), at=MOMENTS, why=PRINTED)
    ),
    spent=st.dictionaries(st.just("usd"), st.dictionaries(st.just("29000000"), st.just("3"))),
    values=st.dictionaries(
        PRINTED,
        st.builds(bs.KeptValue, value=JSON, version=st.integers(0, 9), at=MOMENTS),
        max_size=3,
    ),
    journals=st.dictionaries(
        PRINTED, st.lists(st.builds(bs.KeptNote, at=MOMENTS, value=JSON), max_size=3), max_size=2
    ),
    intents=st.lists(
        KEPT_INTENTS, max_size=2, unique_by=(lambda one: one.id, lambda one: one.key or one.id)
    ),
    extensions=EXTENSIONS,
)  # fmt: skip
