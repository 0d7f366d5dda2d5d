"""`haulout sync`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import limits
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import HauloutError

if TYPE_CHECKING:
    from haulout.vault import Vault
    from haulout.vault.values import Synced


@click.command(
    "sync",
    cls=Verb,
    also=(exits.CONFLICT,),
    examples=("haulout sync", "haulout sync --watch", "haulout sync --limit-up 500000"),
)
@click.option("--watch", is_flag=True, help="Go on, publishing what is new, until interrupted.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch looks for new memories.",
)
@limits
@click.pass_obj
def command(
    session: Session, watch: bool, every: float, limit_up: int | None, limit_down: int | None
) -> int:
    """Send what is new to the vault's stores: volumes, or Walrus.

    What was begun before a crash goes on where it stood; nothing is sent or paid twice. Until a
    store has confirmed it, nothing is called remote. Exits with 7 where a store lacks something.
    """
    from haulout.operations import Sync

    with session.opened(session.store_options(limit_up, limit_down)) as vault:
        if watch:
            return _watch(session, vault, every)
        with session.progress("Sending", unit="bytes") as report:
            found = session.run(vault, Sync(), progress=report)
    session.answer(found, lambda: show(found))
    return exits.OK if found.complete else exits.STORAGE


def show(found: Synced) -> None:
    """One line a store."""
    if not found.stores:
        screen.say("This vault has no stores. `haulout volumes add URL...` adds some.")
    for one in found.stores:
        if one.failure:
            screen.warn(f"{one.name}: {one.failure}")
        if one.alarm:
            screen.warn(f"{one.name}: {one.alarm}")
        words = f"{one.name}: {screen.counted(one.records, 'record')} in head {one.head}"
        if one.state_records:
            words += f", {one.state_records:,} of states"
        waiting = one.waiting + one.waiting_states
        if waiting:
            words += f"; {waiting:,} wait"
        screen.say(words + ".", fg="yellow" if waiting or one.failure else "green")
    if found.states_failure:
        screen.warn(f"states of agents were left out: {found.states_failure}")


def _watch(session: Session, vault: Vault, every: float) -> int:
    """Publish in the background until Ctrl-C."""

    def told(what: Synced | HauloutError) -> None:
        if isinstance(what, HauloutError):
            screen.warn(str(what))
        else:
            session.answer(what, lambda: show(what))

    session.note("Publishing what is new; stop with Ctrl-C.")
    vault.keep_synced(every=every, told=told)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return exits.OK
    return exits.OK
