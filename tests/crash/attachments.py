"""Attachments on disks that fail or lose power: nothing acknowledged lost, no half one visible.

A life attaches, appends to and forgets files of tiny chunks, each step under an operation ID. It
is lived on a disk that refuses one call, and on one that is recorded and then cut off. On the
healthy disk afterwards

- what a told step left is there, byte for byte;
- the step that was begun stands whole or not at all, and taking it again makes it stand;
- `check` finds nothing wrong.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from crash.kills import quick_checkpoints
from crash.processes import scratch
from crash.story import Verdict
from vault.attachments.test_attachments import Breaking, small_chunks, whole

from haulout import HauloutError, Vault
from haulout.errors import StorageError, VaultClosedError
from haulout.testing.disks import CountingDisk, Disk, FailingDisk, Kind, RecordingDisk, mounted
from haulout.testing.powercut import power_cuts
from haulout.vault.opening import World

KINDS: tuple[Kind, ...] = ("write", "sync", "open", "rename", "delete")
_ATTEMPTS = 3


class Step(NamedTuple):
    """One write: attach, append or forget, to the file with a number."""

    kind: str
    file: int
    data: bytes


def plan(seed: int, count: int = 12) -> list[Step]:
    random, alive, steps = Random(seed), list[int](), list[Step]()
    for number in range(count):
        size = 900 if number % 8 == 0 else random.choice((5, 40, 64, 300, 700))
        # Some files share chunks, so that a forget must leave some of them.
        data = b"shared walrus " * (size // 20) + random.randbytes(size)
        if number % 4 == 0 or not alive:
            alive.append(number)
            steps.append(Step("attach", number, data))
        elif number % 5 == 3 and len(alive) > 1:
            steps.append(Step("forget", alive.pop(0), b""))
        else:
            steps.append(Step("append", random.choice(alive), data))
    return steps


@dataclass
class Life:
    """A vault's life: its steps, how many it was told of, the memories of its files."""

    steps: list[Step]
    told: int = 0
    ids: dict[int, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def take(self, vault: Vault, number: int) -> None:
        step, name = self.steps[number], f"step-{number}"
        if step.kind == "attach":
            memory = vault.remember(f"file {step.file}", attach=step.data, op_id=name)
            self.ids[step.file] = memory.id
        elif step.kind == "append":
            vault.append(self.ids[step.file], step.data, op_id=name)
        else:
            vault.forget(self.ids[step.file], op_id=name)
        self.told = max(self.told, number + 1)

    def expected(self, told: int) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for step in self.steps[:told]:
            name = f"file {step.file}"
            if step.kind == "forget":
                del found[name]
            else:
                found[name] = found.get(name, b"") + step.data
        return found


@contextmanager
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, quick_checkpoints:
        small_chunks(patch)
        yield


def contents(vault: Vault) -> dict[str, bytes]:
    return {one.text: whole(vault, one.id) for one in vault.list(limit=1000).memories}


def judge(folder: Path, life: Life) -> Verdict:
    """Compare what stands with what was told, then take the step that was cut off again."""
    verdict = Verdict(trials=1, told=life.told, wrong=list(life.wrong))
    try:
        with Vault.open(folder, embedder="none") as vault:
            verdict.wrong += vault.check().problems
            found = contents(vault)
            if found not in (life.expected(life.told), life.expected(life.told + 1)):
                verdict.lost += 1
                verdict.wrong.append(f"after {life.told} steps: {sorted(found)}")
            elif life.told < len(life.steps):
                life.take(vault, life.told)
                if contents(vault) != life.expected(life.told):
                    verdict.wrong.append(f"step {life.told} taken again: {contents(vault)}")
                verdict.wrong += vault.check().problems
            used = vault._database.read()
            with used as connection:
                rows = connection.execute("SELECT count(*) FROM chunk").fetchone()[0]
                gone = connection.execute("SELECT count(*) FROM chunk_gone").fetchone()[0]
            kept = len(list(vault._parts.files.all()))
            if not rows <= kept <= rows + gone:
                verdict.wrong.append(f"{rows} chunks, {gone} to go, and {kept} files")
    except HauloutError as error:
        verdict.wrong.append(f"{type(error).__name__}: {error}")
    return verdict


# --- a call that fails -----------------------------------------------------------------------


def lived(place: Path, disk: Disk, steps: list[Step]) -> Life:
    """Live on a disk; a step that fails is taken again, after reopening where that is asked."""
    life = Life(steps)
    Vault.create(place / "vault", embedder="none")[0].close()
    with mounted(disk, place) as vfs:
        vault: Vault | None = None
        for number in range(len(steps)):
            for _ in range(_ATTEMPTS):
                try:
                    if vault is None:
                        world = World(vfs=vfs)
                        vault = Vault.open(place / "vault", embedder="none", world=world)
                    life.take(vault, number)
                    break
                except HauloutError as error:
                    if isinstance(error, VaultClosedError | StorageError) and vault is not None:
                        with suppress(StorageError):
                            vault.close()
                        vault = None
                except Exception as error:  # noqa: BLE001 - what is not ours is the finding
                    life.wrong.append(f"{steps[number]}: {error!r}")
            if life.told <= number:
                break
        if vault is not None:
            with suppress(StorageError):
                vault.close()
    return life


def failures(step: int, seed: int = 1) -> Verdict:
    """One call in so many refused, of each kind, once and for ever."""
    verdict = Verdict()
    with small():
        with scratch() as place:
            counting = CountingDisk()
            life = lived(place, counting, plan(seed))
            assert life.told == len(life.steps)
            verdict += judge(place / "vault", life)
        chosen = [
            (kind, at, forever)
            for kind in KINDS
            for at in range(1, counting.calls.get(kind, 0) + 1)
            for forever in (False, True)
        ][::step]
        for number, (kind, at, forever) in enumerate(chosen):
            with scratch() as place:
                refused = (errno.EIO, errno.ENOSPC)[number % 2]
                disk = FailingDisk({kind}, at, refused, forever=forever)
                found = judge(place / "vault", lived(place, disk, plan(seed)))
                found.wrong = [f"{kind} {at} {forever}: {wrong}" for wrong in found.wrong]
                verdict += found
    return verdict


# --- power cuts ------------------------------------------------------------------------------


def cuts(states: int, seed: int, *, syncs: bool = True) -> Verdict:
    """States that a power cut may leave of a recorded life."""
    verdict, steps = Verdict(), plan(seed)
    with small(), scratch() as root:
        disk = RecordingDisk(lies_about=lambda path: not syncs and "attachments" in path)
        life = Life(steps)
        with mounted(disk, root) as vfs:
            world = World(vfs=vfs)
            with Vault.create(root / "vault", embedder="none", world=world)[0] as vault:
                # Broken off by a process that ends: the next must not take its names for durable.
                first = steps[0].data
                with suppress(StorageError):
                    vault.remember("broken off", attach=Breaking(first, len(first) - 9))
            with Vault.open(root / "vault", embedder="none", world=world) as vault:
                disk.mark(0)
                for number in range(len(steps)):
                    life.take(vault, number)
                    disk.mark(number + 1)
        for cut in power_cuts(disk.events, Random(seed), states):
            if not cut.marks:
                continue
            with scratch() as place:
                cut.write_to(place, root)
                found = judge(place / "vault", Life(steps, max(cut.marks), dict(life.ids)))
            found.wrong = [f"cut at {cut.at}: {wrong}" for wrong in found.wrong]
            verdict += found
    return verdict
