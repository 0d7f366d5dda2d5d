"""Walrus's own packages, which `make crosscheck` puts into build/walrus-npm, as an oracle.

Without them these tests are skipped; where `HAULOUT_TEST_CLIENTS=required` stands in the
environment, as in .ci/run, they fail instead.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PACKAGES = ROOT / "build" / "walrus-npm"
REQUIRED = os.environ.get("HAULOUT_TEST_CLIENTS") == "required"
NOWHERE = "http://127.0.0.1:9"  # whoever wants out finds nobody there


class RefusedError(Exception):
    """The official package refused the question."""


class Oracle:
    """A running oracle.mjs. Bytes travel as base64: `coded` and `plain`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, ask: str, **question: Any) -> Any:
        """Ask; raises `RefusedError` with the package's words where it refused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": ask, **question}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the oracle ended with {self._process.wait()}"
        answer = json.loads(line)
        if "error" in answer:
            raise RefusedError(answer["error"])
        return answer

    @staticmethod
    def coded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    @staticmethod
    def plain(text: str) -> bytes:
        return base64.b64decode(text, validate=True)


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    missing = [
        reason
        for reason, there in {
            "build/walrus-npm/node_modules is not there: run `make crosscheck`": (
                PACKAGES / "node_modules" / "@mysten" / "walrus-wasm"
            ).exists(),
            "there is no node here": shutil.which("node"),
        }.items()
        if not there
    ]
    if missing:
        if REQUIRED:
            pytest.fail(missing[0])
        pytest.skip(missing[0])
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
    }
    with subprocess.Popen(
        ["node", str(HERE / "oracle.mjs"), str(PACKAGES)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, encoding="utf-8",
    ) as process:  # fmt: skip
        yield Oracle(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.fixture(scope="session")
def refused() -> type[Exception]:
    return RefusedError
