"""Calling a library, whether its methods are awaited or not.

An `Actor` is plain code. For an awaited library it runs on a thread of its own, and each call goes
to the event loop of whoever asked, which is never blocked. When the asking task is cancelled, the
call under way is cancelled and nothing more is asked for it: the intent stays open, and the next
action or recovery looks it up.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Final, TypeVar

from haulout.errors import OutcomeUnknownError

Answer = TypeVar("Answer")
_LOOK_S: Final = 0.25
"""How often a waiting thread looks whether its event loop is still there."""
_THREADS: Final = 32


class Direct:
    """Calls a library whose methods return."""

    def __call__(self, call: Callable[..., Any], *args: Any) -> Any:
        """What the call answers."""
        return call(*args)


class _Caller:
    """A task that asked: its loop, whether it has gone, and the call under way for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.gone = threading.Event()
        self.call: concurrent.futures.Future[Any] | None = None

    def leave(self) -> None:
        self.gone.set()
        if self.call is not None:
            self.call.cancel()


class Awaited:
    """Calls a library whose methods are awaited, from threads, on the loop of whoever asked."""

    def __init__(self) -> None:
        self._here = threading.local()
        self._threads: ThreadPoolExecutor | None = None

    def __call__(self, call: Callable[..., Any], *args: Any) -> Any:
        """What the call answers, waited for on this thread.

        Raises:
            OutcomeUnknownError: whoever asked has gone.
        """
        caller: _Caller = self._here.caller
        if caller.gone.is_set() or caller.loop.is_closed():
            raise _gone()
        awaitable = call(*args)
        try:
            caller.call = asyncio.run_coroutine_threadsafe(awaitable, caller.loop)
        except RuntimeError as error:  # the loop was closed just now
            awaitable.close()
            raise _gone() from error
        if caller.gone.is_set():
            caller.call.cancel()
        while not concurrent.futures.wait([caller.call], timeout=_LOOK_S).done:
            if caller.loop.is_closed():
                raise _gone()
        return caller.call.result()

    async def run(self, job: Callable[[], Answer]) -> Answer:
        """Run plain code that asks through this, on a thread, for the current task."""
        caller = _Caller(asyncio.get_running_loop())

        def work() -> Answer:
            with self._for(caller):
                return job()

        if self._threads is None:
            # Not the loop's own threads: its name look-ups need some while these wait for it.
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="haulout-guard")
        try:
            return await asyncio.wrap_future(self._threads.submit(copy_context().run, work))
        except asyncio.CancelledError:
            caller.leave()
            raise

    @contextmanager
    def _for(self, caller: _Caller) -> Generator[None]:
        self._here.caller = caller
        try:
            yield
        finally:
            del self._here.caller

    def close(self) -> None:
        """Let the threads go, each once its call is over: this may be on the loop they wait for."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None


class WithoutRetries:
    """Keeps an HTTP session from repeating a request by itself, while an order is on its way.

    aiohttp repeats a GET, PUT or DELETE whose kept connection was closed, and some venues take
    orders by those; requests repeats what its adapters were told to. Both are as before afterwards.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._inside = 0
        self._restore: list[Callable[[], None]] = []

    @contextmanager
    def on(self, session: Any) -> Generator[None]:
        """A block without repetitions; a session of another kind is left alone."""
        with self._turn:
            if not self._inside:
                self._restore = list(_quieted(session))
            self._inside += 1
        try:
            yield
        finally:
            with self._turn:
                self._inside -= 1
                if not self._inside:
                    for restore in self._restore:
                        restore()


def _quieted(session: Any) -> Iterator[Callable[[], None]]:
    before = getattr(session, "_retry_connection", None)  # aiohttp's
    if before is not None:
        session._retry_connection = False  # noqa: SLF001 - it has no other switch
        yield lambda: setattr(session, "_retry_connection", before)
    for adapter in getattr(session, "adapters", {}).values():  # requests'
        retries = getattr(adapter, "max_retries", None)
        if retries is not None:
            adapter.max_retries = type(retries)(0, read=False)
            yield lambda adapter=adapter, retries=retries: setattr(adapter, "max_retries", retries)


def _gone() -> OutcomeUnknownError:
    return OutcomeUnknownError("Whoever asked for it has gone; it was not looked up further.")
