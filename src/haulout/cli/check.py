"""`haulout check`."""

from __future__ import annotations

import click

from haulout.cli import exits, screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "check", cls=Verb, examples=("haulout check", "haulout check --remote", "haulout check --json")
)
@click.option("--remote", is_flag=True, help="Read everything back from the stores, too.")
@click.pass_obj
def command(session: Session, remote: bool) -> int:
    """Verify everything, and finish pending erasures.

    Every page, hash, signature and payload is verified, and the search index compared with the
    log. With --remote, whatever the stores hold is read back, opened and compared as well. Exits
    with 6 when something is wrong.
    """
    from haulout.operations import Check

    with session.opened() as vault, session.progress("Checking", unit="records") as report:
        found = session.run(vault, Check(remote=remote), progress=report)

    def show() -> None:
        if found.sound:
            screen.say("All is sound.", fg="green", bold=True)
        else:
            screen.say(f"{screen.counted(len(found.problems), 'problem')}:", fg="red", bold=True)
            for problem in found.problems:
                screen.say(f"  {screen.visible(problem)}")
        for cleared in found.cleared:
            screen.say(f"Cleared now: {cleared}.")
        for pending in found.pending:
            screen.say(f"An erasure is still pending: {screen.visible(pending)}.", fg="yellow")
        screen.say(
            f"Verified {screen.counted(found.records, 'record')}, "
            f"{screen.counted(found.payloads, 'payload')} and "
            f"{screen.counted(found.versions, 'version')} in the index; "
            f"{found.erased:,} erased.",
            dim=True,
        )
        if found.state_records:
            events = screen.counted(found.state_records, "record")
            screen.say(f"Verified {events} of {screen.counted(found.states, 'state')}.", dim=True)
        if remote:
            parts = screen.counted(found.remote_sections, "part")
            read = screen.size(found.remote_bytes)
            screen.say(f"Read back {parts} ({read}) from the stores.", dim=True)

    session.answer(found, show)
    return exits.OK if found.sound else exits.DAMAGED
