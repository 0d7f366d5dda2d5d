"""Failing calls: the n-th write, sync, open or rename refused, once and for ever.

A life of a vault runs on a disk that refuses one call: made, written to, corrected, forgotten
from, rebuilt, exported, backed up, closed and opened again. A step that fails is taken again
under its operation ID, after reopening where the vault has latched. Then the disk is healthy:

- whatever was acknowledged is there, once; an acknowledged export and backup are whole;
- nothing was acknowledged between a failed sync of the database and the next opening;
- every error is one of Haulout's and names a file.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from crash.kills import quick_checkpoints
from crash.processes import scratch, spread
from crash.story import Teller, Verdict, judge, take

from haulout import HauloutError, RecoveryKit, Vault
from haulout.errors import StorageError, VaultClosedError, VaultExistsError
from haulout.testing.disks import CountingDisk, Disk, FailingDisk, Kind, mounted
from haulout.vault.opening import World

KINDS: tuple[Kind, ...] = ("write", "sync", "open", "rename", "truncate", "delete")
NUMBERS = (errno.EIO, errno.ENOSPC)
_STEPS = 18
_ATTEMPTS = 3
_FILES = ("memory.", "vault.json", "device.key", ".unfinished", "export.jsonl", "a.backup", "finns")


class Failure(NamedTuple):
    """Which call fails: the ``at``-th of a kind, with an errno, once or from then on."""

    kind: Kind
    at: int
    number: int
    forever: bool


@dataclass
class _Life:
    """A vault's life on one disk, with what it was told and what went wrong."""

    place: Path
    disk: Disk
    vfs: str
    teller: Teller
    vault: Vault | None = None
    kit: RecoveryKit | None = None
    kept: set[str] = field(default_factory=set)  # acknowledged files
    errors: list[str] = field(default_factory=list)
    latched_at: int = 0  # failed syncs of the database before the newest opening

    @property
    def folder(self) -> Path:
        return self.place / "finns"

    def failed_syncs(self) -> int:
        failed = self.disk.failed if isinstance(self.disk, FailingDisk) else []
        names = ("memory.db", "memory.db-wal")
        return sum(call.kind == "sync" and Path(call.path).name in names for call in failed)

    def attempt(self, action: Callable[[], None], what: str) -> bool:
        """Do something until it is acknowledged, reopening as need be; False where it never is."""
        for _ in range(_ATTEMPTS):
            try:
                if self.vault is None:
                    self.latched_at = self.failed_syncs()
                    world = World(vfs=self.vfs)
                    self.vault = Vault.open(self.folder, embedder="none", world=world)
                before = self.failed_syncs()
                action()
                if before > self.latched_at:
                    self.errors.append(f"{what} was acknowledged after a failed sync")
            except VaultClosedError as error:
                self._note(error, what)
                self.close()
            except Exception as error:  # noqa: BLE001 - what is not ours is the finding
                self._note(error, what)
            else:
                return True
        return False

    def _note(self, error: Exception, what: str) -> None:
        if not isinstance(error, HauloutError):
            self.errors.append(f"{what}: {type(error).__name__}: {error}")
        elif not any(name in str(error) for name in _FILES):
            self.errors.append(f"{what}: no file named in {error}")

    def close(self) -> None:
        if self.vault is not None:
            self.vault.close()
            self.vault = None

    def make(self) -> None:
        """Make the vault; a making that failed must be possible again."""
        for _ in range(_ATTEMPTS):
            try:
                world = World(vfs=self.vfs)
                self.vault, self.kit = Vault.create(self.folder, embedder="none", world=world)
                self.latched_at = self.failed_syncs()
            except Exception as error:  # noqa: BLE001
                self._note(error, "create")
                if isinstance(error, VaultExistsError):
                    self.errors.append("a create that failed cannot be repeated")
            else:
                return

    def live(self) -> None:
        """All of it."""
        for number, step in self.teller.rest:
            if not self.attempt(lambda: take(self._open, step, self.teller.ids), step.kind):  # noqa: B023
                return
            self.teller.told = number + 1
            if number == _STEPS // 2:
                self.attempt(lambda: self._keep("rebuild"), "rebuild")
                self.attempt(lambda: self._keep("export"), "export")
                self.attempt(lambda: self._keep("backup"), "backup")
                self.close()

    @property
    def _open(self) -> Vault:
        assert self.vault
        return self.vault

    def _keep(self, what: str) -> None:
        if what == "rebuild":
            self._open.rebuild()
        elif what == "export":
            self._open.export(self.place / "export.jsonl")
        else:
            self._open.backup(self.place / "a.backup")
        self.kept.add(what)


def _lived(place: Path, disk: Disk) -> _Life:
    with quick_checkpoints, mounted(disk, place) as vfs:
        life = _Life(place, disk, vfs, Teller.of("finn", _STEPS))
        life.make()
        if life.vault is not None:
            life.live()
        with suppress(StorageError):
            life.close()
    return life


def _judged(life: _Life) -> Verdict:
    """Judge a life on the healthy disk."""
    if life.kit is None:
        try:
            _, life.kit = Vault.create(life.folder, embedder="none")
            _.close()
        except HauloutError as error:
            return Verdict(trials=1, wrong=[*life.errors, f"cannot be made again: {error}"])
    halfway = list(life.teller.steps[: _STEPS // 2 + 1])
    verdict = judge(life.folder, [life.teller])
    verdict.wrong += life.errors
    if "export" in life.kept:
        lines = (life.place / "export.jsonl").read_bytes().splitlines(keepends=True)
        if hashlib.sha256(b"".join(lines[:-1])).hexdigest().encode() not in lines[-1]:
            verdict.wrong.append("an acknowledged export is not whole")
    if "backup" in life.kept:
        again = life.place / "again"
        try:
            Vault.restore(life.place / "a.backup", again, kit=life.kit, embedder="none").close()
            restored = Teller(life.teller.name, halfway, len(halfway))
            verdict.wrong += judge(again, [restored], repeat=False).wrong
        except HauloutError as error:
            verdict.wrong.append(f"an acknowledged backup does not restore: {error}")
    return verdict


def survive(failures: list[Failure]) -> Verdict:
    """Live a life for each of these failures."""
    verdict = Verdict()
    for failure in failures:
        with scratch() as place:
            disk = FailingDisk({failure.kind}, failure.at, failure.number, forever=failure.forever)
            life = _lived(place, disk)
            found = _judged(life)
            if not disk.failed:
                found.wrong.append("this call was not reached")
            found.wrong = [f"{failure}: {wrong}" for wrong in found.wrong]
            verdict += found
    return verdict


def calls() -> dict[Kind, int]:
    """How many calls of each kind a life makes on a healthy disk."""
    with scratch() as place:
        disk = CountingDisk()
        life = _lived(place, disk)
        verdict = _judged(life)
        verdict.require()
        assert verdict.told == _STEPS
        assert life.kept == {"rebuild", "export", "backup"}
    return disk.calls


def every(most: int, step: int = 1) -> list[Failure]:
    """A failure for each of the first calls of each kind."""
    counted = calls()
    return [
        Failure(kind, at, number, forever)
        for kind in KINDS
        for at in range(1, min(most, counted.get(kind, 0)) + 1)
        for number in NUMBERS
        for forever in (False, True)
    ][::step]


def run(*, most: int, jobs: int = 1) -> Verdict:
    """The suite, spread over cores."""
    failures, verdict = every(most), Verdict()
    for part in spread(survive, [(failures[start::40],) for start in range(40)], jobs):
        verdict += part
    return verdict
