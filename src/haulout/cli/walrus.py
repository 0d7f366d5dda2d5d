"""`haulout walrus`: set, show, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haulout.cli import exits, screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb, write_exits

if TYPE_CHECKING:
    from haulout.vault.values import WalrusReport

_MIB = 1024 * 1024
_MOST_CONFIG = 16 * _MIB


class _Walrus(click.Group):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for line in (
                "set --publisher https://publisher.example --aggregator https://aggregator.example",
                "show",
                "remove",
            ):
                formatter.write(f"{'':{formatter.current_indent}}haulout walrus {line}\n")
        write_exits(formatter, (exits.OK, exits.USAGE, exits.NOT_FOUND, exits.STORAGE))


@click.group("walrus", cls=_Walrus)
def command() -> None:
    """The Walrus network that the vault is published on.

    What it is given is sealed and padded; everybody may read it, and nobody can. Storage is
    bought by the epoch: `haulout sync` renews it, and `haulout cost` says what that will cost.
    """


@command.command(
    "set",
    cls=Verb,
    examples=(
        "haulout walrus set --publisher http://127.0.0.1:31415 --aggregator http://127.0.0.1:31416",
        "haulout walrus set --config network.json --keep 14",
        "haulout walrus set --every 1",
    ),
)
@click.option("--publisher", "publishers", multiple=True, metavar="URL", help="Takes and pays.")
@click.option("--aggregator", "aggregators", multiple=True, metavar="URL", help="Gives back.")
@click.option("--relay", "relays", multiple=True, metavar="URL", help="An upload relay.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Services and storage nodes as JSON, as `haulout testnet --json` prints them.",
)
@click.option("--shards", "n_shards", type=int, metavar="N", help="Of the network; 1,000.")
@click.option("--epoch", "epoch_days", type=float, metavar="DAYS", help="14 on mainnet.")
@click.option(
    "--keep",
    "keep_days",
    type=float,
    metavar="DAYS",
    help="For how long what is published stays at the least, though nobody syncs again; 7.",
)
@click.option(
    "--every", "cadence_days", type=float, metavar="DAYS", help="How long what is new may wait; 2."
)
@click.option("--pack-mib", type=float, metavar="MIB", help="The most of a blob; 10.")
@click.option("--vectors/--no-vectors", default=None, help="Send computed vectors, too.")
@click.option("--send-object-to", metavar="ADDRESS", help="An address of yours to own the blobs.")
@click.pass_obj
def set_(
    session: Session,
    publishers: tuple[str, ...],
    aggregators: tuple[str, ...],
    relays: tuple[str, ...],
    config: Path | None,
    pack_mib: float | None,
    **given: Any,
) -> None:
    """Publish the vault on a Walrus network, or say anew how. What is not given stays.

    A token that the publisher wants is read from WALRUS_TOKEN, and kept nowhere.
    """
    from haulout.operations import SetWalrus

    fields: dict[str, Any] = _config(config) | {
        name: urls
        for name, urls in (
            ("publishers", publishers), ("aggregators", aggregators), ("relays", relays),
        )
        if urls
    }  # fmt: skip
    fields |= {name: value for name, value in given.items() if value is not None}
    if pack_mib is not None:
        fields["pack_bytes"] = int(pack_mib * _MIB)
    with session.opened() as vault:
        found = session.run(vault, SetWalrus(**fields))

    def show() -> None:
        _show(found)
        screen.note("`haulout sync` sends what the vault holds.")

    session.answer(found, show)


def _config(file: Path | None) -> dict[str, Any]:
    """What a file says of a network."""
    if file is None:
        return {}
    from haulout.storage.walrus.config import read_config

    with file.open("rb") as opened:
        told = read_config(opened.read(_MOST_CONFIG))
    return {
        "publishers": tuple(told.publishers),
        "aggregators": tuple(told.aggregators),
        "relays": tuple(told.relays),
        "nodes": {node.url: node.shards for node in told.nodes},
        "n_shards": told.n_shards,
    }


@command.command("show", cls=Verb, also=(exits.NOT_FOUND,), examples=("haulout walrus show",))
@click.pass_obj
def show(session: Session) -> int:
    """Where the vault is published, and until when that stands; asks nobody."""
    from haulout.operations import GetWalrus

    with session.opened() as vault:
        found = session.run(vault, GetWalrus())
    session.answer(found, lambda: _show(found))
    return exits.STORAGE if found.held.alarm else exits.OK


@command.command("remove", cls=Verb, also=(exits.NOT_FOUND,), examples=("haulout walrus remove",))
@click.pass_obj
def remove(session: Session) -> None:
    """Publish there no more. What stands there ends by itself, since nothing renews it."""
    from haulout.operations import RemoveWalrus

    with session.opened() as vault:
        found = session.run(vault, RemoveWalrus())
    session.answer(found, lambda: screen.say("The vault is not published on Walrus any more."))


def _show(found: WalrusReport) -> None:
    held = found.held
    ends = "" if held.ends_in_days is None else f"{held.ends_in_days:.1f} days, without a sync"
    screen.pairs(
        [
            *(("publisher", url) for url in found.publishers),
            *(("aggregator", url) for url in found.aggregators),
            *(("relay", url) for url in found.relays),
            ("storage nodes", f"{len(found.nodes)}" if found.nodes else "none: ends are believed"),
            ("shards", f"{found.n_shards:,}"),
            ("an epoch", f"{found.epoch_days:g} days"),
            ("published", f"every {found.cadence_days:g} days, where anything is new"),
            ("stays", f"{found.keep_days:g} days after that, at the least"),
            ("a blob", f"at most {screen.size(found.pack_bytes)}"),
            ("vectors", "sent" if found.vectors else "made again at a restore"),
            ("stands there", f"{held.records:,} records in head {held.head}" if held.head else ""),
            ("ends in", ends),
        ]
    )
    if held.alarm:
        screen.warn(held.alarm)
