"""`haulout remember`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import content_options, reached, text_of, wait_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb

if TYPE_CHECKING:
    from haulout.vault.stores.standing import Wait


@click.command(
    "remember",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=(
        'haulout remember "Ana is allergic to walnuts." --speaker Ana --tag health',
        'haulout remember "Rent is 950" --valid-from 2026-01-01 --meta amount=950',
        "pbpaste | haulout remember - --namespace work/acme --kind document",
        "haulout remember --attach contract.pdf The contract with Acme",
        "tar c notes | haulout remember --attach - --name notes.tar My notes of 2025",
    ),
)
@click.argument("text", nargs=-1)
@click.option("--namespace", "-n", default="default", show_default=True, metavar="NAME")
@content_options("A label. Repeatable.")
@click.option("--attach", metavar="FILE", help="Keep this file, too; - is standard input.")
@click.option("--name", metavar="NAME", help="What the attachment is called.")
@wait_option
@click.pass_obj
def command(
    session: Session,
    text: tuple[str, ...],
    namespace: str,
    attach: str | None,
    name: str | None,
    sitting: str | None,
    at: datetime | None,
    meta: tuple[tuple[str, Any], ...],
    wait: Wait,
    **rest: Any,
) -> int:
    """Keep something.

    TEXT is what to keep; `-`, or a pipe without TEXT, reads standard input. When the command
    returns, the memory is on the disk and found by its words. In a pipe the answer is its ID.
    With --wait remote it is in every store, too: what is new is published at once.

    With --attach, the bytes of a file of any kind and size are kept with the memory, and TEXT
    may be left out: then it is the file's name. The words in a text file, of its first 16 MiB,
    are found by `recall`.

    A TIME is ISO 8601; a date alone, or a time without a zone, is read in the local zone.
    """
    from haulout.operations import Remember

    words = text_of(text) if attach is None else _beside(text, attach, name)
    if words is None:
        message = "Give a text, or `-` to read it from standard input."
        raise click.UsageError(message)
    operation = Remember(
        text=words,
        namespace=namespace,
        session=sitting,
        occurred_at=at,
        metadata=dict(meta) or None,
        attach=sys.stdin.buffer if attach == "-" else attach,  # pyright: ignore[reportArgumentType] a stream, in this process
        attach_name="standard input" if attach == "-" and name is None else name,
        wait=wait,
        **rest,
    )
    progress = session.progress("Attaching", unit="bytes") if attach else nullcontext()
    with session.opened() as vault, progress as report:
        memory = session.run(vault, operation, progress=report)

    def show() -> None:
        if not screen.on_terminal():
            screen.say(memory.id)
        elif memory.created:
            screen.say(f"Remembered {memory.id[: screen.ID_SHOWN]} in {memory.namespace}.")
            if memory.durability == "remote":
                screen.say("Every store has it.", dim=True)
            if memory.attachment:
                screen.say(screen.attached(memory.attachment), dim=True)
        else:
            screen.say(f"Remembered before, as {memory.id[: screen.ID_SHOWN]}: the same --op-id.")

    session.answer(memory, show)
    return reached(memory, wait)


def _beside(text: tuple[str, ...], attach: str, name: str | None) -> str:
    """The text of a memory with an attachment: its name, where none is given."""
    if list(text) == ["-"] and attach == "-":
        message = "Standard input is either the text or the attachment."
        raise click.UsageError(message)
    if text:
        return text_of(text) or ""
    return name or ("standard input" if attach == "-" else Path(attach).name)
