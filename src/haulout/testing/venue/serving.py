"""The process: one loop, one desk, all shapes on one port."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute

from haulout.testing.venue.alpaca import AlpacaRoutes
from haulout.testing.venue.binance import BinanceRoutes
from haulout.testing.venue.control import ControlRoutes
from haulout.testing.venue.desk import Desk
from haulout.testing.venue.front import Front
from haulout.testing.venue.generic import GenericRoutes
from haulout.testing.venue.stream import Stream
from haulout.testing.walrus.serving import Connections

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 128


def application(desk: Desk, connections: Connections) -> Starlette:
    """All shapes of a desk."""
    front = Front(desk, connections.abort)
    stream = Stream(desk)
    routes: list[BaseRoute] = [
        *GenericRoutes(front).routes(), *ControlRoutes(front, stream.hang_up).routes(),
        *BinanceRoutes(front).routes(), *AlpacaRoutes(front).routes(),
        WebSocketRoute("/stream", stream.generic), WebSocketRoute("/ws/{key}", stream.binance),
    ]  # fmt: skip
    return Starlette(routes=routes)


def serve(desk: Desk, port: int, seconds: float | None, *, tied: bool) -> None:
    """Serve until standard input is closed, or so many seconds have passed.

    Args:
        desk: whose; port: 0 for any; seconds: None for as long as it is wanted.
        tied: end once standard input is closed.
    """
    connections = Connections()
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((_HOST, port))
    listening.listen(_BACKLOG)
    config = uvicorn.Config(
        application(desk, connections), http=connections.protocol(), ws=_websockets(),
        lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1,
        timeout_keep_alive=60, server_header=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    threading.Thread(target=_ask_to_stop, args=(server, tied), daemon=True).start()
    said = {"url": f"http://{_HOST}:{listening.getsockname()[1]}", "pid": os.getpid()}
    asyncio.run(_run(server, listening, seconds, msgspec.json.encode(said)))


async def _run(
    server: uvicorn.Server, listening: socket.socket, seconds: float | None, said: bytes
) -> None:
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0)
    sys.stdout.buffer.write(said + b"\n")
    sys.stdout.buffer.flush()
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, _stop, server)
    await serving


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True


def _ask_to_stop(server: uvicorn.Server, tied: bool) -> None:  # noqa: FBT001
    if not tied:
        return
    with suppress(OSError, ValueError):
        while sys.stdin.buffer.read(1):
            pass
    server.should_exit = True


def _websockets() -> str:
    """What uvicorn speaks WebSocket with; without `websockets` there is no user stream."""
    return "websockets-sansio" if find_spec("websockets") else "none"
