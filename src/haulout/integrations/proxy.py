"""A model client that remembers: stands in for one, and for the streams it answers with.

Some methods of a client's resources are replaced; every other attribute is the client's own. No
package of a provider is imported: what differs between endpoints is a `Dialect`.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, Self, cast

from haulout.integrations.conversation import Answer, Conversation, Turn

Request = dict[str, Any]
Replacements = Mapping[str, Callable[[], Any]]


class Dialect(Protocol):
    """How one endpoint writes a conversation down."""

    snapshot: str | None
    """The attribute of a stream helper that holds the answer so far; None: it is listened to."""

    def settled(self, request: Request) -> Request:
        """The request with what can be read only once, such as a generator, as a list."""
        ...

    def turns(self, request: Request) -> list[Turn]:
        """What the user and the assistant said in it, in order."""
        ...

    def placed(self, request: Request, context: str) -> Request:
        """A copy of the request with a context in its place."""
        ...

    def answer(self, response: Any) -> Answer:
        """What a whole response says, or a snapshot of one."""
        ...

    def hear(self, answer: Answer, event: Any) -> None:
        """Add what one event of a stream says."""
        ...


def read(value: Any, name: str) -> Any:
    """A field of a mapping or of an object, or None: requests hold either."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)


def items(value: Any) -> list[Any]:
    """The members of a list or tuple; nothing for anything else."""
    return list(cast("Iterable[Any]", value)) if isinstance(value, list | tuple) else []


def settled(request: Request, name: str) -> Request:
    """The request with one argument as a list, where it is neither text nor one already."""
    value = request.get(name)
    if isinstance(value, str | list) or not isinstance(value, Iterable):
        return request
    return request | {name: list(cast("Iterable[Any]", value))}


class Call:
    """One call of an endpoint: recalled for before, remembered after."""

    def __init__(self, conversation: Conversation, dialect: Dialect, request: Request) -> None:
        self._conversation, self._dialect = conversation, dialect
        self._request = dialect.settled(request)
        self._said = dialect.turns(self._request)
        self._began = datetime.now(UTC)
        self.streams = bool(request.get("stream"))

    def _with(self, context: str) -> Request:
        return self._dialect.placed(self._request, context) if context else self._request

    def prepared(self) -> Request:
        """The request to send."""
        return self._with(self._conversation.recall(self._said))

    async def prepared_async(self) -> Request:
        """As `prepared`, without the event loop waiting."""
        return self._with(await self._conversation.recall_async(self._said))

    def accepted(self) -> None:
        """The model took the call: what the user said is remembered."""
        self._conversation.put(self._conversation.remember_said(self._said, self._began))

    async def accepted_async(self) -> None:
        """As `accepted`, without the event loop waiting."""
        job = self._conversation.remember_said(self._said, self._began)
        await self._conversation.put_async(job)

    def _heard(self, answer: Answer) -> Callable[[], None] | None:
        model = self._request.get("model")
        return self._conversation.remember_answer(self._said, answer, model)

    def answered(self, answer: Answer) -> None:
        """The model answered: what it said is remembered."""
        self._conversation.put(self._heard(answer))

    async def answered_async(self, answer: Answer) -> None:
        """As `answered`, without the event loop waiting."""
        await self._conversation.put_async(self._heard(answer))


@dataclass
class Listener:
    """Hears an answer, piece by piece, and says once when it is over."""

    dialect: Dialect
    answer: Answer = field(default_factory=Answer)
    over: bool = False

    def ends_with(self, event: Any) -> bool:
        """Hear an event; True where it is the one that ends the answer."""
        if not self.over:
            self.dialect.hear(self.answer, event)
        return self.answer.finished and self.ends()

    def ends(self) -> bool:
        """Whether the answer is over only now."""
        was, self.over = self.over, True
        return not was


