"""`haulout stats`."""

from __future__ import annotations

import click

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command("stats", cls=Verb, examples=("haulout stats", "haulout stats --json"))
@click.pass_obj
def command(session: Session) -> None:
    """Show the vault in figures."""
    from haulout.operations import GetStats

    with session.opened() as vault:
        stats = session.run(vault, GetStats())

    def show() -> None:
        versions = f" ({stats.versions:,} versions)" if stats.versions > stats.memories else ""
        waiting = f", {stats.waiting:,} waiting" if stats.waiting else ""
        screen.pairs(
            [
                ("vault", screen.place(stats.path)),
                ("memories", f"{stats.memories:,}{versions}"),
                ("newest", screen.minute(stats.newest)),
                ("records", f"{stats.records:,}"),
                ("on disk", screen.size(stats.bytes)),
                ("recall", f"by words and by {stats.model}" if stats.model else "by words"),
                ("vectors", f"{stats.vectors:,}{waiting}" if stats.model else ""),
                ("durability", "this disk" if stats.durability == "local" else stats.durability),
                *((f"in {name}", f"{count:,}") for name, count in stats.namespaces.items()),
            ]
        )

    session.answer(stats, show)
