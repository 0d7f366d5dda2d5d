"""The user stream over WebSocket: what happens to orders, in Binance's or the small shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from haulout.testing.venue.binance import execution_report
from haulout.testing.venue.desk import Desk
from haulout.testing.venue.orders import Fill, Order
from haulout.testing.venue.reports import Report, Reports


class Stream:
    """Sends reports to everybody who listens."""

    def __init__(self, desk: Desk) -> None:
        self._passing = Reports(desk.faults)
        self._queues: set[asyncio.Queue[Report | None]] = set()
        self._clock = desk.exchange.clock
        desk.exchange.report = self._report

    def _report(self, what: str, order: Order, fill: Fill | None) -> None:
        for one in self._passing.passing(what, order, fill):
            for queue in self._queues:
                queue.put_nowait(one)

    def hang_up(self) -> int:
        """End every connection; what happens until a client is back is not told to it."""
        for queue in self._queues:
            queue.put_nowait(None)
        return len(self._queues)

    async def generic(self, socket: WebSocket) -> None:
        """``/stream``: ``{"what", "order", "fill"}``."""
        await self._serve(socket, lambda one: one._asdict())

    async def binance(self, socket: WebSocket) -> None:
        """``/ws/{listenKey}``: ``executionReport``."""
        await self._serve(socket, lambda one: execution_report(one, self._clock.now()))

    async def _serve(self, socket: WebSocket, shape: Callable[[Report], Any]) -> None:
        queue: asyncio.Queue[Report | None] = asyncio.Queue()
        self._queues.add(queue)
        await socket.accept()
        sending = asyncio.ensure_future(self._send(socket, queue, shape))
        try:
            while True:
                await socket.receive_text()  # what a client says is not listened to
        except WebSocketDisconnect:
            return
        finally:
            self._queues.discard(queue)
            sending.cancel()

    async def _send(
        self,
        socket: WebSocket,
        queue: asyncio.Queue[Report | None],
        shape: Callable[[Report], Any],
    ) -> None:
        while (one := await queue.get()) is not None:
            await socket.send_text(msgspec.json.encode(shape(one)).decode())
        await socket.close()
