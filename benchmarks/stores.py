"""Stores to measure, each in a process of its own; peers in environments made here.

An environment stands in `.venvs/<peer>`, from the pinned versions of `peers/<peer>.txt`. A peer
that cannot be had here is skipped, and the table says why.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENTS = ROOT / ".venvs"
_QUIET = {
    "MEM0_TELEMETRY": "False",
    "ANONYMIZED_TELEMETRY": "False",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
}
"""Peers call nobody while they are measured."""
_LOADS_EXTENSIONS = (
    "import sqlite3, sys; sys.exit(sys.version_info < (3, 11)"
    " or not hasattr(sqlite3.Connection, 'enable_load_extension'))"
)


class Skipped(Exception):  # noqa: N818 - not an error of the benchmark
    """A store cannot be measured here; the message says why."""


class StoreFailed(Exception):  # noqa: N818
    """A store could not do what was asked of it."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One store, as the table names it, and the command that runs it."""

    name: str
    command: tuple[str, ...]


class Running:
    """A runner's process: `ask` sends one request and waits for the answer."""

    def __init__(self, arm: Arm, folder: Path, corpus: Path) -> None:
        paths = [str(ROOT / "src"), str(HERE / "peers")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **_QUIET,
        }
        self._process = subprocess.Popen(
            arm.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.name = arm.name
        self.opened = self.ask(do="open", folder=str(folder), corpus=str(corpus))

    def send(self, **request: Any) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            message = f"{self.name} ended."
            raise StoreFailed(message) from None

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            message = f"{self.name} ended without an answer (status {self._process.wait()})."
            raise StoreFailed(message)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise StoreFailed(answer["error"][:200])
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        self.send(**request)
        return self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def haulout(*, words: bool = False) -> Arm:
    """Haulout in this interpreter; with `words`, memories have no vectors."""
    command = (sys.executable, str(HERE / "peers" / "run_haulout.py"))
    return Arm("haulout, words only" if words else "haulout", command + ("--words",) * words)


def bare(kind: str, row_bytes: int) -> Arm:
    """One row (`commit`) or one append (`append`) of as many bytes, made durable."""
    names = {"commit": "bare SQLite commit", "append": "raw append + fsync"}
    runner = str(HERE / "peers" / "run_bare.py")
    return Arm(names[kind], (sys.executable, runner, kind, str(row_bytes)))


def mem0() -> Arm:
    """mem0 with its default local store.

    Raises:
        Skipped: it cannot be installed here.
    """
    python = environment("mem0", sys.executable)
    return Arm("mem0", (str(python), str(HERE / "peers" / "run_mem0.py")))


def chroma() -> Arm:
    """Chroma with its persistent client.

    Raises:
        Skipped: it cannot be installed here.
    """
    python = environment("chroma", sys.executable)
    return Arm("chroma", (str(python), str(HERE / "peers" / "run_chroma.py")))


def langgraph() -> Arm:
    """LangGraph's SqliteStore, which needs a Python whose sqlite3 loads extensions.

    Raises:
        Skipped: there is no such Python, or it cannot be installed.
    """
    python = environment("langgraph", python_that_loads_extensions())
    return Arm("LangGraph SqliteStore", (str(python), str(HERE / "peers" / "run_langgraph.py")))


def python_that_loads_extensions() -> str:
    """A Python from 3.11 whose `sqlite3` loads extensions, this one first.

    Raises:
        Skipped: none is on PATH.
    """
    names = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = [shutil.which(name, path=folder) for folder in folders for name in names]
    for python in dict.fromkeys([sys.executable, *filter(None, found), "/usr/bin/python3"]):
        probe = [python, "-c", _LOADS_EXTENSIONS]
        if Path(python).exists() and not subprocess.run(probe, capture_output=True).returncode:  # noqa: PLW1510
            return python
    raise Skipped("no python3 (3.11+) on PATH has a sqlite3 that loads extensions")


def environment(peer: str, python: str) -> Path:
    """The interpreter of a peer's environment, made on first use.

    Raises:
        Skipped: it cannot be made (offline, no wheels, no venv module).
    """
    wanted = HERE / "peers" / f"{peer}.txt"
    folder = ENVIRONMENTS / peer
    digest = hashlib.sha256(wanted.read_bytes() + os.path.realpath(python).encode()).hexdigest()
    stamp = folder / "made-from"
    inside = folder / "bin" / "python"
    if stamp.exists() and stamp.read_text("utf-8") == digest and inside.exists():
        return inside
    print(f"preparing {folder.relative_to(ROOT)} ...", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    _run(peer, [python, "-m", "venv", str(folder)])
    _run(peer, [str(inside), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)])
    stamp.write_text(digest, "utf-8")
    return inside


def _run(peer: str, command: Sequence[str]) -> None:
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1] if lines else f"`{' '.join(command[:4])} ...` failed"
        message = f"{peer} could not be installed: {reason[:160]}"
        raise Skipped(message)


def peers(console_print: Any, makers: Sequence[Callable[[], Arm]] = (mem0, langgraph)) -> list[Arm]:
    """These stores, or a line that says why one is missing."""
    found: list[Arm] = []
    for make in makers:
        try:
            found.append(make())
        except Skipped as reason:
            console_print(f"[yellow]skipped:[/yellow] {reason}")
    return found
