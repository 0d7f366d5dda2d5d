"""The command line in this process: real vaults, real `main`, captured streams."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from haulout import Vault
from haulout.cli import main

SOURCE = Path(__file__).resolve().parents[2] / "src"


@dataclass(frozen=True)
class Run:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The tab-separated lines that a pipe gets."""
        return [line.split("\t") for line in self.out.splitlines()]


class Stream(io.TextIOWrapper):
    """A standard stream that is a pipe, or passes for a terminal."""

    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode()


Haulout = Callable[..., Run]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a vault, and an environment without settings."""
    for name in [name for name in os.environ if name.startswith("HAULOUT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HAULOUT_HOME", str(tmp_path / "vault"))
    monkeypatch.setenv("HAULOUT_EMBEDDER", "none")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def haulout(home: Path, monkeypatch: pytest.MonkeyPatch) -> Haulout:
    """Run a command. ``stdin`` is a pipe with that in it; ``terminal`` says all are terminals."""

    def run(*arguments: object, stdin: str | bytes = b"", terminal: bool = False) -> Run:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        given = Stream(data, terminal=terminal)
        out, err = Stream(terminal=terminal), Stream(terminal=terminal)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", given)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as exit_info:
                main([str(argument) for argument in arguments])
        code = exit_info.value.code
        return Run(code if isinstance(code, int) else 0, out.text(), err.text())

    return run


@pytest.fixture
def kit(home: Path) -> str:
    """The 24 words of the vault that is made for the test."""
    vault, kit = Vault.create(home / "vault", embedder="none")
    vault.close()
    return kit.words


@pytest.fixture
def mine(kit: str, haulout: Haulout) -> Haulout:
    """A command line with a vault behind it."""
    return haulout


@pytest.fixture
def walnuts(mine: Haulout) -> str:
    """The ID of a memory in the vault."""
    return mine("remember", "Ana is allergic to walnuts.", "--speaker", "Ana").out.strip()


@pytest.fixture
def lisbon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local zone other than UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Lisbon")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def process(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command as a process of its own."""

    def run(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "haulout.cli", *arguments],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True, text=True, check=False, timeout=60, **settings,
        )  # fmt: skip

    return run


@pytest.fixture
def spread(mine: Haulout, walnuts: str) -> Haulout:
    """A command line with a vault that has three volumes, v0 to v2 in its home, and is synced."""
    assert mine("volumes", "add", "v0", "v1", "v2").code == 0
    assert mine("sync").code == 0
    return mine
