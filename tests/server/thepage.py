"""Functions that docs/acting.md shows, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "acting.md"


def from_the_page(name: str, **instead: Any) -> Any:
    """The function of this name; `instead` are what it finds under names it uses."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (block,) = [one for one in blocks if f"async def {name}(" in one]
    found: dict[str, Any] = {}
    exec(compile(block, "docs/acting.md", "exec"), found)
    found.update(instead)
    return found[name]
