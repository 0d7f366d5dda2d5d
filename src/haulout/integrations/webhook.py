"""Alerts of TradingView, or of anything that posts JSON, as actions that are done once.

    from haulout import Vault
    from haulout.integrations.webhook import Receiver, serve

    state = Vault.open().state("bots/alerts")
    receiver = Receiver(state, Actor(state, venue), secret=my_secret)
    print(receiver.actor.recover().text())              # before the first alert
    serve(receiver)                                     # http://127.0.0.1:8787/<secret>

A Pine script keeps nothing between two loads, so memory stands here: what an alert's number
decided is decided for good, a number that was left out is reported, and what comes late or after
a newer one is refused. docs/trading.md has the alert's form.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, NamedTuple, cast

import msgspec

from haulout.errors import (
    ActionError,
    ActionRefusedError,
    ConflictError,
    HauloutError,
    InputError,
    LimitError,
    OperationReusedError,
    OutcomeUnknownError,
    StorageError,
    VaultClosedError,
    VenueRefusedError,
)
from haulout.state.acting import Actor
from haulout.state.events import json_text, name_text
from haulout.state.state import State

__all__ = ["Alert", "Received", "Receiver", "as_action", "read_alert", "receive", "serve"]

BODY_BYTES: Final = 16 * 1024
"""An alert's message has at most some 4 KB at TradingView."""
BODY_SECONDS: Final = 5.0
MAX_AGE: Final = timedelta(seconds=60)
AHEAD: Final = timedelta(seconds=30)
"""A sender's clock may be so far ahead of ours; an alert from further on is no alert of now."""
HEADER: Final = b"x-haulout-secret"
_SHORTEST: Final = 16
_VERSION: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS: Final = 32
_STREAM_BYTES: Final = 200
"""With a number behind it, it is a key, of at most 255."""
_LATEST_MS: Final = 2**43
Outcome = Literal["acted", "repeated", "late", "overtaken", "refused", "unknown", "noted"]
_BUSY: Final = (StorageError, VaultClosedError)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, as it was sent.

    Attributes:
        stream: whose numbers these are, such as a strategy on a chart.
        seq: grows from alert to alert; previous: the number before it, where the sender knows it;
            without, numbers grow by 1.
        at: when it was sent, microseconds since 1970 UTC.
        action: ``buy``, ``sell``, ``close`` or ``none`` (a sign of life that is only counted).
        symbol, quantity, price: decimal text; fields: everything else, for the receiver's `plan`.
    """

    stream: str
    seq: int
    previous: int | None = None
    at: int
    action: Literal["buy", "sell", "close", "none"]
    symbol: str = ""
    quantity: str | None = None
    price: str | None = None
    fields: dict[str, Any] = {}


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an alert.

    Attributes:
        outcome: ``acted`` now or ``repeated`` (it was before); ``late``, ``overtaken`` by a newer
            one, or ``refused``: nothing was sent; ``unknown``: it may have been done; ``noted``.
        intent: the action's ID; status: how it stands; missed: what was left out before it, as a
            sentence; why: in words.
    """

    outcome: Outcome
    intent: str = ""
    status: str = ""
    missed: str = ""
    why: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a stream: the newest number, when it was sent, how many gaps there were."""

    stream: str
    seq: int
    at: int
    gaps: int = 0


Plan = Callable[[Alert], Mapping[str, Any]]
"""The arguments of `Actor.act` for an alert, but for its key."""


def as_action(alert: Alert) -> dict[str, Any]:
    """The plan where none is given: an order of the alert's own words; ``close`` is an exit."""
    payload = {"symbol": alert.symbol, "side": alert.action, **alert.fields}
    if alert.quantity is not None:
        payload["quantity"] = alert.quantity
    if alert.price is not None:
        payload["price"] = alert.price
    return {
        "action": "order",
        "payload": payload,
        "role": "exit" if alert.action == "close" else "entry",
        "target": alert.symbol,
        "cost": {"orders": 1},
    }


# ---------------------------------------------------------------------- reading


