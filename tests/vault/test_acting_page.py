"""Every block of docs/acting.md runs, in order, and every command of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from haulout import Vault
from haulout.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "acting.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```(python|console)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """What each block printed; a line of a console block is run as a command."""
    monkeypatch.setenv("HAULOUT_HOME", str(tmp_path / "vault"))
    monkeypatch.setenv("HAULOUT_EMBEDDER", "none")
    Vault.create(embedder="none")[0].close()
    names: dict[str, Any] = {"__name__": "page"}
    printed: list[str] = []
    try:
        for number, (kind, block) in enumerate(BLOCKS):
            if kind == "python":
                exec(compile(block, f"docs/acting.md, block {number}", "exec"), names)
            else:
                commands(block)
            printed.append(capsys.readouterr().out)
    finally:
        if "vault" in names:
            names["vault"].close()
    return printed


def commands(block: str) -> None:
    for line in block.splitlines():
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line)[2:])
        assert ended.value.code in {0, None, 8 if " show " in line else 0}, line


def test_every_block_runs_and_does_what_the_page_says(told: list[str]) -> None:
    kinds = [kind for kind, _ in BLOCKS]
    assert (kinds.count("python"), kinds.count("console")) == (7, 1)
    ten, once, letter, limits, owner, start, lease, mcp = told
    assert ten == "{'regime': 'wild', 'volatility_limit': '0.02'} 2\n"
    assert once.startswith("State bots/btc: 5 events.\n  restored  risk, version 2")
    assert once.endswith("Ready: entries are allowed.\ndone True 1\n")  # one order was accepted
    assert letter == "False\n"
    assert "the limit usd/day is 300, of which 250 is used and this costs 100" in limits
    assert "Paused: bots/btc" in owner
    assert "Limited to 50 usd/day: bots/btc" in owner
    assert ",charge,0,," in owner
    assert start.endswith("Ready: entries are allowed.\n")
    assert (lease, mcp) == ("", "")  # `once` is run in tests/server/test_agent.py


def test_the_ten_lines_are_ten() -> None:
    lines = [line for line in BLOCKS[0][1].splitlines() if line.strip()]
    assert len(lines) <= 10


@pytest.mark.parametrize(
    "word",
    ["connection", "fill", "slippage", "edge", "win rate", "drawdown", "profit", "regulation",
     "pattern-day-trader", "prop firm", "Exactly once", "split brain", "outage"],
)  # fmt: skip
def test_what_this_does_not_do_is_said_where_it_is_used(word: str) -> None:
    """Connectivity, fills, edge, regulation: nothing is promised of any of them, anywhere on it."""
    section = TEXT.partition("## What this does not do")[2]
    assert word in " ".join(section.split())
    before = " ".join(TEXT.partition("## What this does not do")[0].split())
    for promise in ("profit", "win rate", "drawdown", "guarantee"):
        assert promise not in before
