"""`haulout recall`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from haulout.cli import screen
from haulout.cli.arguments import (
    MOMENT,
    filter_option,
    limit_option,
    namespace_option,
    tags_option,
)
from haulout.cli.session import Session
from haulout.cli.verb import Verb

if TYPE_CHECKING:
    from haulout.index.search import Recalled

_COLUMNS = (
    screen.Column("#", "dim", right=True),
    screen.Column("When", "cyan"),
    screen.Column("Who", "green", most=14),
    screen.Column("Where", "magenta", most=16),
    screen.Column("What", wraps=True),
    screen.Column("ID", "dim", short=screen.ID_SHOWN),
)


@click.command(
    "recall",
    cls=Verb,
    examples=(
        'haulout recall "what can\'t Ana eat?"',
        'haulout recall rent --as-of 2026-03-01 --namespace "home/**"',
        'haulout recall travel plans --since 2026-01-01 --tag family --json | jq ".[0].memory"',
    ),
)
@click.argument("query", nargs=-1)
@namespace_option
@limit_option(10)
@click.option("--as-of", type=MOMENT, metavar="TIME", help="What was recorded by then.")
@click.option("--valid-at", type=MOMENT, metavar="TIME", help="What was true then.")
@click.option("--since", type=MOMENT, metavar="TIME", help="Only what happened since then.")
@click.option("--until", type=MOMENT, metavar="TIME", help="Only what happened before then.")
@tags_option
@filter_option
@click.option("--explain", is_flag=True, help="Show what each score is the sum of.")
@click.pass_obj
def command(
    session: Session,
    query: tuple[str, ...],
    as_of: datetime | None,
    conditions: dict[str, Any] | None,
    explain: bool,
    **rest: Any,
) -> None:
    """Find what answers a question, best first.

    QUERY is the question, in words; without one the newest memories come. In a pipe each memory
    is one line of tab-separated fields: rank, date, speaker, namespace, text, ID, and with
    --explain the score's addends.

    A TIME is ISO 8601; a date alone is that day's beginning in the local zone.
    """
    from haulout.operations import Recall

    words = " ".join(query) or None
    operation = Recall(query=words, as_of=as_of, filter=conditions, explain=explain, **rest)
    with session.opened() as vault:
        found = session.run(vault, operation)
        session.tell_age(vault)
    if words and session.lacks_model():
        session.suggest("Recalled by words alone; `haulout model install` adds meaning.")
    session.answer(found, lambda: _show(found, explain=explain))


def _show(found: list[Recalled], *, explain: bool) -> None:
    if not found:
        screen.note("Nothing was found.")
        return
    home = {item.memory.namespace for item in found} == {"default"} and screen.on_terminal()
    rows = [
        (
            str(rank),
            screen.day(screen.when(item.memory)),
            item.memory.speaker or "",
            "" if home else item.memory.namespace,
            _words(item),
            item.memory.id,
        )
        for rank, item in enumerate(found, 1)
    ]
    screen.table(_COLUMNS, rows, below=[_sum(item) for item in found] if explain else ())


def _words(item: Recalled) -> str:
    """A memory's text; a passage's with the name of the file and where in it."""
    memory = item.memory
    if memory.passage is None:
        return memory.text
    return f"{memory.source or 'attachment'} at {memory.passage.at:,}: {memory.text.strip()}"


def _sum(item: Recalled) -> str:
    """`1.31 = words 1.60 + neighbours 0.41 - short 0.70`."""
    addends = "".join(
        f" {'-' if value < 0 else '+'} {name} {abs(value):.3f}" for name, value in item.why.items()
    )
    return f"{item.score:.3f} ={addends.removeprefix(' +')}"
