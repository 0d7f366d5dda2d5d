"""The front over HTTP: how a desk's reply reaches a client, or does not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from haulout.testing.venue.desk import Desk, Reply
from haulout.testing.venue.orders import Refusal
from haulout.testing.walrus.faults import Abort

_BUSY: Final = 429


def json(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


class Shape(Protocol):
    """How one interface words its refusals and failures."""

    def refused(self, refusal: Refusal) -> Response:
        """The venue says no."""
        ...

    def failed(self, status: int) -> Response:
        """It failed, or is busy (429)."""
        ...


class Front:
    """A desk as HTTP handlers use it.

    Args:
        desk: who carries calls out; abort: breaks a connection.
    """

    def __init__(self, desk: Desk, abort: Abort) -> None:
        self.desk, self._abort = desk, abort
        self.client_pid = 0
        """The process that a ``kill`` fault ends where a request names none."""

    async def answer(
        self, request: Request, reply: Reply, render: Callable[[Any], Response], shape: Shape
    ) -> Response:
        """Let a reply fare as its fault has it.

        Args:
            request: what it answers; reply: of the desk.
            render: the value as a response; shape: the words for everything else.
        """
        fault = reply.fault
        if reply.faring == "kill":
            self._kill(request)
        if reply.faring == "hang":
            await asyncio.sleep(fault.seconds if fault else 0)
        if reply.faring in {"kill", "cut"} or (reply.faring == "hang" and not reply.done):
            return await self.hang_up(request, shape)
        if reply.faring in {"busy", "error"}:
            return shape.failed(fault.status if fault and reply.faring == "error" else _BUSY)
        if reply.refusal is not None:
            return shape.refused(reply.refusal)
        response = render(reply.value)
        if reply.faring == "garbage":
            half = bytes(response.body)[: len(response.body) // 2]
            return Response(half, response.status_code, media_type="application/json")
        return response

    async def hang_up(self, request: Request, shape: Shape) -> Response:
        """Break the connection; the server wants a response all the same, which reaches nobody."""
        self._abort(request.scope)
        await asyncio.sleep(0)
        return shape.failed(500)

    def _kill(self, request: Request) -> None:
        named = request.headers.get("x-client-pid", "")
        pid = int(named) if named.isdigit() else self.client_pid
        if pid > 1 and pid != os.getpid():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return
