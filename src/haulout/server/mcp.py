"""MCP over standard input and output: the tools of `haulout.server.tools` on the official SDK.

The SDK speaks both eras of the protocol, the handshake of 2025-11-25 and before and the
stateless requests of 2026-07-28; a client's first request decides. Importing this module costs
half a second of CPU, which is the SDK's, so nothing but ``haulout mcp`` does.

What a tool refuses is an answer with ``isError`` that says what happened and what to do, for
the model to read. Only a call that no tool can be meant by is an error of the protocol.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mcp import MCPError
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ListedTool

from haulout.errors import HauloutError
from haulout.operations import Principal
from haulout.server.tools import INSTRUCTIONS, Tool, tools_for
from haulout.vault import Vault
from haulout.version import __version__

_LIST_FRESH_MS = 3_600_000
"""The list of tools changes with the version alone; an hour's cache outlives no upgrade by much."""

_AT_HAND = {"anthropic/alwaysLoad": True}
"""Claude Code hides the tools of servers behind a search. A model that has to look for a memory
does not look."""

_Context = ServerRequestContext[Any]


def mcp_server(vault: Vault, principal: Principal) -> Server[Any]:
    """An MCP server for one principal over an open vault; it is not running yet.

    Args:
        vault: the open vault; it stays the caller's to close.
        principal: whose operations its tools are.
    """
    tools = tools_for(principal)
    listed = [_listed(tool) for tool in tools.values()]

    async def list_tools(_: _Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=listed)

    async def call_tool(_: _Context, params: CallToolRequestParams) -> CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name!r}.")
        # On a thread: a vault's verbs wait for the disk, and other requests go on meanwhile.
        return await asyncio.to_thread(_call, tool, vault, principal, params.arguments or {})

    hint = CacheHint(ttl_ms=_LIST_FRESH_MS, scope="private")
    return Server(
        "haulout",
        version=__version__,
        title="Haulout",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": hint, "server/discover": hint},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve_stdio(vault: Vault, principal: Principal) -> None:
    """Speak MCP over standard input and output until the client closes them."""

    async def serve() -> None:
        server = mcp_server(vault, principal)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    asyncio.run(serve())


def _call(
    tool: Tool, vault: Vault, principal: Principal, arguments: dict[str, Any]
) -> CallToolResult:
    try:
        answer = tool.call(vault, principal, arguments)
    except HauloutError as error:
        again = " Trying again may help." if error.retry else ""
        return CallToolResult(content=[_text(f"{error}{again}")], is_error=True)
    return CallToolResult(content=[_text(answer.text)], structured_content=answer.structured)


def _text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


def _listed(tool: Tool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        _meta=_AT_HAND if tool.at_hand else None,
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.read_only or tool.idempotent,
            open_world_hint=False,
        ),
    )
