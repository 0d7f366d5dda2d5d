"""`haulout replica`: create, status, refresh."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, BinaryIO

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import limits
from haulout.cli.restore import kit_words
from haulout.cli.session import Session
from haulout.cli.verb import Verb, write_exits
from haulout.errors import HauloutError, InputError

if TYPE_CHECKING:
    from haulout.vault import Vault
    from haulout.vault.values import Refreshed


class _Replica(click.Group):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for line in ("create locator.txt --kit-file words.txt", "refresh --watch", "status"):
                formatter.write(f"{'':{formatter.current_indent}}haulout replica {line}\n")
        codes = (exits.OK, exits.USAGE, exits.NOT_FOUND, exits.CONFLICT, exits.UNUSABLE)
        write_exits(formatter, [*codes, exits.STORAGE])


@click.group("replica", cls=_Replica)
def command() -> None:
    """A copy of a vault near an agent: encrypted, read offline, never written to.

    It is made from the stores of a vault, refreshed from them when they can be reached, and says
    how old it is. `haulout mcp` on a replica serves what may be read, and refreshes it meanwhile.
    """


@command.command(
    "create",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=(
        "haulout replica create locator.txt --kit-file words.txt --vault ~/near",
        "pass show haulout | haulout replica create locator.txt --kit-file -",
    ),
)
@click.argument("source", metavar="LOCATOR")
@click.option(
    "--kit-file",
    type=click.File("rb"),
    metavar="FILE",
    help="Read the 24 words there instead of asking; `-` is standard input.",
)
@click.option("--passphrase", is_flag=True, help="Protect the new key with a passphrase.")
@click.option(
    "--most-bytes",
    type=click.IntRange(0),
    metavar="BYTES",
    help="Of attachments that were read, keep no more than this here.  [default: 256000000]",
)
@limits
@click.pass_obj
def create(
    session: Session,
    source: str,
    kit_file: BinaryIO | None,
    passphrase: bool,
    most_bytes: int | None,
    limit_up: int | None,
    limit_down: int | None,
) -> None:
    """Make a replica at --vault from a vault's stores and the 24 words, which are not kept.

    LOCATOR is what `haulout locator` printed, or a file that holds it. Nothing is written to the
    vault or its stores.
    """
    from haulout.vault import Vault
    from haulout.vault.replica.note import MOST_BYTES

    words = kit_words(kit_file)
    secret = session.new_passphrase() if passphrase else None
    with session.warnings_told(), session.progress("Copying", unit="records") as report:
        vault = Vault.replicate(
            source,
            session.vault,
            kit=words,
            most_bytes=MOST_BYTES if most_bytes is None else most_bytes,
            passphrase=secret,
            embedder=session.embedder(),
            credentials=session.credentials(),
            store_options=session.store_options(limit_up, limit_down),
            progress=report,
        )
    with vault:
        found, memories = vault.refreshed, vault.stats().memories
        answer = {"path": str(vault.path), "vault": vault.id, "memories": memories}

    def show() -> None:
        assert found is not None
        what = screen.counted(memories, "memory")
        screen.say(f"Copied {what} to {screen.place(vault.path)}, as of head {found.head}.")
        _told(found)

    session.answer(answer | {"refreshed": found}, show)


@command.command("status", cls=Verb, examples=("haulout replica status",))
@click.pass_obj
def status(session: Session) -> None:
    """Say how old the replica is, and what it holds; nothing is asked of its stores."""
    from haulout.operations import GetStats, GetStores

    with session.opened() as vault:
        _require(vault)
        stats = session.run(vault, GetStats())
        stores = session.run(vault, GetStores()).stores
    answer = {name: getattr(stats, name) for name in stats.__struct_fields__}

    def show() -> None:
        screen.pairs(
            [
                ("replica", screen.place(stats.path)),
                ("memories", f"{stats.memories:,}"),
                ("head", f"{stats.head:,} of {screen.minute(stats.as_of)}"),
                ("the newest", screen.ago(stats.refreshed_at)),
                ("on disk", screen.size(stats.bytes)),
                ("from", ", ".join(one.kind for one in stores)),
            ]
        )

    session.answer(answer, show)


@command.command(
    "refresh",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=(
        "haulout replica refresh",
        "haulout replica refresh --watch --every 30",
        "haulout replica refresh locator.txt",
    ),
)
@click.argument("source", metavar="[LOCATOR]", required=False)
@click.option("--watch", is_flag=True, help="Go on until interrupted.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch looks at the stores.",
)
@click.option("--anew", is_flag=True, help="Throw away what is here, and take the newest head.")
@limits
@click.pass_obj
def refresh(
    session: Session,
    source: str | None,
    watch: bool,
    every: float,
    anew: bool,
    limit_up: int | None,
    limit_down: int | None,
) -> int:
    """Bring the replica to the newest head of its stores, whole or not at all.

    A newer LOCATOR is needed where the vault is on Walrus, and where its stores are others now.
    Where the stores give an older head than the one that is here, it says so and exits with 4.
    """
    from haulout.operations import Refresh

    with session.opened(session.store_options(limit_up, limit_down)) as vault:
        if not watch:
            with session.progress("Fetching", unit="records") as report:
                operation = Refresh(source=source, anew=anew)
                found = session.run(vault, operation, progress=report)
            session.answer(found, lambda: show(found))
            return exits.OK
        if source is not None or anew:
            session.run(vault, Refresh(source=source, anew=anew))
        return _watch(session, vault, every)


def show(found: Refreshed) -> None:
    """One line, and what is to be known beside it."""
    if not found.changed:
        screen.say(f"Head {found.head} is here already, and the newest.")
    else:
        parts = [f"{screen.counted(found.records, 'record')} came"]
        if found.erased:
            parts.append(f"{screen.counted(found.erased, 'record')} erased")
        if found.vectors:
            parts.append(f"{screen.counted(found.vectors, 'vector')} taken over")
        screen.say(f"Head {found.head} of {screen.minute(found.as_of)}: {', '.join(parts)}.")
    _told(found)


def _told(found: Refreshed) -> None:
    for problem in found.problems:
        screen.warn(problem)
    for ignored in found.ignored:
        screen.note(f"Not used: {screen.visible(ignored)}")


def _watch(session: Session, vault: Vault, every: float) -> int:
    """Refresh in the background until Ctrl-C."""

    def told(what: Refreshed | HauloutError) -> None:
        if isinstance(what, HauloutError):
            screen.warn(str(what))
        else:
            session.answer(what, lambda: show(what))

    vault.keep_fresh(every=every, told=told)
    session.note("Refreshing; stop with Ctrl-C.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return exits.OK
    return exits.OK


def _require(vault: Vault) -> None:
    if not vault.is_replica:
        message = f"The vault in {vault.path} is no replica."
        raise InputError(message, hint="`haulout stats` shows a vault in figures.")