def read_alert(body: bytes) -> Alert:
    """Read an alert.

    Args:
        body: a JSON object: ``v`` (1), ``stream``, ``seq``, ``time`` (milliseconds since 1970, or
            RFC 3339), ``action``, and for an order ``symbol``; ``prev``, ``quantity``, ``price``
            and fields of one's own may stand beside them.

    Raises:
        InputError: it is none; LimitError: it is too long.
    """
    if len(body) > BODY_BYTES:
        message = f"An alert has at most {BODY_BYTES} bytes, not {len(body)}."
        raise LimitError(message)
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        message = "An alert is a JSON object; this is no JSON."
        raise InputError(message) from error
    if not isinstance(given, dict):
        message = "An alert is a JSON object."
        raise InputError(message)
    fields = dict(cast("dict[str, Any]", given))
    if fields.pop("v", None) != _VERSION:
        message = f'An alert says `"v": {_VERSION}`; this one is of another form.'
        raise InputError(message)
    action = str(fields.pop("action", "")).lower()
    if action not in {"buy", "sell", "close", "none"}:
        message = f"An alert's action is buy, sell, close or none, not {action[:20]!r}."
        raise InputError(message)
    symbol = fields.pop("symbol", "")
    if symbol or action != "none":
        symbol = name_text(symbol, "An alert's symbol")
    previous = fields.pop("prev", None)
    stream = name_text(fields.pop("stream", None), "An alert's stream")
    if len(stream.encode()) > _STREAM_BYTES:
        message = f"An alert's stream has at most {_STREAM_BYTES} bytes."
        raise LimitError(message)
    alert = Alert(
        stream=stream,
        seq=_whole(fields.pop("seq", None), "seq"),
        previous=None if previous is None else _whole(previous, "prev"),
        at=_moment(fields.pop("time", None)),
        action=cast("Any", action),
        symbol=symbol,
        quantity=_decimal(fields.pop("quantity", None), "quantity"),
        price=_decimal(fields.pop("price", None), "price"),
        fields=fields,
    )
    if alert.previous is not None and alert.previous >= alert.seq:
        message = f"An alert's prev {alert.previous} is below its seq {alert.seq}."
        raise InputError(message)
    return alert


def _whole(value: Any, name: str) -> int:
    # Pine writes numbers as text, and a large one as 1.7e12 unless it is told not to: refused.
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        message = f"An alert's {name} is a whole number from 0, not {str(value)[:30]!r}."
        raise InputError(message)
    return int(text)


def _moment(value: Any) -> int:
    if isinstance(value, str) and not value.isdigit():
        try:
            found = msgspec.convert(value, datetime)
            return (found - _EPOCH) // timedelta(microseconds=1)
        except (msgspec.ValidationError, TypeError) as error:  # TypeError: it names no zone
            message = f"An alert's time is no RFC 3339 time with a zone: {value[:40]!r}."
            raise InputError(message) from error
    milliseconds = _whole(value, "time")
    if milliseconds > _LATEST_MS:
        message = f"An alert's time is in milliseconds since 1970, not {milliseconds}."
        raise InputError(message)
    return milliseconds * 1000


def _decimal(value: Any, name: str) -> str | None:
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise TypeError(value)  # True is no number
        found = Decimal(repr(value) if isinstance(value, float) else value)
        if not found.is_finite() or found < 0 or abs(found.adjusted()) > _DIGITS:
            raise InvalidOperation
    except (InvalidOperation, TypeError, ValueError) as error:
        message = f"An alert's {name} is a number from 0, not {str(value)[:30]!r}."
        raise InputError(message) from error
    return format(found, "f")


# ---------------------------------------------------------------------- deciding


def receive(
    state: State,
    actor: Actor,
    body: bytes,
    *,
    max_age: timedelta = MAX_AGE,
    plan: Plan = as_action,
) -> Received:
    """Take an alert in, and act on it if it is new, in time and not overtaken.

    One at a time for each state: `Receiver` sees to that between threads, a lease between
    processes.

    Args:
        state: where numbers are kept and intents written; its clock says how late an alert is.
        actor: of the same state; body: the alert's bytes; max_age: what comes later is refused.
        plan: what an alert means here.

    Raises:
        InputError: it is no alert; StorageError: nothing can be written down, and nothing was done.
    """
    alert = read_alert(body)
    key = f"{alert.stream}#{alert.seq}"
    wanted = dict(plan(alert)) if alert.action != "none" else None
    try:
        received, missed = _turn_of(state, alert, key, max_age)
    except _BUSY:
        is_exit = wanted is not None and wanted.get("role") == "exit"
        if not is_exit or _is_late(state, alert, max_age):
            raise
        received, missed = None, ""  # memory is down: an exit is sent all the same
    if received is not None:
        _note(state, alert, received)
        return received
    if missed:
        _note(state, alert, Received(outcome="noted", missed=missed))
    if wanted is None:
        return Received(outcome="noted", missed=missed)
    received = _act(actor, wanted, key, missed)
    if received.outcome in {"refused", "unknown"}:
        _note(state, alert, received)
    return received


