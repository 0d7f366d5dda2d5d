"""The clients, as data: where each keeps its servers, in which form, and what to do afterwards.

docs/spec/connect.md tells for each line how it was verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Scope: TypeAlias = Literal["user", "project"]
Root: TypeAlias = Literal[
    "home", "config", "project", "claude", "claude-settings", "codex", "gemini"
]
"""The folders that paths begin at; the command line knows where they are.

`config` is where programs keep settings: Application Support, %APPDATA% or ~/.config.
"""

NAME: Final = "haulout"
"""What our entry is called in every client."""

PRIVATE: Final = 0o600
SHARED: Final = 0o644


@dataclass(frozen=True, slots=True)
class Place:
    """A file: a path below one of the roots.

    Attributes:
        older: a file that the client prefers to this one where it exists and is not empty.
    """

    root: Root
    path: str
    older: Place | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """What is to be known of one client.

    Attributes:
        name, title: as the command line and as people call it.
        files: where its servers are, for each scope that it has; the first is the default.
        key: what the table of servers is called there.
        signs: any of these on the disk, or ``program`` on the PATH, says that it is installed.
        kind: whether an entry says that it is started and spoken to on standard streams.
        comments, trailing_commas, mark: whether it reads files that have these; where that was
            not tried, yes.
        then: what to do next, for each scope.
    """

    name: str
    title: str
    files: dict[Scope, Place]
    signs: tuple[Place, ...]
    then: dict[Scope, str]
    program: str | None = None
    form: Literal["json", "toml"] = "json"
    key: str = "mcpServers"
    kind: bool = False
    comments: bool = True
    trailing_commas: bool = True
    mark: bool = True

    @property
    def path(self) -> tuple[str, str]:
        """The names that lead to our entry."""
        return self.key, NAME

    def fields(self, command: str, arguments: list[str]) -> dict[str, str | list[str]]:
        """Our entry."""
        kind: dict[str, str | list[str]] = {"type": "stdio"} if self.kind else {}
        return {**kind, "command": command, "args": arguments}


def mode(scope: Scope) -> int:
    """Of a new file: a project's is shared, the person's own may come to hold servers' keys."""
    return PRIVATE if scope == "user" else SHARED


_CLAUDE_CODE: Final = Client(
    name="claude-code",
    title="Claude Code",
    files={
        "user": Place("claude", ".claude.json", Place("claude-settings", ".config.json")),
        "project": Place("project", ".mcp.json"),
    },
    signs=(Place("claude", ".claude.json"), Place("claude-settings", "")),
    program="claude",
    kind=True,
    comments=False,
    trailing_commas=False,
    then={
        "user": "Start a new session; `claude mcp list` shows it.",
        "project": "Start `claude` in this folder; it asks once whether the server may run.",
    },
)

_CLAUDE_DESKTOP: Final = Client(
    name="claude-desktop",
    title="Claude Desktop",
    files={"user": Place("config", "Claude/claude_desktop_config.json")},
    signs=(Place("config", "Claude"),),
    then={"user": "Quit Claude Desktop, not only its window, and start it again."},
)

_CURSOR: Final = Client(
    name="cursor",
    title="Cursor",
    files={
        "user": Place("home", ".cursor/mcp.json"),
        "project": Place("project", ".cursor/mcp.json"),
    },
    signs=(Place("home", ".cursor"),),
    program="cursor",
    then={
        "user": "Cursor lists it in its settings, under MCP.",
        "project": "Open this folder in Cursor; its settings list it, under MCP.",
    },
)

_CODEX: Final = Client(
    name="codex",
    title="Codex",
    files={
        "user": Place("codex", "config.toml"),
        "project": Place("project", ".codex/config.toml"),
    },
    signs=(Place("codex", ""),),
    program="codex",
    form="toml",
    key="mcp_servers",
    then={
        "user": "Start a new session; `codex mcp list` shows it.",
        "project": "Start `codex` in this folder, and trust it: only then the file is read.",
    },
)

_VSCODE: Final = Client(
    name="vscode",
    title="VS Code",
    files={
        "user": Place("config", "Code/User/mcp.json"),
        "project": Place("project", ".vscode/mcp.json"),
    },
    signs=(Place("config", "Code"), Place("home", ".vscode")),
    program="code",
    key="servers",
    kind=True,
    then={
        "user": "Run `MCP: List Servers` in VS Code, and start it there.",
        "project": "Open this folder in VS Code, run `MCP: List Servers`, and start it there.",
    },
)

_GEMINI: Final = Client(
    name="gemini",
    title="Gemini CLI",
    files={
        "user": Place("gemini", ".gemini/settings.json"),
        "project": Place("project", ".gemini/settings.json"),
    },
    signs=(Place("gemini", ".gemini"),),
    program="gemini",
    trailing_commas=False,
    mark=False,
    then={
        "user": "Start `gemini` in a folder that it trusts: elsewhere it starts no server.",
        "project": "Start `gemini` in this folder, and trust the folder: else it starts no server.",
    },
)

_WINDSURF: Final = Client(
    name="windsurf",
    title="Windsurf",
    files={"user": Place("home", ".codeium/windsurf/mcp_config.json")},
    signs=(Place("home", ".codeium/windsurf"),),
    program="windsurf",
    then={"user": "Press refresh in Cascade's list of MCP servers."},
)

CLIENTS: Final[dict[str, Client]] = {
    one.name: one
    for one in (_CLAUDE_CODE, _CLAUDE_DESKTOP, _CURSOR, _CODEX, _VSCODE, _GEMINI, _WINDSURF)
}
