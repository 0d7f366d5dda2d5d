"""NautilusTrader's bridge, with a stand-in for its strategy and cache."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from integrations.trading.environments import blocks
from state.desk import Clock, in_memory

from haulout import Vault
from haulout.errors import ActionRefusedError, InputError, StaleStateError, StorageError
from haulout.integrations.nautilus import Bridge, bridge
from haulout.state.state import State

INSTRUMENT = "BTCUSDT.BINANCE"


class ClientOrderId(str):
    """An order's ID; NautilusTrader's has a class of its own, too."""

    __slots__ = ()


@pytest.fixture(autouse=True)
def nautilus_trader(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(ClientOrderId=ClientOrderId)
    monkeypatch.setitem(sys.modules, "nautilus_trader.model.identifiers", found)


class Order:
    """An order in NautilusTrader's cache."""

    def __init__(self, client: str, clock: Clock, quantity: str = "2") -> None:
        self.client_order_id, self.venue_order_id = client, None
        self.instrument_id, self.quantity, self.is_reduce_only = INSTRUMENT, quantity, False
        self.ts_init = clock.now() * 1000
        self.become("SUBMITTED")
        self.filled_qty: Any = "0"

    def become(self, status: str, *, filled: str = "0", reason: str = "") -> SimpleNamespace:
        self.status = SimpleNamespace(name=status)
        self.filled_qty = filled
        self.last_event = SimpleNamespace(reason=reason, client_order_id=self.client_order_id)
        return self.last_event


