"""`haulout undo`."""

from __future__ import annotations

import click

from haulout.cli import exits, screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import InputError, NotFoundError


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
    of these, at least 6 characters of the beginning are enough. A remember is hidden, an update
    reversed, a hiding ended. What was erased does not come back.
    """
    from haulout.operations import Resolve, Undo

    with session.opened() as vault:
        try:
            receipt = session.run(vault, Undo(op_id=op_id))
        except NotFoundError:
            try:
                whole = session.run(vault, Resolve(prefix=op_id, of="operation"))
            except InputError:
                raise NotFoundError(f"There is no operation {op_id!r}.") from None
            receipt = session.run(vault, Undo(op_id=whole))

    def show() -> None:
        what = screen.counted(len(receipt.memories), "memory")
        screen.say(f"Undone, for {what}. To see it: haulout history {receipt.memories[0]}")

    session.answer(receipt, show)
