"""Every block of docs/python.md runs, with the real clients against a provider on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from integrations.providers import Provider, Reply

from haulout import Vault

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Provider]:
    found = Provider()
    monkeypatch.setenv("HAULOUT_HOME", str(tmp_path / "vault"))
    monkeypatch.setenv("OPENAI_BASE_URL", f"{found.address}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", found.address)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    yield found
    found.close()


def test_every_block_runs_and_each_knows_what_the_ones_before_it_kept(
    provider: Provider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    provider.replies += [Reply("Nothing with walnuts."), Reply("The green one.")]
    printed: list[str] = []
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), {"__name__": "page"})
        printed.append(capsys.readouterr().out)
    assert "Ana is allergic to walnuts." in printed[0]
    assert printed[1] == "Bo's boat is green.\n"
    assert printed[2] == "Nothing with walnuts.\n"
    assert printed[3] == "The green one.The green one.\n"
    for body, fact in zip(provider.bodies, ["allergic to walnuts", "boat is green"], strict=True):
        assert "[1] " in str(body)
        assert fact in str(body)
    with Vault.open(tmp_path / "vault", embedder="none") as vault:
        turns = vault.list(filter={"session": "dinner-plans"}).memories
        assert [memory.speaker for memory in turns] == ["assistant", "Bo", "assistant", "Bo"]