def _turn_of(
    state: State, alert: Alert, key: str, max_age: timedelta
) -> tuple[Received | None, str]:
    """Why an alert is not acted on, or None; and what never came before it."""
    decided = state.tape.read(lambda _book, past: past.keyed(key)) is not None
    received = None if decided else _out_of_turn(state, alert, max_age)
    if received is not None and received.outcome != "late":
        return received, ""
    missed = _count(state, alert)
    if received is not None:
        received = msgspec.structs.replace(received, missed=missed)
    return received, missed


def _is_late(state: State, alert: Alert, max_age: timedelta) -> bool:
    return timedelta(microseconds=state.now() - alert.at) > max_age


def _document(stream: str) -> str:
    return f"alerts/{hashlib.sha256(stream.encode()).hexdigest()[:16]}"


def _seen(state: State, stream: str) -> Seen | None:
    found: Seen | None = state.document(_document(stream), Seen).get()
    return found


def _out_of_turn(state: State, alert: Alert, max_age: timedelta) -> Received | None:
    """Why an alert that decided nothing yet is not acted on; None where it is its turn."""
    late = timedelta(microseconds=state.now() - alert.at)
    seen = _seen(state, alert.stream)
    if seen is not None and alert.seq < seen.seq:
        # A buy that arrives behind its own close would stay open for good.
        why = f"alert {seen.seq} came before it"
        return Received(outcome="overtaken", why=why)
    if _is_late(state, alert, max_age):
        why = f"it is {late.total_seconds():.1f} s old; at most {max_age.total_seconds():g} are"
        return Received(outcome="late", why=f"{why} allowed")
    if late < -AHEAD:
        return Received(outcome="refused", why=f"it is {-late.total_seconds():.1f} s in the future")
    return None


def _count(state: State, alert: Alert) -> str:
    """Keep an alert's number before it is acted on, and say what was left out before it."""
    seen = _seen(state, alert.stream)
    if seen is not None and alert.seq <= seen.seq:
        return ""
    missed = ""
    if seen is not None:
        if alert.previous is None:
            first, last = seen.seq + 1, alert.seq - 1
            span = f"{first}" if first == last else f"{first} to {last}"
            missed = f"alerts {span} of {alert.stream} never came" if first <= last else ""
        elif alert.previous > seen.seq:
            missed = f"alerts of {alert.stream} after {seen.seq} never came, {alert.previous} last"
    gaps = (seen.gaps if seen else 0) + bool(missed)
    kept = Seen(stream=alert.stream, seq=alert.seq, at=alert.at, gaps=gaps)
    state.document(_document(alert.stream), Seen).set(kept)
    return missed


def _act(actor: Actor, wanted: dict[str, Any], key: str, missed: str) -> Received:
    try:
        done = actor.act(**wanted, key=key)
    except OutcomeUnknownError as error:
        return Received(outcome="unknown", missed=missed, why=error.message)
    except OperationReusedError as error:
        return Received(outcome="refused", missed=missed, why=error.message)
    except (ActionRefusedError, VenueRefusedError) as error:
        if isinstance(error.__cause__, _BUSY):
            raise error.__cause__ from error  # nothing was written down: the sender may try again
        return Received(outcome="refused", missed=missed, why=str(error))
    except ActionError as error:
        return Received(outcome="unknown", missed=missed, why=error.message)
    outcome: Outcome = "repeated" if done.repeated else "acted"
    return Received(
        outcome=outcome, intent=done.intent.text, status=done.intent.status, missed=missed
    )


def _note(state: State, alert: Alert, received: Received) -> None:
    """Write down what an owner wants to know, without waiting for the disk."""
    told = {name: one for name, one in msgspec.to_builtins(received).items() if one}
    note = {"stream": alert.stream, "seq": alert.seq, "action": alert.action, **told}
    journal: Any = state.journal("alerts", _counted, {})
    json_text(note, "A note")
    with suppress(*_BUSY):  # what it tells of was decided without it
        journal.note(note, wait=False)


def _counted(total: dict[str, int], note: dict[str, Any]) -> dict[str, int]:
    return {**total, note["outcome"]: total.get(note["outcome"], 0) + 1}


# ---------------------------------------------------------------------- HTTP

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Answer(NamedTuple):
    """A status and what is said with it."""

    status: int
    body: dict[str, Any]


