"""SIGKILL: at random moments, and in place of each of the first write calls.

A kill shows that nothing is acknowledged before the operating system has it, and that recovery
finds its way from every step. It cannot show that the disk has it: powercuts.py does that.
"""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from unittest.mock import patch

from crash.processes import child, received, scratch, spread
from crash.story import Teller, Verdict, judge, take

from haulout import Vault
from haulout.errors import HauloutError, VaultMissingError
from haulout.testing.disks import KillingDisk, mounted
from haulout.vault.opening import World

CHECKPOINT_PAGES = 60  # instead of 1,000, so that kills find checkpoints as well
_ROUNDS_A_VAULT = 25
_LONGEST_WAIT = 0.06  # seconds until the kill, counted from when the writer has begun
_STEPS = 600
_TELLERS = ("ann", "bob", "cleo")

quick_checkpoints = patch("haulout.database.database._CHECKPOINT_PAGES", CHECKPOINT_PAGES)


def _write(connection: Connection, folder: Path, tellers: list[Teller]) -> None:
    """A process that tells its stories in threads until it is killed."""
    with quick_checkpoints, Vault.open(folder, embedder="none") as vault:
        connection.send(None)
        telling = threading.Lock()

        def tell(teller: Teller) -> None:
            for number, step in teller.rest:
                take(vault, step, teller.ids)
                with telling:
                    connection.send((teller.name, number + 1, step.name, teller.ids[step.about]))

        threads = [threading.Thread(target=tell, args=(teller,)) for teller in tellers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _killed(folder: Path, tellers: dict[str, Teller], random: Random) -> None:
    """Run a writer, kill it at a random moment, and note what it was told."""
    told = []
    with child(_write, folder, list(tellers.values())) as (process, connection):
        if random.random() < 0.9:
            told.append(connection.recv())  # it has opened the vault
        end = time.monotonic() + random.random() * _LONGEST_WAIT
        while (left := end - time.monotonic()) > 0 and connection.poll(left):
            told.append(connection.recv())
        process.kill()
        told += received(connection)
    for name, number, step, memory_id in filter(None, told):
        teller = tellers[name]
        teller.told = number
        if step == teller.steps[number - 1].about:
            teller.ids[step] = memory_id


def random_kills(count: int, seed: int = 0) -> Verdict:
    """Kill a writer of three threads so many times, judging the vault after each."""
    random, verdict = Random(seed), Verdict()
    while verdict.trials < count:
        with scratch() as place:
            Vault.create(place / "vault", embedder="none")[0].close()
            tellers = {name: Teller.of(name, _STEPS) for name in _TELLERS}
            for _ in range(min(_ROUNDS_A_VAULT, count - verdict.trials)):
                before = sum(teller.told for teller in tellers.values())
                _killed(place / "vault", tellers, random)
                found = judge(place / "vault", tellers.values())
                found.told -= before
                verdict += found
    return verdict


# ---------------------------------------------------------------------- at each write call


def _write_once(connection: Connection, folder: Path, at: int, teller: Teller) -> None:
    """A process that makes a vault and tells a story in it, killed at its n-th write call."""
    with quick_checkpoints, mounted(KillingDisk({"write"}, at), folder.parent) as vfs:
        world = World(vfs=vfs)
        with Vault.create(folder, embedder="none", world=world)[0] as vault:
            connection.send(None)
            for number, step in teller.rest:
                take(vault, step, teller.ids)
                connection.send((number + 1, step.name, teller.ids[step.about]))


def kill_at(points: list[int]) -> Verdict:
    """Kill a new vault's first writer at each of these write calls."""
    verdict = Verdict()
    for point in points:
        with scratch() as place:
            teller, folder, made = Teller.of("dora", 25), place / "vault", False
            with child(_write_once, folder, point, teller) as (process, connection):
                for told in received(connection):
                    if told is None:
                        made = True
                        continue
                    teller.told, step, memory_id = told
                    if step == teller.steps[teller.told - 1].about:
                        teller.ids[step] = memory_id
                process.join()
                if process.exitcode != -9:
                    verdict.wrong.append(f"write call {point} was not reached")
            try:
                with Vault.open(folder, embedder="none"):
                    pass
            except VaultMissingError:  # killed before there was one: making it must work now
                if made:
                    verdict.lost += 1
                Vault.create(folder, embedder="none")[0].close()
            except HauloutError as error:
                verdict.wrong.append(f"write call {point}: {error}")
            verdict += judge(folder, [teller])
    return verdict


def run(*, kills: int, points: list[int], jobs: int = 1) -> dict[str, Verdict]:
    """Both suites, spread over cores."""
    by_chance, at_points = Verdict(), Verdict()
    size = 25 if jobs > 1 else kills
    portions = [(min(size, kills - start), start) for start in range(0, kills, size)]
    for part in spread(random_kills, portions, jobs):
        by_chance += part
    for part in spread(kill_at, [(points[start::16],) for start in range(16)], jobs):
        at_points += part
    return {"random kills": by_chance, "kills at a write call": at_points}
