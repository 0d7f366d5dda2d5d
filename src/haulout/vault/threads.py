"""Where an `AsyncVault`'s calls run: threads of its own, so that the event loop never waits.

One implementation, the synchronous one, does the work. What an awaited call adds is here: a
bounded pool, what cancelling means, how progress comes back, and an end that loses nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from haulout.errors import VaultClosedError
from haulout.vault.arguments import Progress

P = ParamSpec("P")
T = TypeVar("T")

CALLS_AT_ONCE = 32
"""As many writes can share one commit; threads start as they are needed."""


class Threads:
    """A bounded pool of threads whose calls are awaited on an event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="haulout-call")
        self._pid = os.getpid()
        self._ended: Future[None] | None = None

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        if os.getpid() != self._pid:  # the pool's threads stayed behind
            message = "This vault was opened before this process was forked."
            raise VaultClosedError(message, hint="Open the vault again in the new process.")
        try:
            return self._pool.submit(contextvars.copy_context().run, _called, call)
        except RuntimeError as error:  # the pool takes no more
            message = "This vault was closed."
            raise VaultClosedError(message) from error

    async def run(self, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Run a call on a thread and return or raise what it does, unchanged.

        When the awaiting task is cancelled, a call that waits for a thread is not begun; one
        that runs goes on to its end, and its result is dropped.

        Raises:
            VaultClosedError: after `end`, or in a process forked since.
        """
        return await asyncio.wrap_future(self._submit(lambda: call(*args, **named)))

    async def make(self, call: Callable[[], T], unmake: Callable[[T], object]) -> T:
        """As `run`, for a call that makes something: cancelled, what it makes is unmade."""
        future = self._submit(call)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            future.add_done_callback(lambda made: _unmake(made, unmake))
            raise

    async def end(self, last: Callable[[], object]) -> None:
        """Take no more calls, wait for those under way, then do one last thing.

        It goes on to its end when the awaiting task is cancelled; to call it again is to wait
        for the same end.
        """
        if self._ended is None:
            closer = ThreadPoolExecutor(1, thread_name_prefix="haulout-close")
            self.leave()
            self._ended = closer.submit(self._end, last)
            closer.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(self._ended))

    def leave(self) -> None:
        """Take no more calls and wait for nothing."""
        self._pool.shutdown(wait=False)

    def _end(self, last: Callable[[], object]) -> None:
        self._pool.shutdown(wait=True)
        last()


def _called(call: Callable[[], T]) -> T:
    try:
        return call()
    except StopIteration as error:  # a future cannot carry one, and its caller would wait for ever
        message = "the call raised StopIteration"
        raise RuntimeError(message) from error


def _unmake(made: Future[T], unmake: Callable[[T], object]) -> None:
    if not made.cancelled() and made.exception() is None:
        unmake(made.result())


async def made(call: Callable[[], T], unmake: Callable[[T], object]) -> T:
    """What a call makes, on a thread for it alone; when cancelled it is unmade."""
    threads = Threads()
    try:
        return await threads.make(call, unmake)
    finally:
        threads.leave()


def on_loop(progress: Progress | None) -> Progress | None:
    """The same callback, called on the running event loop instead of on the call's thread.

    In order, and always before the awaited call returns. An error of it goes to the loop's
    exception handler; it does not end the call.
    """
    if progress is None:
        return None
    loop = asyncio.get_running_loop()

    def told(done: int, total: int | None) -> None:
        with suppress(RuntimeError):  # the loop was closed, nobody is told any more
            loop.call_soon_threadsafe(progress, done, total)

    return told


class Closing(Protocol):
    """What can be closed by awaiting."""

    async def aclose(self) -> None:
        """Close it."""
        ...


V = TypeVar("V", bound=Closing)


class Opening(Awaitable[V], Generic[V]):
    """A vault that is about to be opened: await it, or enter it with ``async with``.

    ``vault = await AsyncVault.open()`` is closed with ``await vault.aclose()``;
    ``async with AsyncVault.open() as vault:`` closes it at the end of the block.
    """

    def __init__(self, opened: Callable[[], Awaitable[V]]) -> None:
        self._opened = opened
        self._vault: V | None = None

    def __await__(self) -> Generator[Any, None, V]:
        return self._opened().__await__()

    async def __aenter__(self) -> V:
        self._vault = await self
        return self._vault

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._vault is not None:
            await self._vault.aclose()
