"""`haulout stats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb

if TYPE_CHECKING:
    from haulout.vault.values import Stats, StoreSynced

_DURABILITY = {
    ("local", False): "this disk",
    ("local", True): "this disk; not everything is in every store",
    ("remote", True): "this disk and every store",
}


@click.command("stats", cls=Verb, examples=("haulout stats", "haulout stats --json"))
@click.pass_obj
def command(session: Session) -> None:
    """Show the vault in figures."""
    from haulout.operations import GetStats, GetStores

    with session.opened() as vault:
        stats = session.run(vault, GetStats())
        stores = session.run(vault, GetStores()).stores

    def show() -> None:
        versions = f" ({stats.versions:,} versions)" if stats.versions > stats.memories else ""
        waiting = f", {stats.waiting:,} waiting" if stats.waiting else ""
        screen.pairs(
            [
                ("vault", screen.place(stats.path)),
                ("memories", f"{stats.memories:,}{versions}"),
                ("newest", screen.minute(stats.newest)),
                ("replica", _age(stats)),
                ("records", f"{stats.records:,}"),
                ("states", _states(stats)),
                ("on disk", screen.size(stats.bytes)),
                ("recall", f"by words and by {stats.model}" if stats.model else "by words"),
                ("vectors", f"{stats.vectors:,}{waiting}" if stats.model else ""),
                ("durability", _DURABILITY[stats.durability, bool(stores)]),
                *((one.name, _held(one)) for one in stores),
                *((f"in {name}", f"{count:,}") for name, count in stats.namespaces.items()),
            ]
        )

    answer = {name: getattr(stats, name) for name in stats.__struct_fields__}
    session.answer(answer | {"stores": stores}, show)


def _states(stats: Stats) -> str:
    """How many states of agents there are; nothing where there never was one."""
    if stats.states_failure:
        return f"cannot be read: {stats.states_failure}"
    return f"{stats.states:,} ({stats.state_records:,} records)" if stats.states else ""


def _age(stats: Stats) -> str:
    """How old a replica is; nothing for another vault."""
    if not stats.head:
        return ""
    return f"of head {stats.head:,}, the newest {screen.ago(stats.refreshed_at)}"


def _held(store: StoreSynced) -> str:
    """What a store holds, as far as this disk knows."""
    if not store.head:
        return "nothing yet"
    waiting = f", {store.waiting:,} waiting" if store.waiting else ""
    return (
        f"{screen.counted(store.records, 'record')} ({screen.size(store.bytes)}){waiting},"
        f" of {screen.minute(store.published_at)}"
    )
