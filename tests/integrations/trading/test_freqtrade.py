"""freqtrade's bridge, with a stand-in for freqtrade and ccxt's own exchange at a venue."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest
from integrations.trading.environments import blocks
from integrations.trading.freqtradestandin import (
    FORCED,
    LONG,
    OTHER,
    PAIR,
    PRICES,
    Bot,
    Database,
    RememberingStrategy,
    Strategy,
    binance,
    stand_in,
)
from msgspec import structs

from haulout import Vault
from haulout.errors import StorageError
from haulout.integrations.bots.freqtradedatabase import Lock
from haulout.integrations.freqtrade import ADOPTED, Remembered, remember
from haulout.state.intents import Intent
from haulout.testing.venue.process import LoopbackVenue


@pytest.fixture(scope="module")
def process() -> Iterator[LoopbackVenue]:
    with LoopbackVenue(
        "C", prices=PRICES, balances={"BTC": "1000", "ETH": "0", "LTC": "0"}
    ) as venue:
        yield venue


@pytest.fixture
def venue(process: LoopbackVenue, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackVenue]:
    stand_in(monkeypatch)
    process.before = len(process.ledger())  # type: ignore[attr-defined]
    yield process
    process.clear()


def accepted(venue: LoopbackVenue, side: str = "buy") -> int:
    """How many orders the venue took in this test."""
    new = venue.ledger()[venue.before :]  # type: ignore[attr-defined]
    return sum(one.what == "accepted" and one.side == side for one in new)


# ---------------------------------------------------------------------- orders


def test_a_lost_answer_is_looked_up_and_freqtrade_gets_the_order(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    venue.fault("cut_after_accept", count=2)
    order = bot.enter()
    assert order["status"] == "closed"
    assert accepted(venue) == 1
    bot.turn()
    assert bot.enter() is None
    assert accepted(venue) == 1


def test_an_order_that_outlived_its_process_answers_the_next_one(
    venue: LoopbackVenue, caplog: pytest.LogCaptureFixture
) -> None:
    bot = Bot(venue)
    bot.die_while_sending()
    with pytest.raises(KeyboardInterrupt):
        bot.enter()
    assert not bot.database.trades
    with caplog.at_level(logging.INFO):
        bot = bot.again()
    assert "is not in its database, and answers its next order there" in caplog.text
    bot.strategy.signals.clear()  # the strategy wants nothing any more: it is there all the same
    assert bot.strategy.get_entry_signal(PAIR, "1m", None) == (LONG, ADOPTED)
    order = bot.enter()
    assert order["status"] == "closed"
    assert accepted(venue) == 1
    assert bot.database.trades[0].orders == [order["id"]]
    assert bot.strategy.get_entry_signal(PAIR, "1m", None) == (None, None)


def test_an_order_is_given_to_freqtrade_once(venue: LoopbackVenue) -> None:
    bot = Bot(venue, max_open_trades=-1)
    bot.die_while_sending()
    with pytest.raises(KeyboardInterrupt):
        bot.enter()
    bot = bot.again(max_open_trades=-1)
    order = (PAIR, "limit", "buy", 10, 0.05, {})
    # Before freqtrade has written the first into its database, too.
    first, second = bot.api.create_order(*order), bot.api.create_order(*order)
    assert first["id"] != second["id"]
    assert accepted(venue) == 2


def test_an_order_that_the_database_has_is_not_given_again(venue: LoopbackVenue) -> None:
    bot = Bot(venue, max_open_trades=-1)
    first = bot.enter()
    bot = bot.again(max_open_trades=-1)
    assert bot.enter()["id"] != first["id"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_lost_order_that_the_venue_does_not_show_is_not_sent_again(
    venue: LoopbackVenue, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    bot = Bot(venue)
    bot.die_while_sending()
    with pytest.raises(KeyboardInterrupt):
        bot.enter()
    bot = bot.again()
    monkeypatch.setattr(bot.kept._guard.venue, "find", lambda _intent: None)
    if kept:  # what it answered to the recovery
        assert bot.enter()["status"] == "closed"
    else:
        monkeypatch.setattr(Intent, "answer", lambda _self: None)
        with pytest.raises(ccxt.BaseError, match="does not show it"):
            bot.enter()
    assert accepted(venue) == 1


def test_a_held_entry_is_found_however_long_ago_it_ended(
    venue: LoopbackVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = Bot(venue)
    first = bot.enter()
    bot = bot.again(database=Database())
    read = bot.state.tape.read

    def forgetful(look: Any) -> Any:
        return read(lambda book, past: look(structs.replace(book, recent=[]), past))

    monkeypatch.setattr(bot.state.tape, "read", forgetful)
    assert bot.enter()["id"] == first["id"]


def test_a_lost_entry_counts_among_the_open_trades(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.strategy.signals.add(OTHER)
    bot.die_while_sending()
    with pytest.raises(KeyboardInterrupt):
        bot.enter()
    bot = bot.again()
    bot.strategy.signals.add(OTHER)
    assert bot.enter(OTHER) is None
    assert accepted(venue) == 1
    bot = bot.again(max_open_trades=2)
    bot.strategy.signals.add(OTHER)
    assert bot.enter(OTHER) is not None


def test_an_entry_of_unknown_outcome_counts_among_the_open_trades(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.strategy.signals.add(OTHER)
    venue.fault("cut_after_accept")
    venue.fault("error_before_accept", on="find", count=-1)
    with pytest.raises(ccxt.NetworkError):
        bot.enter()
    assert bot.enter(OTHER) is None
    venue.clear()
    assert bot.enter()["status"] == "closed"
    assert accepted(venue) == 1


def test_a_lost_exit_answers_the_next_one(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.enter()
    bot.die_while_sending()
    with pytest.raises(KeyboardInterrupt):
        bot.leave(bot.database.trades[0])
    bot = bot.again()
    bot.leave(bot.database.trades[0])
    assert accepted(venue, "sell") == 1


def test_an_entry_that_an_exit_has_closed_is_not_given_to_a_new_database(
    venue: LoopbackVenue,
) -> None:
    bot = Bot(venue)
    bot.enter()
    bot.leave(bot.database.trades[0])
    bot = bot.again(database=Database())
    bot.strategy.signals.clear()
    assert bot.enter() is None
    assert bot.strategy.get_entry_signal(PAIR, "1m", None) == (None, None)


def test_a_new_database_gets_the_open_trade_back(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    first = bot.enter()
    bot = bot.again(database=Database())
    assert bot.enter()["id"] == first["id"]
    assert accepted(venue) == 1


def test_a_trade_that_freqtrade_closed_holds_nothing(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.state.limit("trades/held", 1, by_owner=True)
    bot.enter()
    trade = bot.database.trades[0]
    trade.is_open = False  # sold by hand
    assert bot.state.tape.read(lambda book, _past: len(book.held)) == 1
    bot.turn()
    assert bot.state.tape.read(lambda book, _past: len(book.held)) == 0
    assert bot.enter() is not None


def test_adding_to_an_open_trade_is_no_trade_of_its_own(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.state.limit("trades/held", 1, by_owner=True)
    bot.enter()
    assert bot.api.create_order(PAIR, "limit", "buy", 1, 0.05, {})["status"] == "closed"
    with pytest.raises(ccxt.BaseError, match="trades/held"):
        bot.api.create_order(OTHER, "limit", "buy", 1, 0.01, {})


# ---------------------------------------------------------------------- the owner


def test_a_pause_forbids_entries_until_the_owner_resumes(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.state.pause("holidays")
    assert bot.enter() is None
    bot.state.resume()
    assert bot.enter() is not None
    assert accepted(venue) == 1


def test_a_pause_that_was_said_while_the_bot_was_dead_holds_at_its_start(
    venue: LoopbackVenue,
) -> None:
    bot = Bot(venue)
    bot.enter()
    bot.state.pause("while it was dead")
    bot = bot.again(max_open_trades=5)
    bot.strategy.signals.add(OTHER)
    assert bot.enter(OTHER) is None
    bot.state.resume()
    bot.clock.pass_by(11)
    bot.turn()
    assert bot.enter(OTHER) is not None


def test_flatten_asks_freqtrade_to_exit_every_trade(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.enter()
    bot.strategy.reasons = ["own"]
    trade = bot.database.trades[0]
    assert bot.strategy.should_exit(trade, 0.05, None, enter=False, exit_=False) == ["own"]
    bot.state.flatten("enough")
    found = bot.strategy.should_exit(trade, 0.05, None, enter=False, exit_=False)
    assert [found[0].exit_type, found[1]] == [FORCED, "own"]
    bot.leave(trade)
    assert accepted(venue, "sell") == 1
    assert bot.enter() is None


def test_losses_count_once_against_the_owners_limit(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.turn()
    bot.state.limit("loss-btc/day", "0.01", by_owner=True)
    bot.enter()
    bot.leave(bot.database.trades[0])
    bot.database.trades[0].close_profit_abs = -0.02
    bot.turn()
    bot.turn()
    bot = bot.again()
    bot.turn()
    spent = bot.state.tape.read(lambda book, _past: book.spent["loss-btc"])
    assert sum(map(Decimal, spent.values())) == Decimal("0.02")
    assert bot.state.get("closed")["losses_in_a_row"] == 1
    with pytest.raises(ccxt.BaseError, match="loss-btc/day"):
        bot.enter()


def test_a_gain_ends_the_row_of_losses_and_charges_nothing(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.turn()
    for profit in (-0.02, 0.01):
        bot.enter()
        trade = bot.database.open_trades()[0]
        bot.leave(trade)
        trade.close_profit_abs = profit
        bot.turn()
    assert bot.state.get("closed")["losses_in_a_row"] == 0
    assert len(bot.state.tape.read(lambda book, _past: book.spent["loss-btc"])) == 1


# ---------------------------------------------------------------------- the strategy's own


def test_custom_attributes_come_back_as_they_were(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    when = datetime(2026, 11, 24, 12, tzinfo=UTC)
    kept = {PAIR: {"cooldown": when, "seen": {1, 2}}, ("a", 1): Decimal("0.10")}
    bot.strategy.custom_info = kept
    bot.turn()
    bot = bot.again()
    assert bot.strategy.custom_info == kept


def test_custom_attributes_are_kept_before_an_order_goes_out(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.strategy.custom_info = {"signal": 17}
    bot.die_while_sending()
    with pytest.raises(KeyboardInterrupt):
        bot.enter()
    assert bot.again().strategy.custom_info == {"signal": 17}


def test_what_cannot_be_kept_is_named_once_and_the_rest_is_kept(
    venue: LoopbackVenue, caplog: pytest.LogCaptureFixture
) -> None:
    bot = Bot(venue)
    bot.strategy.custom_object = object()  # type: ignore[attr-defined]
    bot.strategy.custom_info = {"kept": 1}
    bot.turn()
    bot.turn()
    assert caplog.text.count("custom_object is not kept") == 1
    assert bot.again().strategy.custom_info == {"kept": 1}


def test_nothing_is_written_while_nothing_changes(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.turn()
    events = bot.state.tape.read(lambda book, _past: book.events)
    bot.turn()
    assert bot.state.tape.read(lambda book, _past: book.events) == events


def test_locks_and_trades_come_back_to_a_new_database(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.enter()
    bot.database.trades[0].own = {"level": 2}
    bot.database.held.append(Lock(PAIR, "2030-01-01T00:00:00+00:00", "Cooldown", "*"))
    bot.turn()
    new = Database()
    bot.again(database=new)
    assert new.held == [Lock(PAIR, "2030-01-01T00:00:00+00:00", "Cooldown", "*")]
    assert [(one.pair, one.own) for one in new.given] == [(PAIR, {"level": 2})]


def test_what_is_too_old_forbids_entries_until_a_person_says_resume(venue: LoopbackVenue) -> None:
    bot = Bot(venue)
    bot.strategy.custom_info = {"regime": "calm"}
    bot.turn()
    bot.clock.pass_by(7200)
    bot = bot.again(max_age=timedelta(hours=1))
    assert bot.enter() is None
    bot.turn()
    bot.clock.pass_by(11)
    bot.turn()
    assert bot.enter() is None  # looking at it does not make it younger
    bot.state.resume("looked at")
    bot.clock.pass_by(11)
    bot.turn()
    assert bot.enter() is not None


def test_a_bot_that_ran_all_the_while_is_not_too_old(venue: LoopbackVenue) -> None:
    age = timedelta(hours=1)
    bot = Bot(venue, max_age=age)
    for _ in range(8):
        bot.turn()
        bot.clock.pass_by(1200)
    bot = bot.again(max_age=age)
    assert bot.enter() is not None


# ---------------------------------------------------------------------- when memory is down


def _down(*_given: Any, **_named: Any) -> Any:
    raise StorageError("The disk is full.")


def test_without_memory_entries_are_refused_and_exits_go_out(
    venue: LoopbackVenue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bot = Bot(venue)
    bot.enter()
    monkeypatch.setattr(bot.state.tape, "transact", _down)
    monkeypatch.setattr(bot.state.tape, "read", _down)
    assert bot.strategy.confirm_trade_entry(pair=OTHER, amount=1, side="long") is False
    with pytest.raises(ccxt.BaseError, match="disk is full"):
        bot.api.create_order(OTHER, "limit", "buy", 1, 0.01, {})
    bot.turn()
    bot.turn()
    assert caplog.text.count("Memory is down") == 1
    trade = bot.database.trades[0]
    assert bot.strategy.should_exit(trade, 0.05, None, enter=False, exit_=False) == []
    bot.leave(trade)
    assert accepted(venue, "sell") == 1
    assert accepted(venue) == 1


# ---------------------------------------------------------------------- installing


@pytest.mark.parametrize("config", [{"dry_run": True}, {"runmode": "backtest"}])
def test_in_a_dry_run_or_a_backtest_nothing_is_changed(
    venue: LoopbackVenue, config: dict[str, Any], tmp_path: Path
) -> None:
    api = binance(venue.url)
    strategy = RememberingStrategy(api, **config)
    strategy.haulout_vault = tmp_path / "there is none"
    before = dict(vars(strategy))
    strategy.ft_bot_start()
    changed = {name for name, one in vars(strategy).items() if before.get(name) is not one}
    assert changed == {"custom_info", "remembered"}
    assert not any(name in vars(api) for name in ("create_order", "fetch", "cancel_order"))
    assert not strategy.remembered.is_live
    strategy.remembered.state.set("seen", 1)
    assert strategy.remembered.state.get("seen") == 1
    assert not list(tmp_path.iterdir())
    api.close()


def test_live_the_base_class_needs_no_call_and_closes_its_vault(
    venue: LoopbackVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulout.integrations.freqtrade.FreqtradeDatabase", Database)
    vault, _words = Vault.create(tmp_path / "vault", embedder="none")
    vault.close()
    for start in range(2):
        strategy = RememberingStrategy(binance(venue.url))
        strategy.haulout_vault = tmp_path / "vault"
        strategy.ft_bot_start()
        assert strategy.remembered.is_live
        assert strategy.custom_info == ({"starts": 1} if start else {})
        strategy.custom_info = {"starts": 1}
        strategy.ft_bot_cleanup()
        assert strategy.ends == 1
        strategy.dp._exchange._api.close()


def test_a_strategy_may_remember_from_its_own_bot_start_into_an_open_state(
    venue: LoopbackVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulout.integrations.freqtrade.FreqtradeDatabase", Database)
    bot = Bot(venue)
    strategy = Strategy(binance(venue.url))
    found = remember(strategy, state=bot.state)
    assert isinstance(found, Remembered)
    assert found.is_live
    strategy.bot_loop_start(current_time=datetime.now(UTC))
    assert strategy.turns == 1
    assert strategy.bot_loop_start.__qualname__ == "Strategy.bot_loop_start"
    strategy.dp._exchange._api.close()


def test_the_block_of_the_page(
    venue: LoopbackVenue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("haulout.integrations.freqtrade.FreqtradeDatabase", Database)
    monkeypatch.setitem(sys.modules, "freqtrade.strategy", SimpleNamespace(IStrategy=Strategy))
    monkeypatch.setenv("HAULOUT_HOME", str(tmp_path / "vault"))
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    (block,) = blocks("freqtrade")
    page: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "docs/trading.md, freqtrade", "exec"), page)
    for known in ({}, {"seen": 1}):
        strategy = page["MyStrategy"](binance(venue.url))
        strategy.ft_bot_start()
        assert strategy.remembered.state.name == "bots/btc"
        assert strategy.custom_info == known
        strategy.custom_info = {"seen": 1}
        strategy.ft_bot_cleanup()
        strategy.dp._exchange._api.close()