class Proxy:
    """Stands in for an object: some names are replaced, every other is the object's own."""

    def __init__(self, inner: Any, replaced: Replacements | None = None) -> None:
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_replaced", replaced or {})

    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] it is not set
        """The object's own, so that a program that asks for its type gets on with it."""
        return self._inner.__class__

    def __getattr__(self, name: str) -> Any:
        if name in {"_inner", "_replaced"}:  # asked for before they are there, by `copy`
            raise AttributeError(name)
        replaced = self._replaced.get(name)
        return getattr(self._inner, name) if replaced is None else replaced()

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._inner)

    def __repr__(self) -> str:
        return f"<{self._inner!r}, with memory>"


class Stream(Proxy):
    """A stream of events that is listened to as it is read."""

    def __init__(self, inner: Any, call: Call, dialect: Dialect) -> None:
        super().__init__(inner)
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "_listener", Listener(dialect))

    def _end(self) -> None:
        if self._listener.ends():
            self._call.answered(self._listener.answer)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            event = next(self._inner)
        except BaseException:  # the end of the stream among them
            self._end()
            raise
        if self._listener.ends_with(event):
            self._call.answered(self._listener.answer)
        return event

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        self._end()
        return self._inner.__exit__(*error)

    def close(self) -> None:
        """End it here."""
        self._end()
        self._inner.close()

    def until_done(self) -> Self:
        """Read it to its end."""
        for _ in self:
            pass
        return self

    def get_final_response(self) -> Any:
        """Read it to its end and return the whole response."""
        self.until_done()
        return self._inner.get_final_response()


