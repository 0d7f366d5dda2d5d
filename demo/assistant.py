"""Stands in for an assistant: starts what its configuration names, and calls one tool of it.

python assistant.py FILE TOOL NAME=VALUE...
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters


async def call(entry: dict, tool: str, arguments: dict[str, str]) -> None:
    server = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=dict(os.environ)
    )
    async with Client(server) as client:
        answer = await client.call_tool(tool, arguments)
        print(answer.content[0].text)


file, tool, *pairs = sys.argv[1:]
entry = json.loads(Path(file).expanduser().read_text())["mcpServers"]["haulout"]
asyncio.run(call(entry, tool, dict(pair.split("=", 1) for pair in pairs)))
