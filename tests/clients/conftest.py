"""The real clients that `make clients` puts into build/clients, each with a home of its own.

Without them these tests are skipped; where `HAULOUT_TEST_CLIENTS=required` stands in the
environment, as in .ci/run, they fail instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from haulout import Vault

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "build" / "clients" / "node_modules"
REQUIRED = os.environ.get("HAULOUT_TEST_CLIENTS") == "required"
HAULOUT = str(Path(sys.executable).parent / "haulout")
SECONDS = 120
NOWHERE = "http://127.0.0.1:9"  # whoever wants out finds nobody there


def programs(client: str) -> list[str]:
    """The command of a client, run by the node of the same folder: none of its own is needed."""
    node = PACKAGES / ".bin" / "node"
    command = {
        "claude": "@anthropic-ai/claude-code/cli-wrapper.cjs",
        "codex": "@openai/codex/bin/codex.js",
        "gemini": ".bin/gemini",
        "inspector": ".bin/mcp-inspector",
    }[client]
    missing = [path for path in (node, PACKAGES / command) if not path.exists()]
    if missing:
        reason = f"{missing[0].relative_to(ROOT)} is not there: run `make clients`"
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    return [str(node), str(PACKAGES / command)]


@dataclass(frozen=True)
class Machine:
    """A home that holds a vault and nothing else, with no way to the network."""

    home: Path
    work: Path
    environment: dict[str, str]

    def run(
        self, *command: str, folder: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end."""
        return subprocess.run(
            command, cwd=folder or self.work, env={**self.environment, **more},
            capture_output=True, text=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def haulout(self, *arguments: str, **more: str) -> str:
        """Run Haulout there, which has to succeed."""
        done = self.run(HAULOUT, *arguments, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(
        self, name: str, *arguments: str, folder: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a client there, which has to succeed."""
        done = self.run(*programs(name), *arguments, folder=folder, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    vault, _ = Vault.create(home / ".haulout", embedder="none")
    vault.close()
    environment = {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(PACKAGES / ".bin"), "/usr/bin", "/bin"]),
        "LANG": "C.UTF-8",
        "TMPDIR": str(tmp_path),
        "HAULOUT_EMBEDDER": "none",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "NO_PROXY": "",
    }
    return Machine(home, work, environment)
