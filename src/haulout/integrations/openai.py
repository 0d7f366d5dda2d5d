"""OpenAI's Python client, and any that speaks as it does, with memory.

    from openai import OpenAI
    from haulout import Vault
    from haulout.integrations.openai import with_memory

    client = with_memory(OpenAI(), Vault.open(), namespace="work", session="planning")

Chat completions and responses go with memory: ``create``, ``parse``, ``stream`` and streaming,
from `OpenAI` and `AsyncOpenAI`. Everything else is the client's own, raw responses included.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeVar, cast

from haulout.integrations.conversation import (
    ASSISTANT,
    ELSEWHERE,
    USER,
    Answer,
    Conversation,
    Turn,
)
from haulout.integrations.proxy import (
    Client,
    Proxy,
    Request,
    endpoint,
    flush,
    flush_async,
    is_awaited,
    items,
    read,
    settled,
)
from haulout.vault import Vault
from haulout.vault.asynchronous import AsyncVault

__all__ = ["flush", "flush_async", "with_memory"]

C = TypeVar("C")

SOURCE = "openai"
_TEXT_PARTS = {"text", "input_text", "output_text"}
_ENDS = {"response.completed", "response.incomplete", "response.failed"}


def with_memory(
    client: C,
    vault: Vault | AsyncVault,
    *,
    namespace: str = "default",
    recall_from: str | None = None,
    session: str | None = None,
    speaker: str = USER,
    budget: int = 1000,
) -> C:
    """The same client, which recalls before each call and remembers after it.

    Before: the last user message is recalled with, and what is found stands in a message just
    before it (so that the prompt before that stays cached), as data inside an envelope. After:
    what the user and the model said is kept, off your path. An error of the vault is a
    `WithoutMemoryWarning`, never an error of the call.

    Args:
        client: an `OpenAI`, an `AsyncOpenAI`, or one made like them.
        vault: where to recall and remember. It must stay open; closing it writes what waits.
        namespace: where turns are remembered; ``recall_from``: what is recalled, a namespace or
            a subtree such as ``work/**``, ``namespace`` alone where it is not given.
        session: the conversation's name. With the same name, history that is sent again is not
            remembered twice, in this process or another.
        speaker: who the user is.
        budget: tokens that the recalled context may have.
    """
    conversation = Conversation(
        vault, source=SOURCE, namespace=namespace, recall_from=recall_from, session=session,
        speaker=speaker, budget=budget,
    )  # fmt: skip
    return cast("C", Client(client, conversation, _resources))


def _resources(client: Any, conversation: Conversation) -> dict[str, Callable[[], Any]]:
    awaited = is_awaited(client)

    def chat() -> Any:
        def completions() -> Any:
            return endpoint(client.chat.completions, conversation, Chat(), awaited=awaited)

        return Proxy(client.chat, {"completions": completions})

    def responses() -> Any:
        return endpoint(client.responses, conversation, Responses(), awaited=awaited)

    return {"chat": chat, "responses": responses}


def _text(content: Any) -> str:
    """The text of a message's content, whichever way it is written."""
    if isinstance(content, str):
        return content
    parts = [read(part, "text") for part in items(content) if read(part, "type") in _TEXT_PARTS]
    return "\n".join(part for part in parts if isinstance(part, str))


def _turns(messages: list[Any]) -> list[Turn]:
    """What the user and the assistant said; instructions and tools' results are neither."""
    found: list[Turn] = []
    for message in messages:
        role, text = read(message, "role"), _text(read(message, "content"))
        if role == USER or (role == ASSISTANT and text):
            found.append(Turn(role, text))
    return found


def _before_last_user(messages: list[Any], context: str, role: str) -> list[Any]:
    """The messages with a context just before the last one of the user."""
    place = max(n for n, message in enumerate(messages) if read(message, "role") == USER)
    return [*messages[:place], {"role": role, "content": context}, *messages[place:]]


class Chat:
    """``chat.completions``: the whole conversation is sent each time."""

    snapshot: str | None = "current_completion_snapshot"

    def settled(self, request: Request) -> Request:
        """With messages as a list."""
        return settled(request, "messages")

    def turns(self, request: Request) -> list[Turn]:
        """From the messages."""
        return _turns(items(request.get("messages")))

    def placed(self, request: Request, context: str) -> Request:
        """In the role that the program uses itself for instructions."""
        messages = items(request["messages"])
        developer = any(read(message, "role") == "developer" for message in messages)
        role = "developer" if developer else "system"
        return request | {"messages": _before_last_user(messages, context, role)}

    def answer(self, response: Any) -> Answer:
        """Of several choices the first."""
        for choice in items(read(response, "choices")):
            if read(choice, "index") == 0:
                text = _text(read(read(choice, "message"), "content"))
                return Answer(text, finished=read(choice, "finish_reason") is not None)
        return Answer()

    def hear(self, answer: Answer, event: Any) -> None:
        """A chunk."""
        for choice in items(read(event, "choices")):
            if read(choice, "index") == 0:
                answer.text += _text(read(read(choice, "delta"), "content"))
                answer.finished = answer.finished or read(choice, "finish_reason") is not None


class Responses:
    """``responses``: the conversation is sent each time, or kept by the provider."""

    snapshot: str | None = None

    def settled(self, request: Request) -> Request:
        """With the input as a list."""
        return settled(request, "input")

    def turns(self, request: Request) -> list[Turn]:
        """From the input; what came before it, where the provider keeps that, is one turn."""
        given = request.get("input")
        found = [Turn(USER, given)] if isinstance(given, str) else _turns(items(given))
        if isinstance(previous := request.get("previous_response_id"), str):
            found.insert(0, Turn(ELSEWHERE, previous))
        elif request.get("conversation"):  # it says not where in the conversation this is
            found.insert(0, Turn(ELSEWHERE, uuid.uuid4().hex))
        return found

    def placed(self, request: Request, context: str) -> Request:
        """As a developer's message."""
        given = request["input"]
        messages = [{"role": USER, "content": given}] if isinstance(given, str) else items(given)
        return request | {"input": _before_last_user(messages, context, "developer")}

    def answer(self, response: Any) -> Answer:
        """The text of its messages."""
        output = [item for item in items(read(response, "output")) if read(item, "role")]
        text = "\n".join(text for item in output if (text := _text(read(item, "content"))))
        return Answer(text, finished=read(response, "status") in {None, "completed", "incomplete"})

    def hear(self, answer: Answer, event: Any) -> None:
        """An event of its stream."""
        kind = read(event, "type")
        if kind == "response.output_text.delta":
            answer.text += str(read(event, "delta") or "")
        elif kind in _ENDS:
            whole = self.answer(read(event, "response"))
            answer.text, answer.finished = whole.text or answer.text, whole.finished
