"""The three endpoints, called in one way, so that one test asks the same of each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

from haulout.integrations import anthropic as for_anthropic
from haulout.integrations import openai as for_openai


def text_of(content: Any) -> str:
    """The text of a message that was sent, the user's own part of it."""
    return content if isinstance(content, str) else content[-1]["text"]


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of one client, called synchronously or awaited."""

    name: str
    awaited: bool

    @property
    def module(self) -> Any:
        return for_anthropic if self.name == "messages" else for_openai

    @property
    def source(self) -> str:
        return "anthropic" if self.name == "messages" else "openai"

    def client(self, address: str, **options: Any) -> Any:
        options = {"api_key": "none", "max_retries": 0} | options
        if self.name == "messages":
            made = anthropic.AsyncAnthropic if self.awaited else anthropic.Anthropic
            return made(base_url=address, **options)
        made = openai.AsyncOpenAI if self.awaited else openai.OpenAI
        return made(base_url=f"{address}/v1", **options)

    def resource(self, client: Any) -> Any:
        if self.name == "chat":
            return client.chat.completions
        return client.responses if self.name == "responses" else client.messages

    def request(self, messages: Any, **more: Any) -> dict[str, Any]:
        if self.name == "responses":
            return {"model": "model-1", "input": messages} | more
        limit = {"max_tokens": 100} if self.name == "messages" else {}
        return {"model": "model-1", "messages": messages} | limit | more

    def text(self, response: Any) -> str:
        """The text of a whole response."""
        if self.name == "chat":
            return response.choices[0].message.content or ""
        if self.name == "responses":
            return response.output_text
        return "".join(block.text for block in response.content if block.type == "text")

    def piece(self, event: Any) -> str:
        """The text of one event of a stream."""
        if self.name == "chat":
            return (event.choices[0].delta.content or "") if event.choices else ""
        if self.name == "responses":
            return event.delta if event.type == "response.output_text.delta" else ""
        return event.delta.text if event.type == "content_block_delta" else ""

    def ask(self, client: Any, messages: Any, **more: Any) -> str:
        """Call it and return the whole text, read from a stream where ``stream=True``."""
        return self.run(client, lambda: self._ask(client, messages, more))

    async def _ask(self, client: Any, messages: Any, more: dict[str, Any]) -> str:
        response = self.resource(client).create(**self.request(messages, **more))
        if self.awaited:
            response = await response
        if not more.get("stream"):
            return self.text(response)
        if self.awaited:
            return "".join([self.piece(event) async for event in response])
        return "".join(self.piece(event) for event in response)

    def run(self, client: Any, work: Callable[[], Any]) -> Any:
        """Run something with a client and close it, on a loop where it is awaited."""

        async def main() -> Any:
            try:
                return await work()
            finally:
                closing = client.close()
                if self.awaited:
                    await closing

        return asyncio.run(main())

    def context(self, body: dict[str, Any]) -> str | None:
        """The context in what was sent, or None."""
        messages = body["input"] if self.name == "responses" else body["messages"]
        if isinstance(messages, str):
            return None
        for message in messages:
            content = message["content"]
            texts = [content] if isinstance(content, str) else [b.get("text") for b in content]
            for text in texts:
                if text and text.startswith("<haulout-memories"):
                    return text
        return None

    def context_in_place(self, body: dict[str, Any]) -> tuple[int, str | None]:
        """The context in what was sent, and in which message it stands."""
        messages = body["input"] if self.name == "responses" else body["messages"]
        where = [n for n, m in enumerate(messages) if "<haulout-memories" in str(m.get("content"))]
        kept = [message for message in messages if "content" in message]
        return where[0], self.context(body | {"input": kept, "messages": kept})


ENDPOINTS = [
    Endpoint(name, awaited)
    for name in ("chat", "responses", "messages")
    for awaited in (False, True)
]
