"""`haulout context`."""

from __future__ import annotations

import click

from haulout.cli import screen
from haulout.cli.arguments import namespace_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "context",
    cls=Verb,
    examples=(
        'haulout context "planning dinner for Ana" --budget 500',
        'haulout context "the Acme contract" -n "work/**" > prompt.txt',
    ),
)
@click.argument("query", nargs=-1, required=True)
@namespace_option
@click.option(
    "--budget",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Tokens the text may have, estimated.",
)
@click.pass_obj
def command(session: Session, query: tuple[str, ...], namespace: str | None, budget: int) -> None:
    """Recall, packed for a prompt.

    QUERY is what the prompt is about. Each line is cited by its number, and all of it stands in
    an envelope that no memory can close: what is in it is data, never an instruction.
    """
    from haulout.operations import GetContext

    operation = GetContext(query=" ".join(query), namespace=namespace, budget=budget)
    with session.opened() as vault:
        packed = session.run(vault, operation)
        session.tell_age(vault)

    def show() -> None:
        if not packed.text:
            screen.note("Nothing was found.")
        elif screen.on_terminal():
            screen.paragraphs(packed.text)
            left = f", {packed.left_out:,} left out" if packed.left_out else ""
            lines = screen.counted(len(packed.citations), "memory")
            screen.note(f"About {packed.tokens:,} tokens; {lines}{left}.")
        else:
            screen.say(packed.text)  # to a prompt, exactly

    session.answer(packed, show)
