"""Power cuts beneath a real vault (F5): every disk state that one may leave, recovered from.

The bot runs on a recording disk with the simulated venue beside it. Each state of the disk is laid
out, the venue is put back to what it had accepted by then, and a bot is started on both.
"""

from __future__ import annotations

import copy
from pathlib import Path
from random import Random

from crash.kills import quick_checkpoints
from crash.processes import scratch
from crash.trading.bot import LIMIT, SYMBOL, Bot
from crash.trading.judging import Verdict, judge
from crash.trading.simulator import TICKS

from haulout import Vault
from haulout.errors import VaultError
from haulout.state.acting import Actor
from haulout.state.refs import Class, Rules
from haulout.testing.disks import Call, Mark, RecordingDisk, mounted
from haulout.testing.powercut import PowerCut, power_cuts
from haulout.testing.venue.simulated import SimulatedVenue
from haulout.vault.opening import World

_STATE = "bots/btc"


def _bot(vault: Vault, venue: SimulatedVenue) -> Bot:
    state = vault.state(_STATE, now=venue.now)
    return Bot(state, Actor(state, venue, sleep=venue.advance), venue.advance, heard=venue.heard)


def record(
    place: Path, kind: Class, *, syncs: bool
) -> tuple[list[Call | Mark], list[SimulatedVenue]]:
    """Let a bot run on a recording disk; what reached the disk, and the venue after each call."""
    disk = RecordingDisk(lies_about=lambda path: not syncs and "state.db" in path)
    venue = SimulatedVenue(kind, prices={SYMBOL: "100"}, rules=Rules(kind, "hex", "client"))
    venue.fault("cut_after_accept", skip=2)
    snapshots: list[SimulatedVenue] = []

    def mark() -> None:
        venue.wire.accepted = list
        snapshots.append(copy.deepcopy(venue))
        disk.mark(len(snapshots) - 1)
        venue.wire.accepted = mark

    with (
        quick_checkpoints,
        mounted(disk, place) as vfs,
        Vault.create(place / "vault", embedder="none", world=World(vfs=vfs))[0] as vault,
    ):
        vault.state(_STATE, now=venue.now).limit("BTC/held", LIMIT, by_owner=True)
        mark()
        _bot(vault, venue).live(TICKS)
        mark()
    return disk.events, snapshots


def _recovered(cut: PowerCut, place: Path, root: Path, venue: SimulatedVenue) -> Verdict:
    cut.write_to(place, root)
    sent = [bytes.fromhex(one.client) for one in venue.ledger() if one.client]
    venue.advance(60)
    venue.wire.accepted = list
    try:
        with Vault.open(place / "vault", embedder="none") as vault:
            bot = _bot(vault, venue)
            bot.live(TICKS)
            venue.advance(120)
            bot.actor.recover()
            return judge(venue.ledger(), bot.state, sent)
    except VaultError as error:
        return Verdict(runs=1, lost=1, wrong=[f"cut at {cut.at}: {error}"])


def examine(states: int, kind: Class, seed: int = 0, *, syncs: bool = True) -> Verdict:
    """Recover from so many states after the first mark."""
    verdict = Verdict()
    with scratch() as root:
        events, snapshots = record(root, kind, syncs=syncs)
        first = next(n for n, one in enumerate(events) if isinstance(one, Mark)) + 1
        for cut in power_cuts(events, Random(seed), states, after=first):
            with scratch() as place:
                venue = copy.deepcopy(snapshots[cut.marks[-1]])
                found = _recovered(cut, place, root, venue)
            found.wrong = [f"{kind}, cut at {cut.at}: {one}" for one in found.wrong]
            verdict += found
    return verdict
