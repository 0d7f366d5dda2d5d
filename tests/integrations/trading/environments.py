"""The environments that `make demo-trading` makes, for tests of the real thing; and the page."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
DEMO = ROOT / "demo" / "trading"


def blocks(heading: str) -> list[str]:
    """The Python blocks of docs/trading.md under a heading of the second level."""
    text = (ROOT / "docs" / "trading.md").read_text("utf-8")
    part = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert part is not None
    return re.findall(r"^```python\n(.*?)^```", part[1], re.MULTILINE | re.DOTALL)


def python_of(name: str) -> str:
    """The interpreter of ``freqtrade`` or ``nautilus``; the test is skipped where there is none."""
    folder = ROOT / "build" / "trading" / name
    if not (folder / "done").exists():
        pytest.skip(f"build/trading/{name} is not there: `make demo-trading` makes it")
    return str(folder / "bin" / "python")


def run(name: str, *words: str, **more: str) -> str:
    """The last line that a program prints in an environment."""
    found = subprocess.run(
        [python_of(name), *words], capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, **more},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout.strip().splitlines()[-1]
