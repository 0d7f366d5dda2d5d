"""`haulout history`."""

from __future__ import annotations

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import memory_id
from haulout.cli.session import Session
from haulout.cli.verb import Verb

_COLUMNS = (
    screen.Column("When", "cyan"),
    screen.Column("Did", "bold"),
    screen.Column("What it said", wraps=True),
    screen.Column("Operation", "dim"),
)


@click.command(
    "history",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=("haulout history 3f9k2m1a", 'haulout history 3f9k2m1a --json | jq ".[].action"'),
)
@click.argument("id")
@click.pass_obj
def command(session: Session, id: str) -> None:  # noqa: A002 - the word people know
    """Tell everything that happened to a memory, oldest first.

    ID is a memory's ID, or at least 6 characters of its beginning; of an erased or hidden one
    its whole ID. `haulout undo OPERATION` takes a step back.
    """
    from haulout.operations import History

    with session.opened() as vault:
        events = session.run(vault, History(id=memory_id(session, vault, id)))

    def show() -> None:
        screen.table(
            _COLUMNS,
            (
                (
                    screen.second(event.recorded_at),
                    event.action,
                    event.memory.text if event.memory else "",
                    event.op_id,
                )
                for event in events
            ),
        )

    session.answer(events, show)
