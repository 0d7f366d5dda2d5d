"""Every block of docs/redstuff.md runs, each knowing what those above it made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from haulout import redstuff

PAGE = Path(__file__).resolve().parents[2] / "docs" / "redstuff.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_every_block_runs_and_prints_what_the_page_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("py_ecc")
    made: dict[str, Any] = {"__name__": "page"}
    printed: list[str] = []
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/redstuff.md, block {number}", "exec"), made)
        printed.append(capsys.readouterr().out)
    encoded = made["encoded"]
    assert encoded.blob_id_text in printed[0]
    for words in re.findall(r"print\(parameters\(10\)\)  # (.*)", TEXT):
        assert words in printed[0]
    assert printed[1].strip()
    assert "bo {'kind': 'thing'} " in printed[-2]


def test_the_page_names_what_the_package_gives() -> None:
    unnamed = {name for name in redstuff.__all__ if not re.search(rf"\b{name}\b", TEXT)}
    assert unnamed <= {"Axis", "Check", "Encoded", "Parameters", "RecoverySymbol",
                       "InconsistencyProof", "pair_place", "proofs"}  # fmt: skip
