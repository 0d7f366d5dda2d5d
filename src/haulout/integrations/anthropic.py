"""Anthropic's Python client with memory.

    from anthropic import Anthropic
    from haulout import Vault
    from haulout.integrations.anthropic import with_memory

    client = with_memory(Anthropic(), Vault.open(), namespace="work", session="planning")

``messages`` goes with memory: ``create``, ``parse``, ``stream`` and streaming, from `Anthropic`
and `AsyncAnthropic`. Everything else is the client's own, raw responses and ``beta`` included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from haulout.integrations.conversation import ASSISTANT, USER, Answer, Conversation, Turn
from haulout.integrations.proxy import (
    Client,
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

SOURCE = "anthropic"


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

    Before: the last user message is recalled with, and what is found stands at its beginning (so
    that the prompt before it stays cached), as data inside an envelope. After: what the user and
    the model said is kept, off your path. An error of the vault is a `WithoutMemoryWarning`,
    never an error of the call.

    Args:
        client: an `Anthropic`, an `AsyncAnthropic`, or one made like them.
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
    def messages() -> Any:
        return endpoint(client.messages, conversation, Messages(), awaited=is_awaited(client))

    return {"messages": messages}


def _text(content: Any) -> str:
    """The text blocks of a content; a text with citations comes in several."""
    if isinstance(content, str):
        return content
    blocks = [read(block, "text") for block in items(content) if read(block, "type") == "text"]
    return "".join(block for block in blocks if isinstance(block, str))


def _is_users(message: Any) -> bool:
    """Whether the user says something in a message, which may hold tools' results alone."""
    content = read(message, "content")
    if read(message, "role") != USER:
        return False
    return isinstance(content, str) or any(
        read(block, "type") != "tool_result" for block in items(content)
    )


class Messages:
    """``messages``: the whole conversation is sent each time."""

    snapshot: str | None = "current_message_snapshot"

    def settled(self, request: Request) -> Request:
        """With messages as a list."""
        return settled(request, "messages")

    def turns(self, request: Request) -> list[Turn]:
        """From the messages; the beginning of an answer that the program gives is none yet."""
        messages = items(request.get("messages"))
        if messages and read(messages[-1], "role") == ASSISTANT:
            messages.pop()
        found: list[Turn] = []
        for message in messages:
            text = _text(read(message, "content"))
            if _is_users(message) or (read(message, "role") == ASSISTANT and text):
                found.append(Turn(read(message, "role"), text))
        return found

    def placed(self, request: Request, context: str) -> Request:
        """Before the words of the last user message, and after the tools' results in it.

        ``system`` would be another place, but stands before everything that is cached; a system
        message further down is taken by few models. The user's own message is the lowest in
        authority, which is right for what is data.
        """
        messages = items(request["messages"])
        place = max(n for n, message in enumerate(messages) if _is_users(message))
        content = read(messages[place], "content")
        text = {"type": "text", "text": context}
        if isinstance(content, str):
            blocks: list[Any] = [text, {"type": "text", "text": content}]
        else:
            blocks = items(content)
            first = next(n for n, b in enumerate(blocks) if read(b, "type") != "tool_result")
            blocks.insert(first, text)
        messages[place] = {"role": USER, "content": blocks}
        return request | {"messages": messages}

    def answer(self, response: Any) -> Answer:
        """The text of its content."""
        finished = read(response, "stop_reason") is not None
        return Answer(_text(read(response, "content")), finished=finished)

    def hear(self, answer: Answer, event: Any) -> None:
        """An event of its stream."""
        kind = read(event, "type")
        if kind == "content_block_start":
            answer.text += str(read(read(event, "content_block"), "text") or "")
        elif kind == "content_block_delta":
            answer.text += str(read(read(event, "delta"), "text") or "")
        elif kind == "message_delta":
            answer.finished = (
                answer.finished or read(read(event, "delta"), "stop_reason") is not None
            )
