"""A bot in a process of its own, which holds a state and its lease and decides when it is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BOT = """
import sys
from haulout import Vault
from haulout.errors import ActionRefusedError

with Vault.open(sys.argv[1], embedder="none") as vault:
    state = vault.state("bots/btc")
    with state.lease("bot-1", 600):
        for line in sys.stdin:
            try:
                made = state.reserve("order", target=line.strip(), cost={"usd": "1"},
                                     role="exit" if "exit" in line else "entry")
                print("reserved", made.intent.text, flush=True)
            except ActionRefusedError as error:
                print("refused", error.message, flush=True)
"""


@contextmanager
def running_bot(folder: Path) -> Iterator[Callable[[str], str]]:
    """A bot in a process of its own, which decides when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", BOT, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout

    def decide(target: str) -> str:
        process.stdin.write(f"{target}\n")  # pyright: ignore[reportOptionalMemberAccess]
        process.stdin.flush()  # pyright: ignore[reportOptionalMemberAccess]
        return process.stdout.readline().strip()  # pyright: ignore[reportOptionalMemberAccess]

    try:
        yield decide
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(60)
