"""`haulout rebuild`."""

from __future__ import annotations

import click

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command("rebuild", cls=Verb, examples=("haulout rebuild", "haulout rebuild --vectors"))
@click.option("--vectors", is_flag=True, help="Make the vectors again, too.")
@click.pass_obj
def command(session: Session, vectors: bool) -> None:
    """Make the search index again from the log. Answers stay the same.

    With --vectors, everything is embedded again as well, which takes a few milliseconds each.
    """
    from haulout.operations import CatchUp, Rebuild

    with session.opened() as vault:
        with session.progress("Rebuilding", unit="records") as report:
            versions = session.run(vault, Rebuild(vectors=vectors), progress=report)
        embedded = 0
        if vectors:
            with session.progress("Learning the meaning", unit="memories") as report:
                embedded = session.run(vault, CatchUp(), progress=report)

    def show() -> None:
        again = f", {embedded:,} embedded again" if embedded else ""
        screen.say(f"Indexed {screen.counted(versions, 'version')}{again}.")

    session.answer({"versions": versions, "embedded": embedded}, show)
