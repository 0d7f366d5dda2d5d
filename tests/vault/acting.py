"""What an agent does in a vault, and what must come back of it: for tests of the state lane."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from haulout import Vault
from haulout.errors import HauloutError
from haulout.state.state import State
from haulout.vault.opening import Parts


def act(vault: Vault, name: str = "bots/btc", intents: int = 6) -> State:
    """Let an agent keep one of everything: documents, notes, intents in every status, limits."""
    state = vault.state(name)
    state.document("plan").set({"levels": [1, 2, 3], "who": name})
    state.document("plan").set({"levels": [1, 2], "who": name})
    state.document("gone").set("soon")
    state.document("gone").delete()
    state.journal("fills", lambda total, fill: total + fill, 0).note(5)
    state.limit("usd/day", 10_000)
    state.limit("usd/held", 9_000, by_owner=True)
    state.charge("usd", "12.5", "a loss")
    ends: list[dict[str, Any]] = [
        {"status": "done", "filled": "1", "spent": {"usd": "99.5"}, "result": {"id": 7}},
        {"status": "refused", "why": "no"}, {"status": "accepted", "ref": "v-1"},
        {"status": "unknown"}, {"status": "dropped"},
    ]  # fmt: skip
    for number in range(intents):
        reserved = state.reserve(
            "order", {"side": "buy", "n": number}, key=f"signal-{number}", target=f"desk/{number}",
            cost={"usd": 100 + number}, holds=["usd"],
        )  # fmt: skip
        if number < len(ends):
            state.settle(reserved.intent, **ends[number])
    return state


def lane(vault: Vault) -> Parts:
    """The state lane of an open vault: its database and journal."""
    found = vault._lane_parts()
    assert found is not None
    return found


def book(vault: Vault, name: str = "bots/btc") -> bytes:
    """The bytes of a state's book."""
    return vault.state(name).tape.read(lambda one, _past: one.snapshot())


def folded(vault: Vault, name: str = "bots/btc") -> bytes:
    """The same, from the events alone and without what a copy numbers for itself."""
    from haulout.state.tape import replayed

    events = [one._replace(number=at) for at, one in enumerate(vault.state(name).events(), 1)]
    return replayed(events).snapshot()


def records(vault: Vault) -> int:
    """How many records the state lane has."""
    with lane(vault).database.read() as connection:
        return connection.execute("SELECT count(*) FROM record").fetchone()[0]


def published(vault: Vault, kind: str = "volumes") -> int:
    """How many records of the state lane the database calls published."""
    row = vault._remote.row(kind)
    assert row is not None
    states = row.state.states
    return 0 if states is None else sum(run.run.records for run in states.runs)


def fork(connection: Connection, folder: Path) -> None:
    """Fork with a state open, send what the new process meets, and go on in the old one."""
    with Vault.open(folder, embedder="none") as vault:
        state = vault.state("bots/btc")
        state.get("plan")
        forked = os.fork()
        if forked == 0:
            for attempt in (
                lambda: state.document("plan").set("twice"),
                lambda: state.get("plan"),
                lambda: vault.state("other").document("x").set(1),
            ):
                try:
                    attempt()
                    connection.send("nothing was refused")
                except HauloutError as error:
                    connection.send(f"{type(error).__name__}: {error}")
            os._exit(0)
        os.waitpid(forked, 0)
        state.document("plan").set("after the fork")
        connection.send("done")
