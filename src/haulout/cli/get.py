"""`haulout get`."""

from __future__ import annotations

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import memory_id
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "get",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=("haulout get 3f9k2m1a", "haulout get 3f9k2m1a --json"),
)
@click.argument("id")
@click.pass_obj
def command(session: Session, id: str) -> None:  # noqa: A002 - the word people know
    """Show one memory: its newest version, with all that is known of it.

    ID is a memory's ID, or at least 6 characters of its beginning.
    """
    from haulout.operations import Get

    with session.opened() as vault:
        memory = session.run(vault, Get(id=memory_id(session, vault, id)))
    session.answer(memory, lambda: screen.memory(memory))
