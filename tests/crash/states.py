"""An agent's state on disks that kill, fail and lose power: nothing acknowledged lost or doubled.

An agent tells a story in the state lane: documents, intents and what became of them, notes with
snapshots of their sum, limits. Snapshots of its book come often, and checkpoints, too. However it
is cut short, afterwards

- the events of every told step stand exactly once, in order, and no others;
- the one step that was begun stands whole or not at all, and taking it again makes it stand once;
- the book read from its snapshot is the fold of its events, and `check` finds nothing wrong.

The control is a disk that lies about the syncs of the lane's files.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

from crash.kills import CHECKPOINT_PAGES, quick_checkpoints
from crash.processes import child, parts, received, scratch, spread
from crash.story import Verdict

from haulout import HauloutError, Vault
from haulout.state import lane
from haulout.state.events import Event, Kind
from haulout.state.state import State
from haulout.testing.disks import Call, KillingDisk, Mark, RecordingDisk, mounted
from haulout.testing.powercut import power_cuts
from haulout.vault import statelane
from haulout.vault.opening import World

NAME = "bots/btc"
_STEPS = 60
_ROUNDS_A_VAULT = 25
_LONGEST_WAIT = 0.15
_BATCH = 250


@contextmanager
def often() -> Iterator[None]:
    """Snapshots of the book each few events, and checkpoints each few pages."""
    with ExitStack() as stack:
        stack.enter_context(quick_checkpoints)
        stack.enter_context(patch.object(lane, "_SNAPSHOT_EVENTS", 7))
        stack.enter_context(patch.object(statelane, "_LOG_PAGES", CHECKPOINT_PAGES))
        yield


class Step(NamedTuple):
    """One write of the agent's: its number, and what it does."""

    number: int
    kind: str


def plan(count: int) -> list[Step]:
    """An agent's steps."""
    kinds = ("document", "reserve", "settle", "note", "reserve", "settle", "limit")
    return [Step(number, kinds[number % len(kinds)]) for number in range(count)]


def take(state: State, step: Step) -> None:
    """Take a step, or see that it stands; what is asked for is durable when this returns."""
    number = step.number
    if step.kind == "document":
        if state.get("plan") != number:
            state.document("plan").set(number)
    elif step.kind == "reserve":
        state.reserve(
            "order", {"n": number, "pad": "x" * (number % 5 * 300)}, key=f"k-{number}",
            target=f"t/{number}", cost={"usd": 1},
        )  # fmt: skip
    elif step.kind == "settle":
        ended = ("done", "refused", "accepted")[number % 3]
        intent = state.reserve(
            "order", {"n": number - 1, "pad": "x" * ((number - 1) % 5 * 300)},
            key=f"k-{number - 1}", target=f"t/{number - 1}", cost={"usd": 1},
        ).intent  # fmt: skip
        state.settle(intent, ended)
    elif step.kind == "note":
        journal = state.journal("sum", lambda total, note: total + note, 0, every=3)
        if number not in _notes(state):
            journal.note(number)
    elif number not in [_limit_of(one) for one in _bodies(state, Kind.LIMITS)]:
        state.limit("usd/day", 1_000_000 + number)


def _bodies(state: State, kind: Kind) -> list[Any]:
    return [one.event.body for one in state.events() if one.event.kind == kind]


def _notes(state: State) -> list[int]:
    return [int(one["value"]) for one in _bodies(state, Kind.NOTE)]


def _limit_of(body: Any) -> int:
    return int(body["limits"]["usd/day"]) - 1_000_000


def said(event: Event) -> tuple[str, Any] | None:
    """What an event says of the story; None for the tag and for snapshots of sums."""
    body = event.body
    if event.kind == Kind.DOCUMENT:
        return "document", int(body["value"])
    if event.kind == Kind.INTENT:
        return "reserve", int(body["key"][2:])
    if event.kind == Kind.SETTLE:
        return "settle", body["status"]
    if event.kind == Kind.NOTE:
        return "note", int(body["value"])
    return ("limit", _limit_of(body)) if event.kind == Kind.LIMITS else None


def expected(steps: Sequence[Step]) -> list[tuple[str, Any]]:
    """What the events of some steps say."""
    found: list[tuple[str, Any]] = []
    for number, kind in steps:
        what = ("done", "refused", "accepted")[number % 3] if kind == "settle" else number
        found.append((kind, what))
    return found


def _stands(state: State) -> list[tuple[str, Any]]:
    return [one for one in map(said, (one.event for one in state.events())) if one is not None]


