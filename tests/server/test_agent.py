"""An agent books once, through the real server and a real client, whatever is lost or dies."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from server.booking import BookingService
from server.thepage import from_the_page

from haulout import Vault
from haulout.operations import app
from haulout.server.tools import tools_for

AGENT = Path(__file__).resolve().parent / "agent.py"


class Case(NamedTuple):
    """What goes wrong, and whether an agent without memory then books more than once."""

    name: str
    lost: dict[str, int]
    crash: bool
    twice: bool


CASES = pytest.mark.parametrize(
    "case",
    [
        Case("answers lost", {"lose_answers": 2}, crash=False, twice=True),
        Case("killed once it had acted", {}, crash=True, twice=True),
        Case("answer lost, and killed", {"lose_answers": 1}, crash=True, twice=True),
        Case("request lost", {"lose_requests": 1}, crash=False, twice=False),
        Case("request lost, and killed", {"lose_requests": 1}, crash=True, twice=False),
        Case("one lost of each", {"lose_requests": 1, "lose_answers": 1}, crash=False, twice=True),
    ],
    ids=lambda case: case.name,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Vault.create(tmp_path / "vault", embedder="none")[0].close()
    return tmp_path


@pytest.fixture
def service(case: Case) -> Iterator[BookingService]:
    found = BookingService(**case.lost)
    yield found
    found.close()


def run(home: Path, service: BookingService, memory: str, *, crash: bool) -> str:
    """Run the agent, and once more where it was killed; what it read at last."""
    environment = {
        "HOME": str(home), "HAULOUT_HOME": str(home / "vault"), "HAULOUT_EMBEDDER": "none",
        "PATH": os.environ["PATH"],
    }  # fmt: skip

    def started(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(AGENT), service.address, memory, *more],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    if crash:
        assert started("crash").returncode == 9
    ran = started()
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@CASES
def test_with_the_tools_it_books_once(home: Path, service: BookingService, case: Case) -> None:
    told = run(home, service, "with-memory", crash=case.crash)
    assert len(service.bookings) == 1
    with Vault.open(home / "vault", embedder="none") as vault:
        shown = vault.show_state("default")
        assert shown.open == ()
        (done,) = [one for one in shown.recent if one.status == "done"]
        assert {one.status for one in shown.recent} <= {"done", "dropped"}
        assert service.bookings[0]["reference"] == done.id
        assert done.by == "agent-1"
        assert done.result["number"] == 1
    assert ("may have happened" in told) == case.crash  # what it read of its recovery


@CASES
def test_control_without_them_it_books_as_often_as_it_tries(
    home: Path, service: BookingService, case: Case
) -> None:
    run(home, service, "without-memory", crash=case.crash)
    assert (len(service.bookings) > 1) == case.twice


class Memory:
    """The tools as an MCP client calls them, without the wire: what a page's function needs."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def call_tool(self, name: str, given: dict[str, Any]) -> Any:
        bot = app("agent-1")
        answer = await asyncio.to_thread(tools_for(bot)[name].call, self._vault, bot, given)
        return SimpleNamespace(is_error=False, structured_content=answer.structured)


class Deadline:
    """`asyncio` for the page's function: its sleep ends once the first call has, as promised."""

    def __init__(self) -> None:
        self.slept, self.acted = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.set()
            await self.acted.wait()


@pytest.mark.parametrize(("deadline", "bookings"), [(60.0, 1), (-60.0, 2)])
def test_a_call_that_is_under_way_is_not_taken_for_lost_before_its_deadline(
    deadline: float, bookings: int
) -> None:
    """A framework that gives up on a call makes another while the first is still sending.

    The control looks at once, as if the deadline had passed, and books again.
    """
    asked: list[str] = []
    book: list[str] = []

    async def story() -> list[Any]:
        waits = Deadline()
        once = from_the_page("once", asyncio=waits)

        async def act(reference: str) -> dict[str, Any]:
            asked.append(reference)
            if len(asked) == 1:
                await waits.slept.wait()  # under way until the other call waits, or acts as well
            book.append(reference)
            waits.slept.set()
            waits.acted.set()
            return {"number": len(book)}

        async def look(reference: str) -> dict[str, Any] | None:
            return {"number": book.index(reference) + 1} if reference in book else None

        async def call(memory: Memory) -> Any:
            return await once(
                memory, "dinner", "book table", {"people": 2}, target="luigi", deadline=deadline,
                act=act, look=look,
            )  # fmt: skip

        with Vault.ephemeral() as vault:
            memory = Memory(vault)
            calls = asyncio.gather(call(memory), call(memory), return_exceptions=True)
            return await asyncio.wait_for(calls, 60)

    answers = asyncio.run(story())
    assert len(book) == bookings
    if bookings == 1:
        assert answers == [{"number": 1}] * 2
