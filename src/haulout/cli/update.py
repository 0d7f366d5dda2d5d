"""`haulout update`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import content_options, memory_id, reached, text_of, wait_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb

if TYPE_CHECKING:
    from haulout.vault.stores.standing import Wait

_CLEARED: dict[str, tuple[str, Any]] = {
    "kind": ("kind", None),
    "speaker": ("speaker", None),
    "session": ("session", None),
    "at": ("occurred_at", None),
    "valid-from": ("valid_from", None),
    "valid-until": ("valid_until", None),
    "tags": ("tags", ()),
    "meta": ("metadata", None),
    "source": ("source", None),
}


@click.command(
    "update",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=(
        'haulout update 3f9k2m1a "Ana moved to Porto." --valid-from 2026-04-01',
        "haulout update 3f9k2m1a --tag home --clear speaker",
    ),
)
@click.argument("id")
@click.argument("text", nargs=-1)
@content_options("A label; those given take the place of all. Repeatable.")
@click.option(
    "--clear",
    type=click.Choice(list(_CLEARED)),
    multiple=True,
    help="Take this away. Repeatable.",
)
@wait_option
@click.pass_obj
def command(
    session: Session,
    id: str,  # noqa: A002 - the word people know
    text: tuple[str, ...],
    clear: tuple[str, ...],
    op_id: str | None,
    wait: Wait,
    **given: Any,
) -> int:
    """Correct a memory, or replace what it says.

    ID is a memory's ID, or at least 6 characters of its beginning; TEXT its new words, `-` to
    read them from standard input, or none to leave them. What is not given stays as it is. The
    old version stays answerable: `recall --as-of`, `history`.
    """
    from haulout.operations import Update

    changes = _changes(text, given) | dict(_CLEARED[name] for name in clear)
    if not changes:
        message = "Say what to change: a new text, or an option."
        raise click.UsageError(message)
    with session.opened() as vault:
        target = memory_id(session, vault, id)
        memory = session.run(vault, Update(id=target, op_id=op_id, wait=wait, **changes))

    def show() -> None:
        if screen.on_terminal():
            shown = memory.id[: screen.ID_SHOWN]
            screen.say(f"Updated {shown}: this is version {memory.version}.")
            screen.note(f"To take it back: haulout undo {memory.op_id}")
        else:
            screen.say(memory.id)

    session.answer(memory, show)
    return reached(memory, wait)


def _changes(text: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    words = text_of(text) if text else None
    meta: tuple[tuple[str, Any], ...] = given.pop("meta")
    sitting: str | None = given.pop("sitting")
    at: datetime | None = given.pop("at")
    values = given | {
        "text": words,
        "session": sitting,
        "occurred_at": at,
        "metadata": dict(meta) or None,
        "tags": given["tags"] or None,
    }
    return {name: value for name, value in values.items() if value is not None}
