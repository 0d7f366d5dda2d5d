from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from haulout.errors import OutcomeUnknownError, StorageError
from haulout.state.acting import Actor
from haulout.state.refs import Class
from haulout.state.state import State
from haulout.testing.venue.faults import Fault
from haulout.testing.venue.orders import Refusal
from haulout.testing.venue.process import LoopbackVenue

PAIR = "BTC/USDT"
ORDER = {"symbol": PAIR, "side": "buy", "amount": "1"}


def now() -> int:
    return time.time_ns() // 1000


def accepted(venue: LoopbackVenue, after: int = 0) -> list[str | None]:
    return [one.key for one in venue.ledger()[after:] if one.what == "accepted"]


@pytest.mark.parametrize("kind", ["A", "B", "C", "D"])
@pytest.mark.parametrize(
    "point", ["cut_after_accept", "error_after_accept", "garbage_after_accept", "kill_after_accept"]
)
def test_a_bot_acts_once_though_its_answer_is_lost(
    venue: LoopbackVenue, kind: Class, point: str
) -> None:
    venue.settings(kind=kind)
    before = len(venue.ledger())
    venue.fault(point)
    state = State.in_memory(now=now)
    client = venue.client(pid=2**22 + 1)  # nobody: a kill breaks the connection all the same
    acted = Actor(state, client, sleep=lambda _s: None).act("order", ORDER, key="s1")
    assert acted.intent.status == "done"
    assert accepted(venue, before) == ["s1"]
    assert venue.met()[-1] == point


@pytest.mark.parametrize("point", ["cut_before_accept", "error_before_accept", "busy"])
def test_a_call_that_fails_before_it_is_accepted_is_unknown_and_did_nothing(
    venue: LoopbackVenue, point: str
) -> None:
    before = len(venue.ledger())
    venue.fault(point)
    state = State.in_memory(now=now)
    with pytest.raises(OutcomeUnknownError):
        venue.client().submit(state.intended("order", ORDER))
    assert len(venue.ledger()) == before


def test_an_answer_that_hangs_is_given_up_and_its_order_is_there(venue: LoopbackVenue) -> None:
    venue.fault("hang_after_accept", seconds=5)
    wanted = State.in_memory(now=now).intended("order", ORDER)
    with pytest.raises(OutcomeUnknownError):
        venue.client(patience=0.5).submit(wanted)
    end = time.monotonic() + 30
    while (found := venue.client().find(wanted)) is None:  # a busy machine reads it later
        assert time.monotonic() < end
    assert found.status == "done"


def test_the_small_shape_lists_cancels_replaces_and_tells_positions(venue: LoopbackVenue) -> None:
    state, client = State.in_memory(now=now), venue.client()
    resting = state.intended("order", {**ORDER, "type": "limit", "price": "40000"})
    assert client.submit(resting).status == "accepted"
    assert client.find(resting).ref in venue.open(PAIR)
    edit = {**ORDER, "order": f"client:{resting.text}", "type": "limit", "price": "41000"}
    edited = state.intended("replace", edit)
    ref = client.submit(edited).ref
    assert venue.open(PAIR) == [ref]
    shown = {one.intent: one.status for one in client.listed(0)}
    assert (shown[resting.id], shown[edited.id]) == ("cancelled", "accepted")
    before = client.positions().get(PAIR, "0")
    venue.fill(ref, "0.5")
    assert float(client.positions()[PAIR]) - float(before) == 0.5
    cancel = state.intended("cancel", {"order": ref}, role="exit")
    assert client.submit(cancel).status == "done"
    assert venue.open(PAIR) == []
    assert client.find(state.intended("order", ORDER)) is None


def test_the_test_moves_time_and_prices_and_trades_by_hand(venue: LoopbackVenue) -> None:
    begun = venue.now()
    assert venue.advance(3600) - begun >= 3_600_000_000
    order = venue.trade(PAIR, "buy", 1, type="limit", price="45000")
    assert order.by == "user"
    venue.price(PAIR, 44000)
    assert order.id not in venue.open()
    resting = venue.trade(PAIR, "buy", 1, type="limit", price="1")
    assert venue.cancel(resting.id).status == "cancelled"
    with pytest.raises(Refusal):
        venue.cancel(resting.id)
    with pytest.raises(Refusal):
        venue.fault("no such point")


def test_a_ledger_file_outlives_a_killed_venue(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with LoopbackVenue(prices={PAIR: "100"}, ledger=path) as venue:
        venue.client().submit(State.in_memory(now=now).intended("order", ORDER, key="s1"))
        os.kill(venue.pid, signal.SIGKILL)
    assert accepted(venue) == ["s1"]


def test_everything_may_be_given_at_the_start(tmp_path: Path) -> None:
    start = 1_700_000_000_000_000
    fault = Fault(point="cut_after_accept", count=1)
    with LoopbackVenue(
        "D", prices={PAIR: "100"}, balances={"USDT": "150"}, virtual=start, text=False,
        faults=[fault],
    ) as venue:  # fmt: skip
        assert venue.now() == start
        assert venue.advance(1.5) == start + 1_500_000
        client = venue.client()
        wanted = State.in_memory(now=now).intended("order", ORDER)
        with pytest.raises(OutcomeUnknownError):
            client.submit(wanted)
        assert [(one.intent, one.at) for one in client.listed(0)] == [(None, start + 1_500_000)]
        with pytest.raises(Exception, match="too little USDT"):
            client.submit(wanted)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "haulout.testing.venue", *words]


def test_the_process_says_where_it_is_and_ends_when_its_standard_input_closes() -> None:
    process = subprocess.Popen(command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    said = msgspec.json.decode(process.stdout.readline())
    assert said["url"].startswith("http://127.0.0.1:")
    assert said["pid"] == process.pid
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()


def test_the_process_ends_after_its_time() -> None:
    ended = subprocess.run(
        command("--for", "0.1", "--alone"),
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == 0


def test_a_venue_that_cannot_start_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StorageError), LoopbackVenue(kind="Z"):  # type: ignore[arg-type]
        pass
    assert "invalid choice" in capfd.readouterr().err


def test_a_venue_kills_the_process_that_a_request_names(venue: LoopbackVenue) -> None:
    for point, arrives in (("kill_before_accept", 0), ("kill_after_accept", 1)):
        before = len(accepted(venue))
        venue.fault(point)
        bot = subprocess.run([sys.executable, "-c", BOT, venue.url], check=False, timeout=60)
        assert bot.returncode == -signal.SIGKILL
        assert len(accepted(venue)) - before == arrives


BOT = """
import sys
from haulout.state.state import State
from haulout.testing.venue.client import HttpVenue
order = {"symbol": "BTC/USDT", "side": "buy", "amount": "1"}
HttpVenue(sys.argv[1]).submit(State.in_memory(now=lambda: 1).intended("order", order))
"""