class AsyncStream(Proxy):
    """A stream of events that is listened to as it is read, on an event loop."""

    def __init__(self, inner: Any, call: Call, dialect: Dialect) -> None:
        super().__init__(inner)
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "_listener", Listener(dialect))

    async def _end(self) -> None:
        if self._listener.ends():
            await self._call.answered_async(self._listener.answer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            event = await anext(self._inner)
        except BaseException:  # the end of the stream among them
            await self._end()
            raise
        if self._listener.ends_with(event):
            await self._call.answered_async(self._listener.answer)
        return event

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        await self._end()
        return await self._inner.__aexit__(*error)

    async def close(self) -> None:
        """End it here."""
        await self._end()
        await self._inner.close()

    async def aclose(self) -> None:
        """End it here."""
        await self.close()

    async def until_done(self) -> Self:
        """Read it to its end."""
        async for _ in self:
            pass
        return self

    async def get_final_response(self) -> Any:
        """Read it to its end and return the whole response."""
        await self.until_done()
        return await self._inner.get_final_response()


def _shown(stream: Any, dialect: Dialect) -> Answer:
    """What a stream helper has gathered when its block ends."""
    try:
        return dialect.answer(getattr(stream, dialect.snapshot or ""))
    except AssertionError:  # nothing was read
        return Answer()


class StreamBlock:
    """What a client's ``stream(...)`` returns, entered with ``with``."""

    def __init__(self, begin: Callable[..., Any], call: Call, dialect: Dialect) -> None:
        self._begin, self._call, self._dialect = begin, call, dialect
        self._manager: Any = None
        self._stream: Any = None

    def __enter__(self) -> Any:
        self._manager = self._begin(**self._call.prepared())
        stream = self._manager.__enter__()
        self._call.accepted()
        listened = self._dialect.snapshot is None
        self._stream = Stream(stream, self._call, self._dialect) if listened else stream
        return self._stream

    def __exit__(self, *error: object) -> Any:
        if self._dialect.snapshot is None:
            self._stream.close()
        else:
            self._call.answered(_shown(self._stream, self._dialect))
        return self._manager.__exit__(*error)


class AsyncStreamBlock:
    """What an async client's ``stream(...)`` returns, entered with ``async with``."""

    def __init__(self, begin: Callable[..., Any], call: Call, dialect: Dialect) -> None:
        self._begin, self._call, self._dialect = begin, call, dialect
        self._manager: Any = None
        self._stream: Any = None

    async def __aenter__(self) -> Any:
        self._manager = self._begin(**await self._call.prepared_async())
        stream = await self._manager.__aenter__()
        await self._call.accepted_async()
        listened = self._dialect.snapshot is None
        self._stream = AsyncStream(stream, self._call, self._dialect) if listened else stream
        return self._stream

    async def __aexit__(self, *error: object) -> Any:
        if self._dialect.snapshot is None:
            await self._stream.close()
        else:
            await self._call.answered_async(_shown(self._stream, self._dialect))
        return await self._manager.__aexit__(*error)


def _asking(ask: Callable[..., Any], conversation: Conversation, dialect: Dialect) -> Any:
    """A client's method that sends a request, with memory."""

    @functools.wraps(ask)
    def asked(**request: Any) -> Any:
        call = Call(conversation, dialect, request)
        response = ask(**call.prepared())
        call.accepted()
        if call.streams:
            return Stream(response, call, dialect)
        call.answered(dialect.answer(response))
        return response

    return asked


def _asking_async(
    ask: Callable[..., Awaitable[Any]], conversation: Conversation, dialect: Dialect
) -> Any:
    """An async client's method that sends a request, with memory."""

    @functools.wraps(ask)
    async def asked(**request: Any) -> Any:
        call = Call(conversation, dialect, request)
        response = await ask(**await call.prepared_async())
        await call.accepted_async()
        if call.streams:
            return AsyncStream(response, call, dialect)
        await call.answered_async(dialect.answer(response))
        return response

    return asked


def endpoint(
    resource: Any, conversation: Conversation, dialect: Dialect, *, awaited: bool
) -> Proxy:
    """A client's resource whose ``create``, ``parse`` and ``stream`` go with memory."""
    asking: Callable[..., Any] = _asking_async if awaited else _asking
    block = AsyncStreamBlock if awaited else StreamBlock

    def streaming(**request: Any) -> Any:
        return block(resource.stream, Call(conversation, dialect, request), dialect)

    replaced: dict[str, Callable[[], Any]] = {
        name: functools.partial(asking, getattr(resource, name), conversation, dialect)
        for name in ("create", "parse")
        if hasattr(resource, name)
    }
    if hasattr(resource, "stream"):
        replaced["stream"] = lambda: functools.wraps(resource.stream)(streaming)
    return Proxy(resource, replaced)


class Client(Proxy):
    """A client some of whose resources go with memory, as do its copies."""

    def __init__(
        self,
        inner: Any,
        conversation: Conversation,
        resources: Callable[[Any, Conversation], Replacements],
    ) -> None:
        def again(name: str) -> Callable[..., Client]:
            made: Callable[..., Any] = getattr(inner, name)

            @functools.wraps(made)
            def copied(**changed: Any) -> Client:
                return Client(made(**changed), conversation, resources)

            return copied

        copies = {
            name: functools.partial(again, name)
            for name in ("copy", "with_options")
            if hasattr(inner, name)
        }
        super().__init__(inner, {**resources(inner, conversation), **copies})
        object.__setattr__(self, "_conversation", conversation)

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        self._conversation.settle()
        return self._inner.__exit__(*error)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        await self._conversation.settle_async()
        return await self._inner.__aexit__(*error)


def is_awaited(client: Any) -> bool:
    """Whether a client's methods are awaited."""
    return hasattr(client.__class__, "__aenter__")


def conversation_of(client: object) -> Conversation:
    """The conversation of a client that `with_memory` returned.

    Raises:
        TypeError: it is none.
    """
    found = getattr(client, "_conversation", None)
    if not isinstance(found, Conversation):
        message = f"{client!r} is no client that `with_memory` returned."
        raise TypeError(message)
    return found


def flush(client: object, timeout: float | None = None) -> None:
    """Wait until everything said so far through a client is on the disk.

    Raises:
        TimeoutError: it took longer than ``timeout`` seconds. HauloutError: something said since
        the last flush could not be remembered.
    """
    conversation_of(client).flush(timeout)


async def flush_async(client: object) -> None:
    """As `flush`, without the event loop waiting."""
    await conversation_of(client).flush_async()
