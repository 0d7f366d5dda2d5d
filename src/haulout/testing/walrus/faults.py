"""Switches for what a service does wrong, and what of it happens at the connection.

All can be set while the service runs; each says what the real network's services can do to a
client, no more. Those that concern bytes on the wire are done here, around the service; those
that concern what a service knows are asked for by the service itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from haulout.testing.walrus.answers import BUSY

_POLL: Final = 0.002  # seconds between two looks at whether a stall is over
_FLIPPED: Final = 0x01
_SUCCESS: Final = range(200, 300)


@dataclass(slots=True)
class Faults:
    """What one service does wrong, all off at first.

    Attributes:
        lie: wrong bytes in blobs, metadata, slivers and symbols; a publisher that lies says that
            it stored what it did not.
        equivocate: the same for every second request.
        truncate: half of the bytes that were announced, then the connection breaks.
        lost_answers: the work is done, then the connection breaks without an answer.
        dead: connections break before anything is done.
        busy: 429 in plain text.
        lose: nothing is found any more, and blobs do not exist.
        forget: certified blobs cannot be read any more, and still count as certified.
        mixes_up: a storage node gives another blob's metadata, and the next pair's slivers.
        broke: a publisher's wallet is empty.
        wrong_id: a publisher answers with another blob's ID.
        dies_after_paying: a publisher registers, and then breaks the connection.
        status: what a storage node says of every blob, in place of the truth.
        delay: seconds before each answer; for people who try things out.
        only: which requests (method, path) the switches are for; None for all.
        asked: how many requests have come; running: how many are being worked on.
    """

    lie: bool = False
    equivocate: bool = False
    truncate: bool = False
    lost_answers: bool = False
    dead: bool = False
    busy: bool = False
    lose: bool = False
    forget: bool = False
    mixes_up: bool = False
    broke: bool = False
    wrong_id: bool = False
    dies_after_paying: bool = False
    status: Any = None
    delay: float = 0.0
    only: Callable[[str, str], bool] | None = None
    asked: int = 0
    running: int = 0
    _open: threading.Event = field(default_factory=threading.Event)
    _stalls: bool = False

    def stall(self) -> None:
        """Let every request wait, before anything is done, until `release`."""
        self._open.clear()
        self._stalls = True

    def release(self) -> None:
        """Let waiting requests go on, and new ones pass."""
        self._stalls = False
        self._open.set()

    @property
    def stalls(self) -> bool:
        """Whether requests wait."""
        return self._stalls

    def clear(self) -> None:
        """End all faults."""
        fresh = Faults()
        for name in (
            "lie", "equivocate", "truncate", "lost_answers", "dead", "busy", "lose", "forget",
            "mixes_up", "broke", "wrong_id", "dies_after_paying", "status", "delay", "only",
        ):  # fmt: skip
            setattr(self, name, getattr(fresh, name))
        self.release()

    @property
    def able(self) -> bool:
        """Whether a service with these faults takes part in storing a blob."""
        return self.only is not None or not (self.stalls or self.dead or self.busy)


Abort = Callable[[Scope], None]
"""Breaks the connection that a request came on."""


class Faulty:
    """An application with the faults of the connection around it.

    Args:
        app: the service; faults: its switches; abort: breaks a connection.
    """

    def __init__(self, app: ASGIApp, faults: Faults, abort: Abort) -> None:
        self._app = app
        self._faults = faults
        self._abort = abort

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._faults.asked += 1
        self._faults.running += 1
        try:
            await self._serve(scope, receive, send, self._faults.asked)
        finally:
            self._faults.running -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send, turn: int) -> None:
        faults = self._faults
        if faults.only is not None and not faults.only(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        if faults.stalls:
            receive = await _taken(receive)  # the work is done later, whoever still waits for it
        while faults.stalls:  # noqa: ASYNC110 - it is released from another thread
            await asyncio.sleep(_POLL)
        if faults.delay:
            await asyncio.sleep(faults.delay)
        if faults.dead:
            await self._hang_up(scope, receive, send)
            return
        if faults.busy:
            await BUSY(scope, receive, send)
            return
        if faults.lost_answers:
            await self._app(scope, receive, _nowhere)
            await self._hang_up(scope, receive, send)
            return
        wrong = faults.lie or (faults.equivocate and turn % 2 == 0)
        await self._app(scope, receive, _Altered(send, wrong, self._cut(scope)))

    async def _hang_up(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Break the connection; the server wants an answer all the same, which reaches nobody."""
        self._abort(scope)
        await asyncio.sleep(0)
        await BUSY(scope, receive, send)

    def _cut(self, scope: Scope) -> Callable[[], None] | None:
        return (lambda: self._abort(scope)) if self._faults.truncate else None


async def _taken(receive: Receive) -> Receive:
    """Take the whole request now, to give it to the service later."""
    parts: list[Message] = []
    while True:
        parts.append(await receive())
        if parts[-1]["type"] != "http.request" or not parts[-1].get("more_body"):
            break

    async def give() -> Message:
        return parts.pop(0) if parts else await receive()

    return give


async def _nowhere(_message: Message) -> None:
    """Take an answer that nobody is to get."""


class _Altered:
    """Passes an answer on, with a flipped bit or without its second half.

    Refusals pass as they are, and JSON is not made false: what a service *says* is false only
    where it has a switch of its own for that.
    """

    def __init__(self, send: Send, wrong: bool, cut: Callable[[], None] | None) -> None:  # noqa: FBT001
        self._send = send
        self._wrong = wrong
        self._cut = cut
        self._plain = False  # a success, whose body may be altered
        self._left: int | None = None
        self._aborted = False

    async def __call__(self, message: Message) -> None:
        if self._aborted:
            return
        if message["type"] == "http.response.start":
            headers = {bytes(k).lower(): bytes(v) for k, v in message["headers"]}
            octets = not headers.get(b"content-type", b"").startswith(
                (b"application/json", b"text")
            )
            self._wrong = self._wrong and octets
            length = int(headers.get(b"content-length", b"0"))
            self._left = length // 2 if self._cut and message["status"] in _SUCCESS else None
            self._plain = message["status"] in _SUCCESS
        elif self._plain:
            message = self._body(dict(message))
        await self._send(message)
        if self._left == 0 and self._cut and message["type"] == "http.response.body":
            self._aborted = True
            self._cut()
            await asyncio.sleep(0)  # let the server see that nobody is there

    def _body(self, message: dict[str, Any]) -> Message:
        data: bytes = message.get("body", b"")
        if self._wrong and data:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ _FLIPPED]) + data[middle + 1 :]
            self._wrong = False
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
            message["more_body"] = True
        message["body"] = data
        return message
