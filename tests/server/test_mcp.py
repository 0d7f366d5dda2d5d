"""`haulout mcp` as a client meets it: a process, two pipes, and both eras of the protocol."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters

from haulout import Vault
from haulout.operations import app
from haulout.server.mcp import mcp_server

HAULOUT = [sys.executable, "-m", "haulout"]
SECONDS = 60
ERAS = pytest.mark.parametrize("era", ["legacy", "2026-07-28"])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    vault, _ = Vault.create(tmp_path / "vault", embedder="none")
    vault.close()
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "HAULOUT_HOME": str(home / "vault"),
        "HAULOUT_EMBEDDER": "none",
        "PATH": os.environ["PATH"],
    }


def client(home: Path, app: str, era: str, *options: str) -> Client:
    server = StdioServerParameters(
        command=HAULOUT[0],
        args=[*HAULOUT[1:], "mcp", "--app", app, *options],
        env=environment(home),
    )
    return Client(server, mode=era, read_timeout_seconds=SECONDS)


# ------------------------------------------------------------------ a real client, both eras


@ERAS
def test_a_client_of_either_era_lists_and_calls_the_tools(home: Path, era: str) -> None:
    async def story() -> None:
        async with client(home, "claude-code", era) as one:
            tools = (await one.list_tools()).tools
            assert len(tools) == 11
            kept = await one.call_tool("remember", {"text": "Ana lives in Lisbon."})
            assert not kept.is_error
            assert kept.structured_content is not None
            assert kept.structured_content["source"] == "claude-code"
            found = await one.call_tool("recall", {"query": "where does Ana live?"})
            assert "Ana lives in Lisbon." in found.content[0].text

    asyncio.run(story())


@ERAS
def test_what_one_client_was_told_another_recalls_while_both_are_open(home: Path, era: str) -> None:
    async def story() -> None:
        async with client(home, "cursor", era) as reader, client(home, "codex", "legacy") as writer:
            assert (await reader.call_tool("recall", {"query": "deploy"})).structured_content == {
                "found": []
            }
            await writer.call_tool("remember", {"text": "We deploy on Fridays, never."})
            found = await reader.call_tool("recall", {"query": "when do we deploy?"})
            memory = found.structured_content["found"][0]["memory"]
            assert (memory["text"], memory["source"]) == ("We deploy on Fridays, never.", "codex")

    asyncio.run(story())


@ERAS
def test_a_refusal_is_an_answer_for_the_model_and_an_unknown_tool_an_error(
    home: Path, era: str
) -> None:
    async def story() -> None:
        async with client(home, "bot", era) as one:
            refused = await one.call_tool("get", {"id": "nonsense"})
            assert refused.is_error
            assert "is not the ID of a memory" in refused.content[0].text
            with pytest.raises(MCPError, match="There is no tool 'backup'"):
                await one.call_tool("backup", {"file": "everything"})

    asyncio.run(story())


def test_annotations_tell_what_changes_something(home: Path) -> None:
    async def story() -> dict[str, Any]:
        async with client(home, "bot", "2026-07-28") as one:
            return {tool.name: tool.annotations for tool in (await one.list_tools()).tools}

    hints = asyncio.run(story())
    assert {name for name, one in hints.items() if not one.read_only_hint} == {
        "remember", "update", "forget", "reserve", "settle",
    }  # fmt: skip
    assert [name for name, one in hints.items() if one.destructive_hint] == ["forget"]
    assert not any(one.open_world_hint for one in hints.values())


def test_an_app_that_may_only_read_cannot_call_what_it_is_not_shown(home: Path) -> None:
    async def story() -> None:
        async with client(home, "bot", "legacy", "--read-only") as one:
            assert len((await one.list_tools()).tools) == 6
            with pytest.raises(MCPError, match="no tool 'remember'"):
                await one.call_tool("remember", {"text": "x"})

    asyncio.run(story())


def test_many_calls_at_once_are_all_kept_and_answered(home: Path) -> None:
    async def story() -> None:
        async with client(home, "bot", "2026-07-28") as one:
            calls = (one.call_tool("remember", {"text": f"number {n}"}) for n in range(60))
            answers = await asyncio.gather(*calls)
            assert not any(one.is_error for one in answers)

    asyncio.run(story())
    with Vault.open(home / "vault", embedder="none") as vault:
        assert vault.stats().memories == 60


def test_a_call_that_waits_for_the_disk_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = threading.Event()

    async def story(vault: Vault) -> None:
        waiting = vault.list

        def waits(**arguments: Any) -> Any:
            assert others.wait(10), "no other call was answered meanwhile"
            return waiting(**arguments)

        monkeypatch.setattr(vault, "list", waits)
        async with Client(mcp_server(vault, app("bot"))) as one:
            slow = asyncio.create_task(one.call_tool("list", {}))
            await one.call_tool("recall", {"query": "anything"})
            others.set()
            assert not (await slow).is_error

    with Vault.ephemeral() as vault:
        asyncio.run(story(vault))


# ------------------------------------------------------------------ the bytes on the pipes


class Pipes:
    """A server process, one JSON message a line."""

    def __init__(self, home: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*HAULOUT, "mcp", "--app", "bot", *options],
            env=environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self.waiter = ThreadPoolExecutor(1)

    def send(self, line: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout
        return json.loads(self.waiter.submit(self.process.stdout.readline).result(SECONDS))

    def ask(self, method: str, **params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.send(json.dumps(message).encode())
        return self.receive()

    def end(self) -> tuple[int, bytes, bytes]:
        """Close its input and wait: what it ended with, and what else it printed."""
        out, err = self.process.communicate(timeout=SECONDS)
        self.waiter.shutdown()
        return self.process.returncode, out, err


@pytest.fixture
def pipes(home: Path) -> Iterator[Pipes]:
    found = Pipes(home)
    yield found
    if found.process.poll() is None:
        found.process.kill()
        found.end()


MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HANDSHAKE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "0"},
}


def test_a_stateless_request_needs_no_handshake_and_lists_stay_with_their_reader(
    pipes: Pipes,
) -> None:
    found = pipes.ask("tools/list", _meta=MODERN)["result"]
    assert (found["cacheScope"], found["ttlMs"], found["resultType"]) == (
        "private", 3_600_000, "complete",
    )  # fmt: skip
    told = pipes.ask("server/discover", _meta=MODERN)["result"]
    assert "Recall first" in told["instructions"]
    assert told["capabilities"].keys() == {"tools"}


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_a_handshake_of_every_revision_is_answered_in_its_own(pipes: Pipes, version: str) -> None:
    found = pipes.ask("initialize", **{**HANDSHAKE, "protocolVersion": version})["result"]
    assert found["protocolVersion"] == version
    assert found["serverInfo"]["name"] == "haulout"


def test_it_ends_by_itself_and_cleanly_when_its_client_goes(pipes: Pipes) -> None:
    pipes.ask("initialize", **HANDSHAKE)
    assert pipes.end() == (0, b"", b"")


def test_a_broken_line_is_answered_and_the_next_one_still_served(pipes: Pipes) -> None:
    pipes.ask("initialize", **HANDSHAKE)
    pipes.send(b"{not json")
    pipes.send(b"\xff\xfe\x00")
    answer = pipes.ask("tools/list")
    while "result" not in answer:  # whether broken lines are answered is the SDK's to say
        assert "error" in answer or answer.get("method") == "notifications/message"
        answer = pipes.receive()
    assert len(answer["result"]["tools"]) == 11


def test_what_was_acknowledged_survives_a_kill(home: Path, pipes: Pipes) -> None:
    pipes.ask("initialize", **HANDSHAKE)
    call = {"name": "remember", "arguments": {"text": "acknowledged"}}
    assert not pipes.ask("tools/call", **call)["result"].get("isError")
    pipes.process.send_signal(signal.SIGKILL)
    pipes.end()
    with Vault.open(home / "vault", embedder="none") as vault:
        assert [one.text for one in vault.list().memories] == ["acknowledged"]


def test_without_a_vault_it_says_so_on_standard_error_alone(tmp_path: Path) -> None:
    code, out, err = Pipes(tmp_path).end()
    assert (code, out) == (5, b"")
    assert b"haulout init" in err


def test_a_name_that_names_no_app_is_refused(home: Path) -> None:
    command = [*HAULOUT, "mcp", "--app", "../x"]
    done = subprocess.run(command, env=environment(home), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"no name of an app" in done.stderr
