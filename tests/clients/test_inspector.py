"""The official MCP Inspector lists every tool and calls every one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from clients.conftest import HAULOUT


class Inspector:
    """The Inspector's command line, which starts `haulout mcp` anew each time."""

    def __init__(self, machine: Any) -> None:
        self._machine = machine

    def ask(self, method: str, *more: str) -> Any:
        # It gives servers next to nothing of its own environment, as other clients do.
        command = ["/usr/bin/env", "HAULOUT_EMBEDDER=none", HAULOUT, "mcp", "--app", "inspector"]
        said = self._machine.client("inspector", "--cli", *command, "--method", method, *more)
        return json.loads(said.stdout)

    def call(self, tool: str, **arguments: Any) -> Any:
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in arguments.items()
        }
        given = [word for one in texts.items() for word in ("--tool-arg", "=".join(one))]
        answer = self.ask("tools/call", "--tool-name", tool, *given)
        assert not answer.get("isError"), answer
        return answer["structuredContent"]


@pytest.fixture
def inspector(machine) -> Inspector:
    return Inspector(machine)


def test_it_lists_every_tool_with_its_annotations(inspector) -> None:
    tools = {one["name"]: one for one in inspector.ask("tools/list")["tools"]}
    assert sorted(tools) == [
        "context", "forget", "get", "history", "list", "recall", "recover", "remember", "reserve",
        "settle", "update",
    ]  # fmt: skip
    assert tools["recall"]["annotations"]["readOnlyHint"]
    assert tools["forget"]["annotations"]["destructiveHint"]


def test_it_calls_every_tool(inspector) -> None:
    memory = inspector.call("remember", text="Ana lives in Lisbon.", tags=["home"])["id"]
    found = inspector.call("recall", query="where does Ana live?", limit=3)["found"]
    assert [one["memory"]["source"] for one in found] == ["inspector"]
    assert inspector.call("update", id=memory, text="Ana lives in Porto.")["version"] == 2
    assert inspector.call("get", id=memory)["text"] == "Ana lives in Porto."
    assert len(inspector.call("list")["memories"]) == 1
    assert len(inspector.call("history", id=memory)["events"]) == 2
    assert "Porto" in inspector.call("context", query="Ana")["text"]
    assert inspector.call("forget", target=[memory])["memories"] == [memory]
    assert inspector.call("list")["memories"] == []
    begun = inspector.call("reserve", action="book table", key="dinner luigi", cost={"eur": 80})
    assert begun["fresh"]
    intent = begun["intent"]["id"]
    assert not inspector.call("reserve", action="book table", key="dinner luigi", cost={"eur": 80})[
        "fresh"
    ]
    assert [one["id"] for one in inspector.call("recover")["open"]] == [intent]
    assert inspector.call("settle", intent=intent, status="done", ref="T-1")["status"] == "done"
