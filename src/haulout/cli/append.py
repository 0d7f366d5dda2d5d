"""`haulout append`."""

from __future__ import annotations

import sys
from typing import Any

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import memory_id, raw_input
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "append",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=(
        "tail -f agent.log | haulout append 3f9k2m1a",
        "haulout append 3f9k2m1a today.log --op-id today",
    ),
)
@click.argument("id")
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option("--op-id", metavar="ID", help="Makes it safe to repeat: it then acts once.")
@click.option(
    "--every",
    type=float,
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Keep what has come on a pipe after so long at the latest.",
)
@click.pass_obj
def command(
    session: Session,
    id: str,  # noqa: A002 - the word people know
    file: str | None,
    op_id: str | None,
    every: float,
) -> None:
    """Add to the end of what a memory has attached.

    ID is a memory's ID, or at least 6 characters of its beginning. Without FILE, or with `-`,
    standard input is followed to its end, and what has come is kept and readable every few
    seconds. Ctrl-C keeps what has come and ends.
    """
    from haulout.operations import Append, Get

    if file is None and sys.stdin.isatty():
        message = "Name a file, or `-` to type until Ctrl-D."
        raise click.UsageError(message)
    source: Any = raw_input() if file in {None, "-"} else file
    with session.opened() as vault, session.progress("Appending", unit="bytes") as report:
        target = memory_id(session, vault, id)
        operation = Append(id=target, data=source, op_id=op_id, every=every)
        try:
            memory = session.run(vault, operation, progress=report)
        except KeyboardInterrupt:  # what had come is kept
            memory = session.run(vault, Get(id=target))

    def show() -> None:
        if screen.on_terminal():
            screen.say(f"{screen.attached(memory.attachment)}.")
        else:
            screen.say(memory.id)

    session.answer(memory, show)
