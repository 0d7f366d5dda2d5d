"""alpaca-py's own client, at a venue on loopback: once, whatever the server answers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from state.desk import Clock, in_memory

from haulout.errors import (
    ActionRefusedError,
    InputError,
    NotFoundError,
    OutcomeUnknownError,
)
from haulout.integrations.alpaca import (
    AlpacaVenue,
    guard,
    guard_of,
    recover,
    role_of,
    unguard,
)
from haulout.state.refs import write
from haulout.state.state import State
from haulout.testing.venue.process import LoopbackVenue

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports websockets' old half
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient
    from alpaca.trading.requests import (
        ClosePositionRequest,
        LimitOrderRequest,
        MarketOrderRequest,
        ReplaceOrderRequest,
    )


@pytest.fixture(scope="module")
def process() -> Iterator[LoopbackVenue]:
    with LoopbackVenue("B", prices={"AAPL/USD": "200"}, balances={"USD": "1000000"}) as venue:
        yield venue


class Floor:
    """The loopback venue, and what was accepted there since this began."""

    def __init__(self, venue: LoopbackVenue) -> None:
        self.venue, self._before = venue, len(venue.ledger())

    def accepted(self) -> list[Any]:
        return [one for one in self.venue.ledger()[self._before :] if one.what == "accepted"]


@pytest.fixture
def floor(process: LoopbackVenue) -> Iterator[Floor]:
    yield Floor(process)
    process.clear()
    client = client_of(process)
    client.cancel_orders()
    with contextlib.suppress(APIError):
        client.close_position("AAPL")
    client._session.close()


def client_of(venue: LoopbackVenue, *, raw: bool = False) -> TradingClient:
    client = TradingClient("key", "secret", url_override=venue.url, raw_data=raw)
    client._retry_wait = 0  # seconds between its repetitions: three are waited for otherwise
    return client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock, request: pytest.FixtureRequest) -> State:
    return in_memory(clock, request.node.name)  # one venue serves them all: other IDs each time


@pytest.fixture
def client(floor: Floor, state: State, clock: Clock) -> Iterator[TradingClient]:
    found = client_of(floor.venue)
    yield guard(found, state, sleep=clock.pass_by)
    found._session.close()


def buy(qty: float = 1, **more: Any) -> MarketOrderRequest:
    return MarketOrderRequest(symbol="AAPL", qty=qty, side="buy", time_in_force="day", **more)


def limit(qty: float = 1, price: float = 100) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol="AAPL", qty=qty, side="buy", time_in_force="gtc", limit_price=price
    )


# --- before and after ----------------------------------------------------------------------


def test_control_an_unguarded_client_that_is_answered_504_twice_buys_three_times(
    floor: Floor,
) -> None:
    floor.venue.fault("error_after_accept", count=2, status=504)
    client = client_of(floor.venue)
    client.submit_order(buy())
    client._session.close()
    assert len(floor.accepted()) == 3


def test_e7_a_guarded_client_that_is_answered_504_twice_buys_once(
    floor: Floor, client: TradingClient, state: State
) -> None:
    floor.venue.fault("error_after_accept", count=2, status=504)
    order = client.submit_order(buy())
    (accepted,) = floor.accepted()
    assert str(order.client_order_id) == accepted.client
    assert state.open_intents() == []


@pytest.mark.parametrize("point", ["cut_after_accept", "garbage_after_accept"])
def test_an_order_whose_answer_is_lost_is_found_and_not_sent_again(
    floor: Floor, client: TradingClient, point: str
) -> None:
    floor.venue.fault(point)
    order = client.submit_order(buy())
    assert [one.client for one in floor.accepted()] == [str(order.client_order_id)]


@pytest.mark.parametrize("point", ["cut_before_accept", "busy"])
def test_an_order_that_did_not_arrive_is_sent_again_under_the_same_id(
    floor: Floor, client: TradingClient, state: State, point: str
) -> None:
    floor.venue.fault(point)
    client.submit_order(buy())
    (accepted,) = floor.accepted()
    assert accepted.client.replace("-", "").startswith(state.tag().hex())


def test_a_refusal_for_good_is_the_clients_own_error_and_is_not_sent_again(
    floor: Floor, client: TradingClient, state: State
) -> None:
    floor.venue.fault("refuse")
    with pytest.raises(APIError):
        client.submit_order(buy())
    assert floor.accepted() == []
    assert state.open_intents() == []


def test_while_nobody_answers_the_order_stays_open_and_a_recovery_finds_it(
    floor: Floor, client: TradingClient, state: State, clock: Clock
) -> None:
    floor.venue.fault("error_after_accept", count=1)
    floor.venue.fault("cut_before_accept", on="find", count=9)
    with pytest.raises(OutcomeUnknownError):
        client.submit_order(buy())
    (intent,) = state.open_intents()
    floor.venue.clear()
    again = client_of(floor.venue)
    guard(again, state, sleep=clock.pass_by)
    with pytest.raises(ActionRefusedError, match="recover"):
        again.submit_order(buy())
    report = recover(again, believed={"AAPL": "1"})
    assert (report.ready, report.unknown, report.differs) == (True, (), ())
    assert state.intent(intent.id).status == "done"
    again._session.close()


def test_one_key_orders_once(floor: Floor, client: TradingClient) -> None:
    first = client.submit_order(buy(), key="signal 7")
    second = client.submit_order(buy(), key="signal 7")
    assert first.id == second.id
    assert len(floor.accepted()) == 1


def test_an_id_of_ones_own_is_refused_with_what_to_do(client: TradingClient) -> None:
    with pytest.raises(InputError, match="key"):
        client.submit_order(buy(client_order_id="mine"))


# --- changes -------------------------------------------------------------------------------


def test_a_cancel_that_is_answered_504_after_it_worked_is_not_an_error(
    floor: Floor, client: TradingClient, state: State
) -> None:
    order = client.submit_order(limit())
    floor.venue.fault("error_after_accept", on="cancel", status=504)
    client.cancel_order_by_id(order.id)
    assert state.open_intents() == []


def test_a_replacement_whose_answer_is_lost_leaves_one_order_and_its_intent_follows(
    floor: Floor, client: TradingClient, state: State
) -> None:
    order = client.submit_order(limit())
    floor.venue.fault("cut_after_accept", on="replace")
    after = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=2))
    assert after.id != order.id
    assert [str(one.id) for one in client.get_orders()] == [str(after.id)]
    (intent,) = state.open_intents()
    assert intent.ref == str(after.id)


class Shelf:
    """A client that shows the orders that it is given, by either ID."""

    def __init__(self, *orders: dict[str, Any]) -> None:
        self._orders = orders

    def get(self, path: str, asked: dict[str, Any]) -> Any:
        client, ref = asked.get("client_order_id"), path.rpartition("/")[2]
        return next(
            one for one in self._orders if client == one["client_order_id"] or ref == one["id"]
        )


def test_f15_an_order_that_was_replaced_is_followed_to_the_newest(state: State) -> None:
    intent = state.reserve("order", {"symbol": "AAPL"}, target="alpaca/main/AAPL").intent
    ours = write(intent.id, "uuid")
    chain = [("1", ours, "replaced", "2"), ("2", "b", "replaced", "3"), ("3", "c", "filled", None)]
    shelf = Shelf(
        *(
            {"id": ref, "client_order_id": client, "status": status, "replaced_by": heir,
             "symbol": "AAPL", "filled_qty": "1", "filled_avg_price": "2"}
            for ref, client, status, heir in chain
        )
    )  # fmt: skip
    seen = AlpacaVenue(shelf, "alpaca/main/", role_of).find(intent)
    assert seen is not None
    assert (seen.ref, seen.status, seen.spent) == ("3", "done", {"usd": "2", "trades": "1"})


def test_a_position_is_closed_once_though_the_answer_is_lost(
    floor: Floor, client: TradingClient, state: State
) -> None:
    client.submit_order(buy(2))
    floor.venue.fault("cut_after_accept")
    client.close_position("AAPL")
    assert client.get_all_positions() == []
    assert [one.side for one in floor.accepted()] == ["buy", "sell"]
    assert state.tape.read(lambda book, _past: book.held) == {}


def test_half_a_position_is_closed(floor: Floor, client: TradingClient) -> None:
    client.submit_order(buy(2))
    client.close_position("AAPL", ClosePositionRequest(percentage="50"))
    assert client.get_open_position("AAPL").qty == "1"


# --- limits --------------------------------------------------------------------------------


def test_a_limit_on_trades_binds_entries_and_an_exit_gives_it_back(
    client: TradingClient, state: State
) -> None:
    state.limit("trades/held", 1)
    assert recover(client).ready
    client.submit_order(buy())
    with pytest.raises(ActionRefusedError, match="trades/held"):
        client.submit_order(buy())
    client.close_position("AAPL")
    client.submit_order(buy())


def test_a_limit_on_money_wants_a_price(client: TradingClient, state: State) -> None:
    state.limit("usd/day", 500)
    assert recover(client).ready
    with pytest.raises(ActionRefusedError, match="no price"):
        client.submit_order(buy())
    client.submit_order(limit(2, 200))
    with pytest.raises(ActionRefusedError, match="usd/day"):
        client.submit_order(limit(1, 101))


# --- on and off ----------------------------------------------------------------------------


def test_raw_answers_stay_raw(floor: Floor, state: State) -> None:
    client = guard(client_of(floor.venue, raw=True), state)
    assert client.submit_order(buy())["symbol"] == "AAPL"
    client._session.close()


def test_without_the_guard_the_client_is_as_it_was(floor: Floor, state: State) -> None:
    client = client_of(floor.venue)
    before = dict(vars(client))
    guard(client, state)
    with pytest.raises(InputError, match="guarded"):
        guard(client, state)
    unguard(client)
    assert vars(client) == before
    with pytest.raises(NotFoundError):
        guard_of(client)
    with pytest.raises(InputError, match="TradingClient"):
        guard(object(), state)
    client._session.close()


def test_contract_of_the_private_names_that_the_guard_stands_on(client: TradingClient) -> None:
    assert isinstance(client._retry, int)
    assert isinstance(client._use_raw_data, bool)
    assert guard_of(client).venue._client._session is client._session
