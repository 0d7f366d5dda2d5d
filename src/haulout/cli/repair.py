"""`haulout repair`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from haulout.cli import exits, screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import InputError

if TYPE_CHECKING:
    from haulout.vault.values import VolumesRepaired


@click.command(
    "repair",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=(
        "haulout repair",
        "haulout repair --deep",
        "haulout repair --adopt /mnt/two",
        "haulout repair --locator locator.txt",
    ),
)
@click.option("--deep", is_flag=True, help="Read and verify every object, not names and sizes.")
@click.option(
    "--adopt",
    multiple=True,
    metavar="VOLUME",
    help="Fill a volume whose place was emptied or replaced; may be given several times.",
)
@click.option(
    "--locator",
    metavar="FILE|TEXT",
    help="Repair the volumes that a locator names; no vault is opened, no key is used.",
)
@click.pass_obj
def command(session: Session, deep: bool, adopt: tuple[str, ...], locator: str | None) -> int:
    """Rebuild what is missing or damaged on the volumes from the others.

    Nothing is decrypted: slivers are made again from their neighbours' symbols, and compared with
    the hashes that the blob's ID promises. Exits with 6 where blobs are lost, 7 where volumes do
    not answer.
    """
    if locator is not None and adopt:
        message = "--adopt needs the vault: leave --locator out."
        raise click.UsageError(message)
    if locator is None:
        from haulout.operations import Repair

        with session.opened() as vault, session.progress("Repairing", unit="blobs") as report:
            operation = Repair(deep=deep, adopt=tuple(session.place(one) for one in adopt))
            found = session.run(vault, operation, progress=report)
    else:
        found = _without_a_vault(session, locator, deep=deep)
    session.answer(found, lambda: _show(found))
    if found.lost:
        return exits.DAMAGED
    return exits.OK if found.whole else exits.STORAGE


def _without_a_vault(session: Session, locator: str, *, deep: bool) -> VolumesRepaired:
    from haulout.vault.arguments import silent
    from haulout.vault.stores.remote import locator_in
    from haulout.vault.stores.volumekeeping import repaired
    from haulout.vault.stores.volumestore import VolumeStore

    place = locator_in(locator)
    if place is None or place.volumes is None:
        message = "This is not a locator that names volumes."
        raise InputError(message, hint="`haulout locator` prints the vault's.")
    store = VolumeStore.open(place.volumes.decode(), session.credentials())
    try:
        with session.progress("Repairing", unit="blobs") as report:
            return repaired(store.volumes, deep=deep, report=report or silent)
    finally:
        store.close()


def _show(found: VolumesRepaired) -> None:
    if found.whole and not found.made:
        screen.say(f"Nothing to repair in {screen.counted(found.blobs, 'blob')}.", fg="green")
    elif found.made:
        screen.say(
            f"Wrote {screen.counted(found.made, 'shard object')} again "
            f"({screen.size(found.bytes_written)}), from {screen.size(found.bytes_read)} read."
        )
    for volume, faults in _by_volume(found.faults).items():
        screen.say(f"  {screen.place_of_url(volume)}: {faults}", fg="yellow")
    for words in (*found.lost, *found.unfinished, *found.unreached):
        screen.warn(words)


def _by_volume(faults: tuple[str, ...]) -> dict[str, str]:
    """How many objects of each volume were missing or wrong; `--json` tells each."""
    counts: dict[str, Counter[str]] = {}
    for words in faults:
        volume, _, rest = words.partition(": ")
        kind = rest.partition(", ")[2].partition(":")[0] if rest.startswith("shard") else "away"
        counts.setdefault(volume, Counter())[kind] += 1
    return {
        volume: ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        for volume, kinds in sorted(counts.items())
    }
