"""`haulout list`."""

from __future__ import annotations

from typing import Any

import click

from haulout.cli import screen
from haulout.cli.arguments import filter_option, limit_option, namespace_option, tags_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb

_COLUMNS = (
    screen.Column("ID", "dim", short=screen.ID_SHOWN),
    screen.Column("When", "cyan"),
    screen.Column("Who", "green", most=14),
    screen.Column("Where", "magenta", most=16),
    screen.Column("Kind", "dim", most=12),
    screen.Column("What", wraps=True, cut=True),
)


@click.command(
    "list",
    cls=Verb,
    examples=(
        "haulout list --limit 20",
        'haulout list --namespace "work/**" --tag contract',
        """haulout list --filter '{"kind": "fact", "speaker": {"ne": "Ana"}}'""",
    ),
)
@namespace_option
@limit_option(50)
@click.option("--after", metavar="ID", help="Begin after this one: the next page.")
@tags_option
@filter_option
@click.pass_obj
def command(session: Session, conditions: dict[str, Any] | None, **rest: Any) -> None:
    """List memories, newest first.

    In a pipe each is one line of tab-separated fields: ID, date, speaker, namespace, kind, text.
    """
    from haulout.operations import List

    with session.opened() as vault:
        page = session.run(vault, List(filter=conditions, **rest))

    def show() -> None:
        if not page.memories:
            screen.note("Nothing is there.")
            return
        screen.table(
            _COLUMNS,
            (
                (
                    memory.id,
                    screen.day(screen.when(memory)),
                    memory.speaker or "",
                    memory.namespace,
                    memory.kind,
                    memory.text,
                )
                for memory in page.memories
            ),
        )
        if page.next:
            screen.note(f"There are more: add --after {page.next}")

    session.answer(page, show)
