"""After `haulout connect` the real clients find Haulout among their servers, and start it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TRUST = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}


def claude(machine, **settings) -> str:
    return machine.client("claude", "mcp", "list", **settings).stdout


def gemini(machine, **settings) -> str:
    done = machine.client("gemini", "mcp", "list", **{**TRUST, **settings})
    return done.stdout + done.stderr


def codex(machine, **settings) -> list[dict]:
    return json.loads(machine.client("codex", "mcp", "list", "--json", **settings).stdout)


def trusted(machine) -> None:
    """Codex reads a project's file where its owner trusts the folder."""
    file = machine.home / ".codex" / "config.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'[projects."{machine.work}"]\ntrust_level = "trusted"\n')


# --- Claude Code ----------------------------------------------------------------------------


def test_claude_code_starts_it(machine) -> None:
    machine.haulout("connect", "claude-code", "--yes")
    said = claude(machine)
    assert "haulout: " in said
    assert "mcp --app claude-code - ✔ Connected" in said, said


def test_claude_code_finds_it_beside_what_it_wrote_itself(machine) -> None:
    machine.client("claude", "mcp", "add", "--scope", "user", "other", "--", "/bin/false")
    file = machine.home / ".claude.json"
    before = file.read_bytes()
    machine.haulout("connect", "claude-code", "--yes")
    said = claude(machine)
    assert "other: /bin/false" in said
    assert "✔ Connected" in said, said
    assert "haulout" in json.loads(file.read_text())["mcpServers"]  # it rewrote the file
    answer = json.loads(machine.haulout("connect", "claude-code", "--undo", "--yes", "--json"))
    if answer["how"] == "restored":
        assert file.read_bytes() == before
    said = claude(machine)
    assert "other: /bin/false" in said
    assert "haulout" not in said


def test_claude_code_finds_a_projects_file_and_asks_before_it_starts_it(machine) -> None:
    machine.haulout("connect", "claude-code", "--scope", "project", "--yes")
    said = claude(machine)
    assert "mcp --app claude-code - ⏸ Pending approval" in said, said


@pytest.mark.parametrize("file", [".claude.json", ".config.json"])
def test_claude_code_finds_it_where_its_variable_says(machine, file: str) -> None:
    folder = machine.home / "settings"
    folder.mkdir()
    (folder / file).write_text("{}")
    where = {"CLAUDE_CONFIG_DIR": str(folder)}
    machine.haulout("connect", "claude-code", "--yes", **where)
    assert "✔ Connected" in claude(machine, **where)
    assert "haulout" in json.loads((folder / file).read_text())["mcpServers"]
    assert not (machine.home / ".claude.json").exists()


def test_claude_code_refuses_the_comment_that_connecting_refuses(machine) -> None:
    (machine.work / ".mcp.json").write_text('{\n  // servers\n  "mcpServers": {}\n}\n')
    assert "not a valid JSON" in claude(machine)


# --- Codex ----------------------------------------------------------------------------------


def test_codex_lists_it(machine) -> None:
    machine.haulout("connect", "codex", "--yes")
    (found,) = codex(machine)
    assert (found["name"], found["enabled"]) == ("haulout", True)
    assert found["transport"]["args"] == ["mcp", "--app", "codex"]
    assert Path(found["transport"]["command"]).is_absolute()


def test_codex_lists_it_beside_what_it_wrote_itself_and_undo_gives_that_back(machine) -> None:
    machine.client("codex", "mcp", "add", "other", "--env", "A=b", "--", "/bin/false", "x")
    file = machine.home / ".codex" / "config.toml"
    before = file.read_bytes()
    machine.haulout("connect", "codex", "--yes")
    assert {one["name"] for one in codex(machine)} == {"haulout", "other"}
    machine.haulout("connect", "codex", "--undo", "--yes")
    assert file.read_bytes() == before
    assert [one["name"] for one in codex(machine)] == ["other"]


def test_codex_lists_it_where_its_variable_says(machine) -> None:
    where = {"CODEX_HOME": str(machine.home / "settings")}
    machine.haulout("connect", "codex", "--yes", **where)
    assert [one["name"] for one in codex(machine, **where)] == ["haulout"]


def test_codex_reads_a_projects_file_in_a_folder_that_is_trusted(machine) -> None:
    machine.haulout("connect", "codex", "--scope", "project", "--yes")
    assert codex(machine) == []
    trusted(machine)
    assert [one["name"] for one in codex(machine)] == ["haulout"]


def test_codex_updates_what_connecting_wrote(machine) -> None:
    machine.haulout("connect", "codex", "--yes")
    machine.client("codex", "mcp", "remove", "haulout")
    assert codex(machine) == []
    machine.haulout("connect", "codex", "--yes")
    assert [one["name"] for one in codex(machine)] == ["haulout"]


# --- Gemini CLI -----------------------------------------------------------------------------


def test_gemini_starts_it_in_a_folder_that_is_trusted(machine) -> None:
    machine.haulout("connect", "gemini", "--yes")
    said = gemini(machine)
    assert "mcp --app gemini (stdio) - Connected" in said, said
    said = gemini(machine, GEMINI_CLI_TRUST_WORKSPACE="")
    assert "mcp --app gemini (stdio) - Disabled" in said, said


def test_gemini_finds_it_beside_what_it_wrote_itself_and_undo_gives_that_back(machine) -> None:
    machine.client("gemini", "mcp", "add", "-s", "user", "other", "/bin/false", **TRUST)
    file = machine.home / ".gemini" / "settings.json"
    file.write_text("// mine\n" + file.read_text())
    before = file.read_bytes()
    machine.haulout("connect", "gemini", "--yes")
    said = gemini(machine)
    assert "other: /bin/false" in said
    assert "mcp --app gemini (stdio) - Connected" in said, said
    machine.haulout("connect", "gemini", "--undo", "--yes")
    assert file.read_bytes() == before


def test_gemini_finds_a_projects_file_and_one_where_its_variable_says(machine) -> None:
    machine.haulout("connect", "gemini", "--scope", "project", "--yes")
    assert "mcp --app gemini (stdio) - Connected" in gemini(machine)
    machine.haulout("connect", "gemini", "--scope", "project", "--undo", "--yes")
    where = {"GEMINI_CLI_HOME": str(machine.home / "settings")}
    machine.haulout("connect", "gemini", "--yes", **where)
    assert "mcp --app gemini (stdio) - Connected" in gemini(machine, **where)


# --- what was written, started --------------------------------------------------------------


@pytest.mark.parametrize("client", ["cursor", "claude-desktop", "vscode", "windsurf"])
def test_what_clients_with_windows_are_given_starts_without_a_path(machine, client: str) -> None:
    """They cannot be run here; the command that they would run can, by the Inspector."""
    answer = json.loads(machine.haulout("connect", client, "--yes", "--json"))
    entry = answer["entry"]
    said = machine.client(
        "inspector", "--cli", "/usr/bin/env", "-i", f"HOME={machine.home}", "HAULOUT_EMBEDDER=none",
        entry["command"], *entry["args"], "--method", "tools/list", folder=machine.home,
    ).stdout  # fmt: skip
    assert "recall" in {one["name"] for one in json.loads(said)["tools"]}
