"""Alerts by webhook: whatever is delivered twice, late or out of order, is one order."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from haulout.errors import (
    InputError,
    LimitError,
    OutcomeUnknownError,
    StorageError,
    VenueRefusedError,
)
from haulout.integrations.webhook import Receiver, Seen, read_alert, receive
from haulout.state.acting import Actor
from haulout.state.intents import Intent
from haulout.state.refs import Rules
from haulout.state.state import State
from haulout.state.venue import Seen as SeenOrder

NOW = 1_790_000_000_000_000
SECRET = "a-secret-of-some-length"


class Venue:
    """Fills everything at once; `fault` happens to the next order."""

    name = "desk"
    rules = Rules("B", "hex", "id", settle_s=0)

    def __init__(self) -> None:
        self.orders: dict[bytes, SeenOrder] = {}
        self.sent: list[Intent] = []
        self.fault: Exception | None = None
        self.takes = True

    def submit(self, intent: Intent) -> SeenOrder:
        self.sent.append(intent)
        fault, self.fault = self.fault, None
        if fault is None or self.takes:
            self.orders[intent.id] = SeenOrder(
                intent=intent.id, ref=str(len(self.sent)), status="done"
            )
        if fault is not None:
            raise fault
        return self.orders[intent.id]

    def find(self, intent: Intent) -> SeenOrder | None:
        return self.orders.get(intent.id)

    def listed(self, _since: int) -> list[SeenOrder]:
        return list(self.orders.values())

    def positions(self) -> dict[str, str]:
        return {}


class Desk:
    def __init__(self) -> None:
        self.clock = NOW
        self.venue = Venue()
        self.state = State.in_memory("bots/alerts", now=lambda: self.clock)
        self.actor = Actor(
            self.state, self.venue, sleep=lambda _seconds: None, needs_recovery=False
        )

    def alert(self, seq: int, action: str = "buy", **fields: Any) -> bytes:
        told = {
            "v": 1, "stream": "breakout", "seq": seq, "time": self.clock // 1000, "action": action,
            "symbol": "BTCUSDT", "quantity": "0.01", **fields,
        }  # fmt: skip
        return json.dumps({key: one for key, one in told.items() if one is not None}).encode()

    def takes(self, body: bytes, **options: Any) -> Any:
        return receive(self.state, self.actor, body, **options)

    def notes(self) -> list[dict[str, Any]]:
        return self.state.journal("alerts", lambda total, _note: total, 0).notes()


@pytest.fixture
def desk() -> Desk:
    return Desk()


# ---------------------------------------------------------------------- one order


def test_an_alert_is_an_order(desk: Desk) -> None:
    received = desk.takes(desk.alert(7, price=50000.5, comment="dip"))
    assert (received.outcome, received.status) == ("acted", "done")
    (sent,) = desk.venue.sent
    assert sent.text == received.intent
    assert sent.content() == {
        "symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "price": "50000.5",
        "comment": "dip",
    }  # fmt: skip
    assert (sent.role, sent.target, sent.cost) == ("entry", "BTCUSDT", {"orders": "1"})


def test_the_same_alert_delivered_twice_is_one_order(desk: Desk) -> None:
    first = desk.takes(desk.alert(7))
    again = desk.takes(desk.alert(7))
    assert (again.outcome, again.intent) == ("repeated", first.intent)
    assert len(desk.venue.sent) == 1


def test_the_same_alert_delivered_again_much_later_is_still_one_order(desk: Desk) -> None:
    body = desk.alert(7)
    desk.takes(body)
    desk.clock += 86_400_000_000
    desk.takes(desk.alert(8, "close"))
    assert desk.takes(body).outcome == "repeated"
    assert [one.role for one in desk.venue.sent] == ["entry", "exit"]


def test_an_alert_that_arrives_behind_a_newer_one_is_refused_and_noted(desk: Desk) -> None:
    desk.takes(desk.alert(7))
    late = desk.alert(8)
    desk.takes(desk.alert(9, "close"))
    assert desk.takes(late).outcome == "overtaken"
    assert [one.role for one in desk.venue.sent] == ["entry", "exit"]
    assert [note["outcome"] for note in desk.notes()] == ["noted", "overtaken"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=20))
def test_however_alerts_are_delivered_each_is_at_most_one_order_and_newer_ones_win(
    order: list[int],
) -> None:
    desk = Desk()
    bodies = {seq: desk.alert(seq) for seq in range(1, 7)}
    for seq in order:
        desk.takes(bodies[seq])
    keys = [one.key for one in desk.venue.sent]
    rising = [seq for place, seq in enumerate(order) if seq > max(order[:place], default=0)]
    assert keys == [f"breakout#{seq}" for seq in rising]


def test_streams_are_numbered_apart(desk: Desk) -> None:
    desk.takes(desk.alert(9))
    assert desk.takes(desk.alert(3, stream="other")).outcome == "acted"
    assert len(desk.venue.sent) == 2


def test_one_number_with_another_body_is_refused(desk: Desk) -> None:
    desk.takes(desk.alert(7))
    received = desk.takes(desk.alert(7, quantity="5"))
    assert received.outcome == "refused"
    assert "another action" in received.why
    assert len(desk.venue.sent) == 1


def test_an_order_whose_answer_was_lost_is_found_and_not_sent_again(desk: Desk) -> None:
    desk.venue.fault = OutcomeUnknownError("no answer")
    assert desk.takes(desk.alert(7)).outcome == "acted"
    assert desk.takes(desk.alert(7)).outcome == "repeated"
    assert len(desk.venue.sent) == 1


def test_an_order_of_which_nobody_knows_is_said_to_be_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_intent: Intent) -> None:
        raise OutcomeUnknownError("still no answer")

    desk.venue.fault = OutcomeUnknownError("no answer")
    monkeypatch.setattr(desk.venue, "find", silent)
    assert desk.takes(desk.alert(7)).outcome == "unknown"
    assert desk.takes(desk.alert(7)).outcome == "unknown"
    monkeypatch.undo()
    assert desk.takes(desk.alert(7)).outcome == "repeated"
    assert len(desk.venue.sent) == 1


def test_a_crash_between_counting_and_acting_leaves_the_alert_to_be_sent_again(desk: Desk) -> None:
    def crash(_intent: Intent) -> None:
        raise KeyboardInterrupt

    desk.actor.act_on = crash  # type: ignore[assignment,method-assign]
    with pytest.raises(KeyboardInterrupt):
        desk.takes(desk.alert(7))
    del desk.actor.act_on
    assert desk.takes(desk.alert(7)).outcome == "acted"
    assert len(desk.venue.sent) == 1


# ---------------------------------------------------------------------- late and missed


def test_a_late_alert_is_refused_and_noted_and_still_counted(desk: Desk) -> None:
    desk.takes(desk.alert(6))
    body = desk.alert(7)
    desk.clock += 60_000_001
    received = desk.takes(body)
    assert received.outcome == "late"
    assert "60.0 s old" in received.why
    assert len(desk.venue.sent) == 1
    assert desk.notes()[-1]["outcome"] == "late"
    assert desk.takes(desk.alert(8)).missed == ""  # 7 came


def test_an_alert_of_just_the_allowed_age_is_taken(desk: Desk) -> None:
    body = desk.alert(7)
    desk.clock += 5_000_000
    assert desk.takes(body, max_age=timedelta(seconds=5)).outcome == "acted"


def test_an_alert_from_the_future_is_refused(desk: Desk) -> None:
    received = desk.takes(desk.alert(7, time=(NOW + 31_000_000) // 1000))
    assert received.outcome == "refused"
    assert "in the future" in received.why
    assert desk.venue.sent == []
    assert desk.takes(desk.alert(7, time=(NOW + 29_000_000) // 1000)).outcome == "acted"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ({"seq": 3}, {"seq": 4}, ""),
        ({"seq": 3}, {"seq": 5}, "alerts 4 of breakout never came"),
        ({"seq": 3}, {"seq": 9}, "alerts 4 to 8 of breakout never came"),
        ({"seq": 100}, {"seq": 900, "prev": 100}, ""),
        ({"seq": 100}, {"seq": 900, "prev": 0}, ""),
        (
            {"seq": 100},
            {"seq": 900, "prev": 700},
            "alerts of breakout after 100 never came, 700 last",
        ),
    ],
)
def test_a_missed_alert_is_told_by_the_next_one_and_nothing_is_guessed(
    desk: Desk, before: dict[str, Any], after: dict[str, Any], says: str
) -> None:
    desk.takes(desk.alert(**before))
    received = desk.takes(desk.alert(**after))
    assert (received.outcome, received.missed) == ("acted", says)
    assert len(desk.venue.sent) == 2  # none in the place of the one that never came
    (kept,) = [one for name in documents(desk) if (one := desk.state.document(name, Seen).get())]
    assert (kept.stream, kept.seq, kept.gaps) == ("breakout", after["seq"], int(bool(says)))
    assert [note["missed"] for note in desk.notes()] == [says] * bool(says)


def documents(desk: Desk) -> list[str]:
    return desk.state.tape.read(lambda book, _past: list(book.documents))


def test_a_sign_of_life_is_counted_and_no_order(desk: Desk) -> None:
    desk.takes(desk.alert(3, "none", symbol=None))
    received = desk.takes(desk.alert(6, "none", symbol=None))
    assert (received.outcome, received.missed) == ("noted", "alerts 4 to 5 of breakout never came")
    assert desk.venue.sent == []


# ---------------------------------------------------------------------- what forbids


def test_the_owners_word_holds_for_entries_and_not_for_exits(desk: Desk) -> None:
    desk.state.pause("holiday")
    received = desk.takes(desk.alert(7))
    assert received.outcome == "refused"
    assert "holiday" in received.why
    assert desk.takes(desk.alert(8, "close")).outcome == "acted"
    assert [one.role for one in desk.venue.sent] == ["exit"]


def test_a_limit_on_orders_holds(desk: Desk) -> None:
    desk.state.limit("orders/60", 2)
    found = [desk.takes(desk.alert(seq)).outcome for seq in (1, 2, 3)]
    assert found == ["acted", "acted", "refused"]


def test_what_the_venue_refuses_is_refused_for_good(desk: Desk) -> None:
    desk.venue.fault, desk.venue.takes = VenueRefusedError("no money"), False
    assert desk.takes(desk.alert(7)).outcome == "refused"
    assert desk.takes(desk.alert(7)).outcome == "refused"
    assert len(desk.venue.sent) == 1


def test_while_memory_is_down_entries_are_left_for_later_and_exits_are_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.takes(desk.alert(6))

    def hung(*_arguments: Any, **_more: Any) -> None:
        raise StorageError("the disk does not answer")

    entry, exit_ = desk.alert(7), desk.alert(8, "close")
    monkeypatch.setattr(desk.state.tape, "transact", hung)
    monkeypatch.setattr(desk.state.tape, "post", hung)
    with pytest.raises(StorageError):
        desk.takes(entry)
    assert desk.takes(exit_).outcome == "acted"
    assert [one.role for one in desk.venue.sent] == ["entry", "exit"]
    desk.clock += 61_000_000
    with pytest.raises(StorageError):  # too late even for an exit
        desk.takes(desk.alert(9, "close", time=NOW // 1000))


def test_an_entry_that_the_disk_refuses_at_the_last_moment_is_left_for_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hung(_intent: Intent, **_more: Any) -> None:
        raise StorageError("the disk does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(desk.state, "reserve_intent", hung)
        with pytest.raises(StorageError):
            desk.takes(desk.alert(7))
    assert desk.takes(desk.alert(7)).outcome == "acted"
    assert len(desk.venue.sent) == 1


def test_a_plan_of_ones_own_says_what_an_alert_means(desk: Desk) -> None:
    def plan(alert: Any) -> dict[str, Any]:
        return {"action": "mail", "payload": alert.fields, "target": "desk", "role": "entry"}

    desk.takes(desk.alert(7, to="me"), plan=plan)
    assert desk.venue.sent[0].content() == {"to": "me"}


# ---------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"v": 2}, "says"),
        ({"v": None}, "says"),
        ({"action": "short"}, "buy, sell, close or none"),
        ({"action": None}, "buy, sell, close or none"),
        ({"symbol": None}, "symbol"),
        ({"symbol": 7}, "symbol"),
        ({"stream": None}, "stream"),
        ({"stream": "a\nb"}, "stream"),
        ({"stream": "x" * 201}, "stream has at most 200"),
        ({"seq": -1}, "seq"),
        ({"seq": 1.5}, "seq"),
        ({"seq": True}, "seq"),
        ({"seq": "1e3"}, "seq"),
        ({"seq": "9" * 19}, "seq"),
        ({"prev": 7}, "prev 7 is below"),
        ({"time": None}, "time"),
        ({"time": "2026-11-24T10:00:00"}, "with a zone"),
        ({"time": "today"}, "with a zone"),
        ({"time": 2**44}, "milliseconds"),
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "-1"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"price": "1e99"}, "price"),
        ({"price": [1]}, "price"),
    ],
)
def test_what_is_no_alert_is_refused_and_says_why(
    desk: Desk, changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        desk.takes(desk.alert(**{"seq": 7, **changed}))
    assert desk.venue.sent == []
    assert documents(desk) == []


@pytest.mark.parametrize("body", [b"", b"buy", b"[]", b"[" * 9999, b"\xff", b'"x"', b"NaN"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        read_alert(body)


def test_an_alert_past_the_limit_is_refused(desk: Desk) -> None:
    with pytest.raises(LimitError):
        read_alert(desk.alert(7, note="x" * 16 * 1024))


def test_a_time_is_milliseconds_or_rfc_3339(desk: Desk) -> None:
    for told in (
        NOW // 1000,
        str(NOW // 1000),
        "2026-09-21T14:13:20Z",
        "2026-09-21T16:13:20+02:00",
    ):
        assert read_alert(desk.alert(7, time=told)).at == NOW


# ---------------------------------------------------------------------- HTTP


@contextmanager
def served(receiver: Receiver) -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        config = uvicorn.Config(receiver, log_config=None, access_log=False, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            end = time.monotonic() + 30
            while not server.started and time.monotonic() < end:
                threading.Event().wait(0.005)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def ask(
    port: int, path: str, body: bytes = b"", method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_over_http_the_secret_opens_by_path_or_header_and_nothing_else_does(desk: Desk) -> None:
    receiver = Receiver(desk.state, desk.actor, secret=SECRET)
    with served(receiver) as port:
        assert ask(port, f"/{SECRET}", desk.alert(1))[0] == 200
        assert ask(port, f"/tv/{SECRET}/", desk.alert(2))[0] == 200
        header = {"X-Haulout-Secret": SECRET, "Content-Type": "text/plain"}
        assert ask(port, "/", desk.alert(3), **header)[0] == 200
        for path in ("/", "/tv", f"/{SECRET[:-1]}", f"/{SECRET}x", f"/{SECRET}/x", "/%FF"):
            assert ask(port, path, desk.alert(4)) == (404, {"error": "There is nothing here."})
        assert ask(port, "/", desk.alert(4), **{"X-Haulout-Secret": "x"})[0] == 404
        assert ask(port, f"/{SECRET}", method="GET")[0] == 405
    assert len(desk.venue.sent) == 3


def test_over_http_an_alert_is_answered_by_what_became_of_it(desk: Desk) -> None:
    with served(Receiver(desk.state, desk.actor, secret=SECRET)) as port:
        url = f"/{SECRET}"
        status, told = ask(port, url, desk.alert(1))
        assert (status, told["outcome"], told["status"]) == (200, "acted", "done")
        assert ask(port, url, desk.alert(1))[1]["outcome"] == "repeated"
        assert ask(port, url, desk.alert(3))[1]["missed"] == "alerts 2 of breakout never came"
        assert ask(port, url, desk.alert(2))[0] == 409
        assert ask(port, url, b"buy")[0] == 400
        assert ask(port, url, b"x" * 20_000)[0] == 413
        desk.state.pause()
        assert ask(port, url, desk.alert(4))[0] == 409
    assert len(desk.venue.sent) == 2


def test_an_alert_that_cannot_be_written_down_is_asked_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hung(*_arguments: Any, **_more: Any) -> None:
        raise StorageError("the disk does not answer")

    with served(Receiver(desk.state, desk.actor, secret=SECRET)) as port:
        body = desk.alert(1)
        with monkeypatch.context() as patch:
            patch.setattr(desk.state.tape, "transact", hung)
            assert ask(port, f"/{SECRET}", body)[0] == 503
        assert desk.venue.sent == []
        assert ask(port, f"/{SECRET}", body)[1]["outcome"] == "acted"


class Turn:
    """A lock that says when a second one waits for it."""

    def __init__(self) -> None:
        self.asked = 0
        self.waiting = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.asked += 1
        if self.asked == 2:
            self.waiting.set()
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


def test_an_alert_that_comes_while_it_is_being_acted_on_waits_and_is_no_second_order(
    desk: Desk,
) -> None:
    receiver = Receiver(desk.state, desk.actor, secret=SECRET)
    turn = receiver._turn = Turn()  # type: ignore[assignment]
    body, send = desk.alert(1), desk.venue.submit
    threads = [threading.Thread(target=receiver.receive, args=(body,)) for _ in range(2)]

    def submit(intent: Intent) -> SeenOrder:
        if not desk.venue.sent:  # the first: the second arrives now
            threads[1].start()
            assert turn.waiting.wait(30)
        return send(intent)

    desk.venue.submit = submit  # type: ignore[method-assign]
    threads[0].start()
    threads[0].join()
    threads[1].join()
    assert (turn.asked, len(desk.venue.sent)) == (2, 1)


def test_a_secret_is_kept_nowhere_and_shown_nowhere(
    desk: Desk, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver = Receiver(desk.state, desk.actor, secret=SECRET)
    with caplog.at_level("DEBUG"), served(receiver) as port:
        ask(port, f"/{SECRET}", desk.alert(1))
        ask(port, f"/{SECRET}", b"buy")
    events = repr(list(desk.state.events()))
    told = capfd.readouterr()
    for text in (events, caplog.text, told.out, told.err, repr(vars(receiver)), repr(receiver)):
        assert SECRET not in text


@pytest.mark.parametrize(
    "secret", ["", "short", "x" * 15, "with a space in it", "ä" * 20, "x" * 201]
)
def test_a_secret_that_is_short_or_breaks_a_path_is_refused(desk: Desk, secret: str) -> None:
    with pytest.raises(InputError, match="A secret has 16"):
        Receiver(desk.state, desk.actor, secret=secret)


def test_serve_listens_on_this_machine_alone_unless_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from haulout.integrations.webhook import serve

    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: asked.append(options))
    serve(Receiver(desk.state, desk.actor, secret=SECRET))
    assert asked[0]["host"] == "127.0.0.1"
    assert asked[0]["access_log"] is False
    assert asked[0]["log_config"] is None