class Strategy:
    """A strategy of a user's, with NautilusTrader's methods."""

    id = "CROSSING-001"

    def __init__(self) -> None:
        self.seen, self.events = 0, []
        self.orders: dict[str, Order] = {}
        self.cache = SimpleNamespace(
            order=lambda one: self.orders.get(str(one)),
            orders=lambda strategy_id: list(self.orders.values()),  # noqa: ARG005
            positions_open=lambda strategy_id: [],  # noqa: ARG005
        )

    def on_bar(self, _bar: Any) -> None:
        self.seen += 1

    def on_order_event(self, event: Any) -> None:
        self.events.append(event)

    def on_save(self) -> dict[str, bytes]:
        return {"seen": b"%d" % self.seen, "raw": b"\x00\xff"}

    def save(self) -> dict[str, bytes]:
        return self.on_save()

    def load(self, state: dict[str, bytes]) -> None:
        self.seen, self.raw = int(state["seen"]), state["raw"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> State:
    return in_memory(clock, "nautilus")


def again(state: State, clock: Clock) -> State:
    """The state of the next process."""
    return in_memory(clock, "next", events=[one.event for one in state.events()])


def sent(found: Bridge, strategy: Strategy, clock: Clock, **more: Any) -> Order:
    order = Order(found.reserve(INSTRUMENT, "BUY", "2", **more), clock)
    strategy.orders[str(order.client_order_id)] = order
    return order


# ---------------------------------------------------------------------- the strategy's own state


def test_what_every_decision_changed_is_there_after_a_kill(state: State, clock: Clock) -> None:
    strategy = Strategy()
    bridge(strategy, state)
    for _ in range(3):
        strategy.on_bar(None)
    new = Strategy()
    bridge(new, again(state, clock))
    assert (new.seen, new.raw) == (3, b"\x00\xff")


def test_a_first_start_loads_nothing(state: State) -> None:
    strategy = Strategy()
    bridge(strategy, state)
    assert strategy.seen == 0
    assert not hasattr(strategy, "raw")


def test_a_decision_that_changed_nothing_writes_nothing(state: State) -> None:
    strategy = Strategy()
    found = bridge(strategy, state)
    strategy.on_bar(None)
    events = state.tape.read(lambda book, _past: book.events)
    strategy.on_order_event(SimpleNamespace(client_order_id="somebody's"))
    assert found.save()
    assert state.tape.read(lambda book, _past: book.events) == events
    assert len(strategy.events) == 1


def test_what_is_too_old_is_not_loaded(state: State, clock: Clock) -> None:
    strategy = Strategy()
    bridge(strategy, state)
    strategy.on_bar(None)
    clock.pass_by(3601)
    new = Strategy()
    with pytest.raises(StaleStateError):
        bridge(new, again(state, clock), max_age=timedelta(hours=1))
    assert new.seen == 0


def test_a_failing_disk_stops_no_strategy_and_refuses_its_entries(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = Strategy()
    found = bridge(strategy, state)

    def down(*_given: Any, **_named: Any) -> Any:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(state.tape, "transact", down)
        strategy.on_bar(None)
        assert strategy.seen == 1
        assert found.failure is not None
        with pytest.raises(ActionRefusedError, match="memory is down"):
            found.reserve(INSTRUMENT, "BUY", "1")
    strategy.on_bar(None)
    assert found.failure is None
    assert found.reserve(INSTRUMENT, "BUY", "1")


# ---------------------------------------------------------------------- orders


def test_an_order_bears_the_id_of_an_intent_that_stands_before_it(
    state: State, clock: Clock
) -> None:
    strategy = Strategy()
    found = bridge(strategy, state)
    order = sent(found, strategy, clock, price="50000")
    intent = found.intent_of(order.client_order_id)
    assert intent is not None
    assert intent.status == "reserved"
    assert order.client_order_id == intent.text
    assert intent.content()["price"] == "50000"


def test_what_becomes_of_an_order_is_written_down(state: State, clock: Clock) -> None:
    strategy = Strategy()
    found = bridge(strategy, state)
    order = sent(found, strategy, clock)

    def status() -> tuple[str, str | None]:
        intent = found.intent_of(order.client_order_id)
        assert intent is not None
        return intent.status, intent.filled

    strategy.on_order_event(order.become("ACCEPTED"))
    assert status() == ("accepted", "0")
    strategy.on_order_event(order.become("PARTIALLY_FILLED", filled="1"))
    assert status() == ("accepted", "1")
    strategy.on_order_event(order.become("FILLED", filled="2"))
    assert status() == ("done", "2")


@pytest.mark.parametrize(
    ("status", "reason", "after"),
    [("CANCELED", "", "cancelled"), ("DENIED", "too large", "refused"),
     ("REJECTED", "insufficient funds", "refused"), ("REJECTED", "UNKNOWN", "reserved"),
     ("INITIALIZED", "", "reserved")],
)  # fmt: skip
def test_an_order_ends_as_its_events_say_and_silence_is_no_refusal(
    state: State, clock: Clock, status: str, reason: str, after: str
) -> None:
    strategy = Strategy()
    found = bridge(strategy, state)
    order = sent(found, strategy, clock)
    strategy.on_order_event(order.become(status, reason=reason))
    intent = found.intent_of(order.client_order_id)
    assert intent is not None
    assert intent.status == after


def test_a_second_entry_waits_while_nobody_knows_of_the_first(state: State, clock: Clock) -> None:
    strategy = Strategy()
    found = bridge(strategy, state)
    order = sent(found, strategy, clock)
    with pytest.raises(ActionRefusedError, match="nobody knows"):
        found.reserve(INSTRUMENT, "BUY", "2")
    assert found.reserve(INSTRUMENT, "SELL", "2", role="exit")
    strategy.on_order_event(order.become("FILLED", filled="2"))
    assert found.reserve(INSTRUMENT, "BUY", "2")


def test_outside_of_nautilus_trader_it_says_so(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = bridge(Strategy(), state)
    monkeypatch.delitem(sys.modules, "nautilus_trader.model.identifiers")
    with pytest.raises(InputError, match="is not loaded here") as error:
        found.reserve(INSTRUMENT, "BUY", "2")
    assert "inside nautilus_trader" in str(error.value.hint)
    assert not state.open_intents()


def test_a_key_decides_once(state: State, clock: Clock) -> None:
    strategy = Strategy()
    found = bridge(strategy, state)
    order = sent(found, strategy, clock, key="signal 17")
    strategy.on_order_event(order.become("FILLED", filled="2"))
    with pytest.raises(ActionRefusedError, match="decided intent"):
        found.reserve(INSTRUMENT, "BUY", "2", key="signal 17")


def test_the_owners_limit_and_pause_bind_entries(state: State, clock: Clock) -> None:
    strategy = Strategy()
    found = bridge(strategy, state)
    state.limit("trades/held", 1, by_owner=True)
    order = sent(found, strategy, clock)
    strategy.on_order_event(order.become("FILLED", filled="2"))
    with pytest.raises(ActionRefusedError, match="trades/held"):
        found.reserve(INSTRUMENT, "BUY", "2")
    intent = found.intent_of(order.client_order_id)
    assert intent is not None
    sale = Order(found.reserve(INSTRUMENT, "SELL", "2", role="exit", closes=[intent.id]), clock)
    strategy.orders[str(sale.client_order_id)] = sale
    strategy.on_order_event(sale.become("FILLED", filled="2"))
    state.pause("enough")
    with pytest.raises(ActionRefusedError, match="pause"):
        found.reserve(INSTRUMENT, "BUY", "2")
    state.resume()
    assert found.reserve(INSTRUMENT, "BUY", "2")


# ---------------------------------------------------------------------- recovery


def test_a_recovery_settles_what_the_cache_has(state: State, clock: Clock) -> None:
    strategy = Strategy()
    order = sent(bridge(strategy, state), strategy, clock)
    order.become("FILLED", filled="2")
    new = Strategy()
    new.orders = strategy.orders
    found = bridge(new, again(state, clock))
    report = found.recover()
    assert report.ready
    assert [one.after for one in report.resolved] == ["done"]


@pytest.mark.parametrize(("kind", "ready"), [("D", False), ("C", True)])
def test_an_order_that_the_cache_lacks_is_lost_only_where_the_venue_can_tell(
    state: State, clock: Clock, kind: Any, *, ready: bool
) -> None:
    strategy = Strategy()
    sent(bridge(strategy, state), strategy, clock)
    found = bridge(Strategy(), again(state, clock), kind=kind)
    report = found.recover()
    assert report.ready is ready
    assert [one.after for one in report.resolved] == (["dropped"] if ready else ["reserved"])


def test_orders_that_the_journal_lacks_are_adopted_and_others_left_alone(
    state: State, clock: Clock
) -> None:
    state.tag()  # a backup that was made before the order
    older = again(state, clock)
    strategy = Strategy()
    order = sent(bridge(strategy, state), strategy, clock)
    strategy.on_order_event(order.become("FILLED", filled="2"))
    strategy.orders["foreign"] = Order("O-1", clock)
    new = Strategy()
    new.orders = strategy.orders
    report = bridge(new, older).recover()
    assert (len(report.adopted), report.foreign) == (1, 1)
    assert not report.ready


def test_the_blocks_of_the_page(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HAULOUT_HOME", str(tmp_path / "vault"))
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    strategy: Any = Strategy()
    strategy.submit_order = lambda order: strategy.orders.update({str(order): order})
    strategy.order_factory = SimpleNamespace(
        market=lambda *_given, client_order_id: Order(client_order_id, clock)
    )
    page: dict[str, Any] = {
        "strategy": strategy, "instrument": SimpleNamespace(id=INSTRUMENT), "side": "BUY",
        "quantity": "2",
    }  # fmt: skip
    for number, block in enumerate(blocks("NautilusTrader")):
        exec(compile(block, f"docs/trading.md, NautilusTrader {number}", "exec"), page)
    assert page["kept"].intent_of(page["wanted"]).key == "signal 7"
    page["vault"].close()
