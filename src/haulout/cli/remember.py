"""`haulout remember`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import content_options, text_of
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "remember",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=(
        'haulout remember "Ana is allergic to walnuts." --speaker Ana --tag health',
        'haulout remember "Rent is 950" --valid-from 2026-01-01 --meta amount=950',
        "pbpaste | haulout remember - --namespace work/acme --kind document",
    ),
)
@click.argument("text", nargs=-1)
@click.option("--namespace", "-n", default="default", show_default=True, metavar="NAME")
@content_options("A label. Repeatable.")
@click.pass_obj
def command(
    session: Session,
    text: tuple[str, ...],
    namespace: str,
    sitting: str | None,
    at: datetime | None,
    meta: tuple[tuple[str, Any], ...],
    **rest: Any,
) -> None:
    """Keep something.

    TEXT is what to keep; `-`, or a pipe without TEXT, reads standard input. When the command
    returns, the memory is on the disk and found by its words. In a pipe the answer is its ID.

    A TIME is ISO 8601; a date alone, or a time without a zone, is read in the local zone.
    """
    from haulout.operations import Remember

    words = text_of(text)
    if words is None:
        message = "Give a text, or `-` to read it from standard input."
        raise click.UsageError(message)
    operation = Remember(
        text=words,
        namespace=namespace,
        session=sitting,
        occurred_at=at,
        metadata=dict(meta) or None,
        **rest,
    )
    with session.opened() as vault:
        memory = session.run(vault, operation)

    def show() -> None:
        if not screen.on_terminal():
            screen.say(memory.id)
        elif memory.created:
            screen.say(f"Remembered {memory.id[: screen.ID_SHOWN]} in {memory.namespace}.")
        else:
            screen.say(f"Remembered before, as {memory.id[: screen.ID_SHOWN]}: the same --op-id.")

    session.answer(memory, show)
