"""`haulout export`."""

from __future__ import annotations

from pathlib import Path

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import NEW_FILE, new_file, replace_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "export",
    cls=Verb,
    also=(exits.CONFLICT,),
    examples=("haulout export memories.jsonl", "haulout export memories.jsonl --replace --json"),
)
@click.argument("file", type=NEW_FILE)
@replace_option
@click.pass_obj
def command(session: Session, file: Path, replace: bool) -> None:
    """Write every memory, with its history, to FILE: JSON Lines, in the open.

    Anyone who has the file can read it. The order is canonical and the digest depends on the
    memories alone: two copies of a vault give the same.
    """
    from haulout.operations import Export

    with session.opened() as vault, session.progress("Exporting"):
        done = session.run(vault, Export(file=new_file(file, replace=replace)))

    def show() -> None:
        what = screen.counted(done.memories, "memory")
        screen.say(f"Wrote {what} to {screen.place(done.path)} ({screen.size(done.bytes)}).")
        screen.say(f"SHA-256 {done.digest}", dim=True)
        screen.note("The file is not encrypted.")

    session.answer(done, show)