def judge(folder: Path, steps: Sequence[Step], told: int) -> Verdict:
    """Reopen a vault, compare its state with what the agent was told, take the cut step again."""
    verdict = Verdict(trials=1, told=told)
    try:
        with often(), Vault.open(folder, embedder="none") as vault:
            verdict.wrong += vault.check().problems
            state = vault.state(NAME)
            found = _stands(state)
            if found not in (expected(steps[:told]), expected(steps[: told + 1])):
                _compare(verdict, steps, told, found)
            if verdict.kept and told < len(steps):
                take(state, steps[told])
                if (found := _stands(state)) != expected(steps[: told + 1]):
                    _compare(verdict, steps, told + 1, found)
            total = state.journal("sum", lambda one, note: one + note, 0, every=3).value
            if total != sum(_notes(state)):
                verdict.wrong.append(f"the sum of the notes is {total}")
            verdict.wrong += vault.check().problems
    except HauloutError as error:
        verdict.lost += told
        verdict.wrong.append(f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - what is not ours is a finding of its own
        verdict.lost += told
        verdict.wrong.append(f"not one of Haulout's errors: {error!r}")
    return verdict


def _compare(
    verdict: Verdict, steps: Sequence[Step], told: int, found: list[tuple[str, Any]]
) -> None:
    wanted = expected(steps[:told])
    verdict.lost += len([one for one in wanted if one not in found])
    verdict.doubled += max(0, len(found) - len(wanted) - 1)
    verdict.wrong.append(f"after {told} steps: {found[-4:]} in place of {wanted[-4:]}")


# ---------------------------------------------------------------------- kills


def _go_on(connection: Connection, folder: Path, steps: Sequence[Step], told: int) -> None:
    """A process that goes on with its story until it is killed."""
    with often(), Vault.open(folder, embedder="none") as vault:
        state = vault.state(NAME)
        connection.send(None)
        for step in steps[told:]:
            take(state, step)
            connection.send(step.number + 1)


def random_kills(count: int, seed: int = 0) -> Verdict:
    """Kill an agent at random moments, judging its state after each."""
    random, verdict = Random(seed), Verdict()
    while verdict.trials < count:
        with scratch() as place:
            Vault.create(place / "vault", embedder="none")[0].close()
            steps, told = plan(_STEPS * 20), 0
            for _ in range(min(_ROUNDS_A_VAULT, count - verdict.trials)):
                before = told
                with child(_go_on, place / "vault", steps, told) as (process, connection):
                    heard: list[Any] = []
                    if random.random() < 0.9:
                        heard.append(connection.recv())  # it has opened its state
                    end = time.monotonic() + random.random() * _LONGEST_WAIT
                    while (left := end - time.monotonic()) > 0 and connection.poll(left):
                        heard.append(connection.recv())
                    process.kill()
                    heard += received(connection)
                told = max([told, *(one for one in heard if one is not None)])
                found = judge(place / "vault", steps, told)
                found.told -= before
                told += told < len(steps) and found.kept
                verdict += found
    return verdict


def _from_nothing(connection: Connection, folder: Path, at: int, steps: Sequence[Step]) -> None:
    """A process that makes the lane and tells a story, killed at its n-th write call."""
    with (
        often(),
        mounted(KillingDisk({"write"}, at), folder.parent) as vfs,
        Vault.open(folder, embedder="none", world=World(vfs=vfs)) as vault,
    ):
        state = vault.state(NAME)
        for step in steps:
            take(state, step)
            connection.send(step.number + 1)


def kill_at(points: list[int]) -> Verdict:
    """Kill the first agent of a vault at each of these write calls, those of the making first."""
    verdict = Verdict()
    for point in points:
        with scratch() as place:
            steps, folder = plan(_STEPS), place / "vault"
            Vault.create(folder, embedder="none")[0].close()
            with child(_from_nothing, folder, point, steps) as (process, connection):
                told = max([0, *received(connection)])
                process.join()
                if process.exitcode != -9:
                    verdict.wrong.append(f"write call {point} was not reached")
            found = judge(folder, steps, told)
            found.wrong = [f"write call {point}: {one}" for one in found.wrong]
            verdict += found
    return verdict


# ---------------------------------------------------------------------- power cuts


def record(place: Path, steps: Sequence[Step], *, syncs: bool = True) -> list[Call | Mark]:
    """Make a vault and tell the story in it; all that reached the disk, with acknowledgements."""
    disk = RecordingDisk(lies_about=lambda path: not syncs and "state.db" in path)
    with often(), mounted(disk, place) as vfs:
        world = World(vfs=vfs)
        vault = Vault.create(place / "vault", embedder="none", world=world)[0]
        disk.mark("made")
        for number, step in enumerate(steps):
            if number == len(steps) // 2:
                vault.close()
                vault = Vault.open(place / "vault", embedder="none", world=world)
            if number == len(steps) * 3 // 4:
                vault.rebuild()
            take(vault.state(NAME), step)
            disk.mark(step.number + 1)
        vault.close()
    return disk.events


def examine(states: int, seed: int, syncs: bool = True) -> tuple[Verdict, int]:  # noqa: FBT001, FBT002
    """Judge so many states of the disk; also how many of them were not as they must be."""
    verdict, failed, steps = Verdict(), 0, plan(_STEPS)
    with scratch() as root:
        events = record(root, steps, syncs=syncs)
        for cut in power_cuts(events, Random(seed), states):
            if "made" not in cut.marks:
                continue  # the making of a vault is told by the story of memories
            with scratch() as place:
                cut.write_to(place, root)
                told = max((mark for mark in cut.marks if mark != "made"), default=0)
                found = judge(place / "vault", steps, told)
            found.wrong = [f"cut at {cut.at}: {one}" for one in found.wrong]
            failed += not found.kept
            verdict += found
    return verdict, failed


def run(*, kills: int, points: list[int], cuts: int, control: int, jobs: int) -> dict[str, Any]:
    """Everything, spread over cores; the control's share of states that failed as they must."""
    by_chance, at_points, by_power = Verdict(), Verdict(), Verdict()
    portions = [(min(25, kills - start), start) for start in range(0, kills, 25)]
    for part in spread(random_kills, portions, jobs):
        by_chance += part
    for part in spread(kill_at, [(points[start::16],) for start in range(16)], jobs):
        at_points += part
    for part, _ in spread(examine, [(n, s) for s, n in enumerate(parts(cuts, _BATCH))], jobs):
        by_power += part
    lying = examine(control, 0, syncs=False)
    return {
        "states, random kills": by_chance,
        "states, kills at a write call": at_points,
        "states, power cuts": by_power,
        "control": lying[1] / max(1, lying[0].trials),
    }
