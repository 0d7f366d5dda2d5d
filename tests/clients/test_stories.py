"""What a person tells one assistant, another knows: real clients, each with a scripted model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from integrations.providers import Provider, Reply

FACT = "Ana is allergic to walnuts."
QUESTION = "What must I not cook for Ana?"


def calls_once(tool: str, **arguments: str) -> Callable[[dict[str, Any]], Reply]:
    """A model that calls one of Haulout's tools, and then says what the tool answered."""

    def script(body: dict[str, Any]) -> Reply:
        answers = tool_answers(body)
        if answers:
            return Reply(text=" ".join(answers))
        for one in body.get("tools", ()):
            if one.get("name") == "mcp__haulout":  # OpenAI's: a namespace of tools
                return Reply(text="", tool=tool, arguments=arguments, namespace=one["name"])
            if one.get("name") == f"mcp__haulout__{tool}":
                return Reply(text="", tool=one["name"], arguments=arguments)
        return Reply(text="I have no memory.")

    return script


def tool_answers(body: dict[str, Any]) -> list[str]:
    """The texts that tools gave back, in Anthropic's form and in OpenAI's."""
    found: list[str] = []
    for message in body.get("messages", body.get("input", ())):
        if message.get("type") == "function_call_output":
            found.append(json.dumps(message["output"]))
        content = message.get("content")
        blocks = content if isinstance(content, list) else ()
        found += [json.dumps(one["content"]) for one in blocks if one["type"] == "tool_result"]
    return found


@pytest.fixture
def model() -> Iterator[Callable[..., Provider]]:
    made: list[Provider] = []

    def make(tool: str, **arguments: str) -> Provider:
        made.append(Provider(calls_once(tool, **arguments)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def claude(machine, model: Provider, prompt: str) -> str:
    return machine.client(
        "claude", "-p", prompt, "--allowedTools", "mcp__haulout",
        ANTHROPIC_BASE_URL=model.address, ANTHROPIC_API_KEY="none", NO_PROXY="127.0.0.1",
        MCP_CONNECTION_NONBLOCKING="false",  # else its first question may come before its servers
    ).stdout  # fmt: skip


def codex(machine, model: Provider, prompt: str) -> str:
    settings = {
        "model": '"model-1"',
        "model_provider": '"here"',
        "model_providers.here.name": '"here"',
        "model_providers.here.base_url": f'"{model.address}/v1"',
        "model_providers.here.wire_api": '"responses"',
        "model_providers.here.env_key": '"KEY"',
        "mcp_servers.haulout.required": "true",  # else its first question may come before it
    }
    given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return machine.client(
        "codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
        *given, prompt, KEY="none", NO_PROXY="127.0.0.1",
    ).stdout  # fmt: skip


@pytest.mark.parametrize(("teller", "asker"), [("claude-code", "codex"), ("codex", "claude-code")])
def test_what_one_assistant_was_told_another_recalls(machine, model, teller, asker) -> None:
    says = {"claude-code": claude, "codex": codex}
    for client in says:
        machine.haulout("connect", client, "--yes")
    told = says[teller](machine, model("remember", text=FACT, speaker="Ana"), f"Remember: {FACT}")
    assert FACT in told  # as the tool answered
    asked = says[asker](machine, model("recall", query=QUESTION), QUESTION)
    assert FACT in asked
    (kept,) = json.loads(machine.haulout("list", "--json"))["memories"]
    assert (kept["text"], kept["speaker"], kept["source"]) == (FACT, "Ana", teller)


def test_a_model_is_told_to_recall_first_and_has_the_tools_for_it_at_hand(machine, model) -> None:
    machine.haulout("connect", "claude-code", "--yes")
    asked = model("recall", query=QUESTION)
    claude(machine, asked, QUESTION)
    body = asked.bodies[0]
    assert "Recall first" in json.dumps(body)
    at_hand = {one["name"] for one in body["tools"]}
    assert {"mcp__haulout__recall", "mcp__haulout__remember"} <= at_hand
