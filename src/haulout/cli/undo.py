"""`haulout undo`."""

from __future__ import annotations

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import operation_id
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import NotFoundError


@click.command(
    "undo",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=("haulout undo 3f9k2m1a", "haulout undo my-own-op-id --json"),
)
@click.argument("op_id")
@click.pass_obj
def command(session: Session, op_id: str) -> None:
    """Take an operation back.

    OP_ID is an operation's ID: what was given as --op-id, or what `history` and receipts show;
    of one that wrote a current version, at least 6 characters of its beginning. A remember is
    hidden, an update reversed, a hiding ended. What was erased does not come back.
    """
    from haulout.operations import Undo

    with session.opened() as vault:
        try:
            receipt = session.run(vault, Undo(op_id=op_id))
        except NotFoundError:
            whole = operation_id(session, vault, op_id)
            if whole is None:
                raise
            receipt = session.run(vault, Undo(op_id=whole))

    def show() -> None:
        what = screen.counted(len(receipt.memories), "memory")
        screen.say(f"Undone, for {what}. To see it: haulout history {receipt.memories[0]}")

    session.answer(receipt, show)
