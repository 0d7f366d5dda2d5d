"""Stands in for an assistant: starts what its configuration names, and calls one tool of it.

python assistant.py FILE TOOL NAME=VALUE...
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters


async def call(file: str, tool: str, arguments: dict[str, str]) -> None:
    entry = json.loads(Path(file).expanduser().read_text())["mcpServers"]["haulout"]
    server = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=dict(os.environ)
    )
    async with Client(server) as client:
        answer = await client.call_tool(tool, arguments)
        print(answer.content[0].text)


asyncio.run(call(sys.argv[1], sys.argv[2], dict(pair.split("=", 1) for pair in sys.argv[3:])))
