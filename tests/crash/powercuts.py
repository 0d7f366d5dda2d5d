"""Power cuts: every disk state that a cut may leave, judged (`haulout.testing.powercut`).

A vault is made on a recording disk, a story is told in it with small checkpoints, and each
acknowledgement is marked among the disk's calls. States are then made from random cuts and
opened with a plain disk. The control records a disk that lies about the syncs of the database
and its log (as `synchronous=OFF` would have it): there nearly every cut must cost something,
or the model would prove nothing.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from crash.kills import quick_checkpoints
from crash.processes import parts, scratch, spread
from crash.story import Teller, Verdict, judge, take

from haulout import Vault
from haulout.errors import HauloutError, VaultMissingError
from haulout.testing.disks import Call, Mark, RecordingDisk, mounted
from haulout.testing.powercut import PowerCut, power_cuts
from haulout.vault.opening import World

_STEPS = 60
_BATCH = 250


def record(place: Path, teller: Teller, *, syncs: bool = True) -> list[Call | Mark]:
    """Make a vault under a place and tell a story in it; return all that reached the disk."""
    disk = RecordingDisk(lies_about=lambda path: not syncs and "memory.db" in path)
    with quick_checkpoints, mounted(disk, place) as vfs:
        world = World(vfs=vfs)
        vault = Vault.create(place / "vault", embedder="none", world=world)[0]
        disk.mark("made")
        for number, step in enumerate(teller.steps):
            if number == _STEPS // 2:  # closing moves the write-ahead log into the file
                vault.close()
                vault = Vault.open(place / "vault", embedder="none", world=world)
            if number == _STEPS * 3 // 4:
                vault.rebuild()
            take(vault, step, teller.ids)
            disk.mark(number + 1)
        vault.close()
    return disk.events


def _judged(cut: PowerCut, place: Path, root: Path, teller: Teller) -> Verdict:
    cut.write_to(place, root)
    folder = place / "vault"
    if "made" not in cut.marks:
        try:
            Vault.open(folder, embedder="none").close()
        except VaultMissingError:
            Vault.create(folder, embedder="none")[0].close()
        except HauloutError as error:
            return Verdict(trials=1, wrong=[f"cut at {cut.at}, in the making: {error}"])
    told = max((mark for mark in cut.marks if mark != "made"), default=0)
    verdict = judge(folder, [Teller(teller.name, teller.steps, told, dict(teller.ids))])
    verdict.wrong = [f"cut at {cut.at}: {wrong}" for wrong in verdict.wrong]
    return verdict


def examine(states: int, seed: int, syncs: bool = True) -> tuple[Verdict, int]:  # noqa: FBT001, FBT002
    """Judge so many states; also return how many of them were not as they must be."""
    verdict, failed, teller = Verdict(), 0, Teller.of(f"eve{seed}", _STEPS)
    with scratch() as root:
        events = record(root, teller, syncs=syncs)
        for cut in power_cuts(events, Random(seed), states):
            with scratch() as place:
                found = _judged(cut, place, root, teller)
            failed += not found.kept
            verdict += found
    return verdict, failed


def run(*, states: int, control: int, jobs: int = 1) -> tuple[Verdict, float]:
    """The suite, and the share of the control's states that failed as they must."""
    verdict = Verdict()
    portions = [(size, seed) for seed, size in enumerate(parts(states, _BATCH))]
    for part, _ in spread(examine, portions, jobs):
        verdict += part
    return verdict, examine(control, 0, syncs=False)[1] / control