class Receiver:
    """An ASGI application that takes alerts by POST.

    The secret stands in the header ``X-Haulout-Secret`` or as the last part of the path, since
    TradingView sends no headers of one's own. It is compared in constant time and kept nowhere.

    Args:
        state, actor, max_age, plan: as for `receive`.
        secret: at least 16 characters; whoever knows it can trade.

    Raises:
        InputError: the secret is too short, or cannot stand in a path.
    """

    def __init__(
        self,
        state: State,
        actor: Actor,
        *,
        secret: str,
        max_age: timedelta = MAX_AGE,
        plan: Plan = as_action,
    ) -> None:
        if not re.fullmatch(rf"[A-Za-z0-9_~.-]{{{_SHORTEST},200}}", secret):
            message = f"A secret has {_SHORTEST} to 200 letters, digits, `-`, `_`, `.` or `~`."
            raise InputError(message)
        self.state, self.actor = state, actor
        self._secret = _digest(secret.encode())
        self._max_age, self._plan = max_age, plan
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return f"<Receiver of alerts for {self.state.name}>"

    def receive(self, body: bytes) -> Received:
        """As the function `receive`, one alert after the other."""
        with self._turn:
            return receive(self.state, self.actor, body, max_age=self._max_age, plan=self._plan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                await send({"type": f"{event['type']}.complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            return
        answer = await self._answered(scope, receive)
        await _send(send, answer)

    async def _answered(self, scope: Scope, receive: Receive) -> _Answer:
        if not self._knows(scope):
            return _Answer(404, {"error": "There is nothing here."})
        if scope["method"] != "POST":
            return _Answer(405, {"error": "An alert comes by POST."})
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _whole_body(receive)
        except TimeoutError:
            return _Answer(408, {"error": f"The body did not come within {BODY_SECONDS} s."})
        if body is None:
            return _Answer(413, {"error": f"An alert has at most {BODY_BYTES} bytes."})
        # In a thread of its own, and to its end even where the sender gives up after 3 seconds:
        # what was begun is finished, and the alert sent again is answered with it.
        work = asyncio.get_running_loop().run_in_executor(None, self._taken, body)
        return await asyncio.shield(work)

    def _taken(self, body: bytes) -> _Answer:
        try:
            received = self.receive(body)
        except InputError as error:
            return _Answer(400, {"error": str(error)})
        except _BUSY as error:
            return _Answer(503, {"error": str(error)})  # nothing was done; sent again, it is new
        except (ConflictError, HauloutError) as error:
            return _Answer(409, {"error": str(error)})
        told = {name: one for name, one in msgspec.to_builtins(received).items() if one}
        return _Answer(_STATUSES[received.outcome], told)

    def _knows(self, scope: Scope) -> bool:
        """Whether a request shows the secret. Both places are always compared."""
        headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
        path = str(scope["path"]).rstrip("/").rpartition("/")[2].encode(errors="replace")
        shown = [headers.get(HEADER, b""), path]
        found = [hmac.compare_digest(_digest(one), self._secret) for one in shown]
        return any(found)


_STATUSES: Final[Mapping[str, int]] = {
    # A sender repeats after a 5xx: only what was not decided is answered with one.
    "acted": 200, "repeated": 200, "noted": 200, "unknown": 202,
    "late": 409, "overtaken": 409, "refused": 409,
}  # fmt: skip


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()  # of one length, whatever is compared


async def _whole_body(receive: Receive) -> bytes | None:
    """A request's body; None where it is too long."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return bytes(body)
        body += event.get("body", b"")
        if len(body) > BODY_BYTES:
            return None
        if not event.get("more_body"):
            return bytes(body)


async def _send(send: Send, answer: _Answer) -> None:
    body = msgspec.json.encode(answer.body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(receiver: Receiver, *, host: str = "127.0.0.1", port: int = 8787) -> None:
    """Take alerts until the process is stopped. It needs ``haulout[server]``.

    Nothing is logged: the path holds the secret. TradingView reaches only ports 80 and 443 of a
    public address, so a proxy with TLS stands before this; keep its logs free of paths, too.

    Args:
        receiver: what answers; host: this machine alone, unless you say otherwise; port: where.
    """
    import uvicorn

    uvicorn.run(
        receiver, host=host, port=port, log_config=None, access_log=False, server_header=False,
        ws="none", timeout_keep_alive=15, limit_concurrency=32,
    )  # fmt: skip
