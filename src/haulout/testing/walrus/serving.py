"""Services on 127.0.0.1: all of a network's in one thread, each on a port of its own.

A service can be stopped and started again on the same port, and a connection can be broken in the
middle of a request, as machines and networks do it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from haulout.errors import StorageError

T = TypeVar("T")

_HOST: Final = "127.0.0.1"
_PATIENCE: Final = 30.0  # seconds for a service to start or to stop
_BACKLOG: Final = 128
_POLL: Final = 0.002  # seconds between two looks at whether anybody is busy


class Connections:
    """The open connections of a network's services, by the client's address."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def abort(self, scope: Scope) -> None:
        """Break the connection that a request came on."""
        transport = self._open.get(tuple(scope["client"]))  # type: ignore[arg-type]
        if transport is not None:
            transport.abort()

    def protocol(self) -> type[H11Protocol]:
        """HTTP/1.1 that notes its connections here."""
        opened = self._open

        class Noted(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client is not None:
                    opened[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    opened.pop(self.client, None)
                super().connection_lost(exc)

        return Noted


class Host:
    """The thread that services run in."""

    def __init__(self) -> None:
        self.connections = Connections()
        self.services: list[Service] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="walrus loopback", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something in the thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    def idle(self, busy: Callable[[], bool], seconds: float) -> bool:
        """Wait until nobody is ``busy``, at most so many seconds; give whether nobody is."""

        async def wait() -> bool:
            end = self._loop.time() + seconds
            while busy():
                if self._loop.time() > end:
                    return False
                await asyncio.sleep(_POLL)
            return True

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result()

    def close(self) -> None:
        """Stop all services, and end the thread."""
        for service in self.services:
            service.ask_to_stop()
        for service in self.services:
            service.stop()

        async def finish() -> None:
            await self._loop.shutdown_default_executor()

        self.call(finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()


class Service:
    """One service on a port.

    Args:
        host: the thread; app: what answers; port: 0 for any.

    Raises:
        StorageError: the port is taken.
    """

    def __init__(self, host: Host, app: ASGIApp, port: int = 0) -> None:
        self._host = host
        self._app = app
        self.port = port
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.start()
        host.services.append(self)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{_HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether it is started."""
        return self._server is not None

    def start(self) -> None:
        """Begin to listen, on the port that it had before."""
        if self._server is not None:
            return
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_HOST, self.port))
        except OSError as error:
            listening.close()
            raise StorageError(f"Port {self.port} cannot be used ({error.strerror}).") from error
        listening.listen(_BACKLOG)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._app, http=self._host.connections.protocol(), ws="none", lifespan="off",
            log_config=None, access_log=False, timeout_graceful_shutdown=1,
            timeout_keep_alive=60, server_header=False,
        )  # fmt: skip
        server = uvicorn.Server(config)
        self._host.call(self._begin(server, listening))
        self._server = server

    async def _begin(self, server: uvicorn.Server, listening: socket.socket) -> None:
        self._task = asyncio.ensure_future(server.serve(sockets=[listening]))
        while not server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0)

    def ask_to_stop(self) -> None:
        """Begin to stop, so that several services stop at the same time."""
        if self._server is not None:
            self._server.should_exit = True

    def stop(self) -> None:
        """Stop listening and break off what is under way. Stopping twice is fine."""
        if self._server is None:
            return
        self.ask_to_stop()
        self._host.call(self._end())
        self._server = None

    async def _end(self) -> None:
        assert self._task is not None
        await self._task
