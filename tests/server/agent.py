"""An agent in a process of its own, whose model is a script: it is to book one table.

    python agent.py SERVICE with-memory|without-memory [crash]

Its framework does what frameworks do: a tool that fails is called again, each time under a new
tool call ID. With ``crash`` the process ends right after its first booking was sent, before it
can write down what came of it. No model is called.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from thepage import from_the_page

SERVICE = sys.argv[1]
CRASHES = "crash" in sys.argv[3:]
TRIES = 3
DEADLINE_S = 1.0
TASK = "dinner with Ana"
TABLE = {"restaurant": "luigi", "when": "2026-12-01T19:00", "people": 2}
Tool = Callable[..., Awaitable[Any]]


def send(table: dict[str, Any], reference: str) -> Any:
    """Book a table. A lost answer is an OSError, and so is a lost request."""
    data = json.dumps({**table, "reference": reference}).encode()
    request = urllib.request.Request(f"{SERVICE}/bookings", data, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return json.load(answer)
    finally:
        if CRASHES:
            os._exit(9)


def look(reference: str) -> Any:
    """The booking of a reference, or None."""
    address = f"{SERVICE}/bookings?reference={reference}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        return next(iter(json.load(answer)), None)


class Model:
    """Plays a model: what it has read so far decides what it calls next."""

    def next(self, tools: dict[str, Tool], read: list[tuple[str, Any]]) -> str | None:
        """The tool to call, or None once it is content."""
        if "recover" in tools and not read:
            return "recover"
        booked = [answer for name, answer in read if name == "book_table"]
        if booked and not isinstance(booked[-1], Exception):
            return None
        return "book_table"


async def called(tool: Tool) -> Any:
    """As a framework calls a tool: again where it fails, and the model reads how it ended."""
    for attempt in range(TRIES):
        tool_call_id = uuid.uuid4().hex  # new each time, hence no key to act once by
        try:
            return await tool(tool_call_id)
        except (OSError, RuntimeError) as error:
            if attempt == TRIES - 1:
                return error
    raise AssertionError


async def run(tools: dict[str, Tool]) -> None:
    """The loop of an agent."""
    read: list[tuple[str, Any]] = []
    while (name := Model().next(tools, read)) is not None and len(read) < 10:
        read.append((name, await called(tools[name])))
    sys.stdout.write(json.dumps([[name, str(answer)] for name, answer in read]))


async def with_memory() -> None:
    from mcp import Client, StdioServerParameters

    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "haulout", "mcp", "--app", "agent-1"],
        env={**os.environ},
    )
    once = from_the_page("once")
    async with Client(server, read_timeout_seconds=60) as memory:

        async def book_table(_tool_call_id: str) -> Any:
            return await once(
                memory, TASK, "book table", TABLE, target="restaurant/luigi",
                act=lambda reference: asyncio.to_thread(send, TABLE, reference),
                look=lambda reference: asyncio.to_thread(look, reference), deadline=DEADLINE_S,
            )  # fmt: skip

        async def recover(_tool_call_id: str) -> Any:
            return (await memory.call_tool("recover", {})).content[0].text  # pyright: ignore[reportAttributeAccessIssue]

        await run({"recover": recover, "book_table": book_table})


async def without_memory() -> None:
    async def book_table(tool_call_id: str) -> Any:
        return await asyncio.to_thread(send, TABLE, tool_call_id)

    await run({"book_table": book_table})


asyncio.run(with_memory() if sys.argv[2] == "with-memory" else without_memory())
