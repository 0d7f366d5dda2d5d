"""`haulout backup`."""

from __future__ import annotations

from pathlib import Path

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import NEW_FILE, new_file, replace_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "backup",
    cls=Verb,
    also=(exits.CONFLICT,),
    examples=("haulout backup ~/Documents/vault.haulout", "haulout backup daily.haulout --replace"),
)
@click.argument("file", type=NEW_FILE)
@replace_option
@click.pass_obj
def command(session: Session, file: Path, replace: bool) -> None:
    """Write the whole vault to FILE, sealed: only the 24 words of the recovery kit open it.

    Others may write to the vault meanwhile; the file is of one moment. It may lie anywhere,
    also where others can read it.
    """
    from haulout.operations import Backup

    with session.warnings_told(), session.opened() as vault, session.progress("Backing up"):
        done = session.run(vault, Backup(file=new_file(file, replace=replace)))

    def show() -> None:
        what = screen.counted(done.records, "record")
        if done.state_records:
            what += f" and {done.state_records:,} of states"
        screen.say(f"Sealed {what} in {screen.place(done.path)} ({screen.size(done.bytes)}).")
        screen.note(f"To open it anywhere: haulout restore {screen.place(done.path)}")

    session.answer(done, show)
