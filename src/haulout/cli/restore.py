"""`haulout restore`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import limits
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import InputError

if TYPE_CHECKING:
    from haulout.vault.stores.restoring import Restored

_WORDS = 24
_MOST_KIT_BYTES = 64 * 1024


@click.command(
    "restore",
    cls=Verb,
    examples=(
        "haulout restore vault.haulout",
        "haulout restore locator.txt --kit-file words.txt",
        "haulout restore vault.haulout --vault ~/second --kit-file words.txt",
        "pass show haulout | haulout restore vault.haulout --kit-file -",
    ),
)
@click.argument("source", metavar="FILE|LOCATOR")
@click.option(
    "--kit-file",
    type=click.File("rb"),
    metavar="FILE",
    help="Read the 24 words there instead of asking; `-` is standard input.",
)
@click.option("--passphrase", is_flag=True, help="Protect the new key with a passphrase.")
@limits
@click.pass_obj
def command(
    session: Session,
    source: str,
    kit_file: BinaryIO | None,
    passphrase: bool,
    limit_up: int | None,
    limit_down: int | None,
) -> int:
    """Make a vault from a backup file, or from its stores, and the 24 words of its kit.

    LOCATOR is what `haulout locator` printed, or a file that holds it. The vault is made at
    --vault, where none may stand yet. This machine becomes a device of it; the one that was lost
    publishes no more once this one does. Exits with 6 where something did not come back: it is
    named, and the rest is there.
    """
    from haulout.vault import Vault

    if not source.lstrip().startswith("haulout:") and not Path(source).is_file():
        message = f"{source[:80]!r} is neither a file nor a locator."
        raise InputError(message)
    words = kit_words(kit_file)
    secret = session.new_passphrase() if passphrase else None
    with session.warnings_told(), session.progress("Restoring", unit="records") as report:
        vault = Vault.restore(
            source,
            session.vault,
            kit=words,
            passphrase=secret,
            embedder=session.embedder(),
            credentials=session.credentials(),
            store_options=session.store_options(limit_up, limit_down),
            progress=report,
        )
    with vault:
        stats, found = vault.stats(), vault.restored
        answer = {"path": str(vault.path), "vault": vault.id, "memories": stats.memories}
    if found is not None:
        answer |= {"restored": found}

    def show() -> None:
        what = screen.counted(stats.memories, "memory")
        screen.say(f"Restored {what} to {screen.place(vault.path)}.")
        if found is not None:
            _tell(found)

    session.answer(answer, show)
    return exits.OK if found is None or found.complete else exits.DAMAGED


def _tell(found: Restored) -> None:
    """What came back from stores, and what did not."""
    total = found.records + found.failed
    parts = [f"{found.records:,} restored + {found.failed:,} failed = {total:,} records"]
    if found.chunks or found.failed_chunks:
        pieces = found.chunks + found.failed_chunks
        parts.append(f"{found.chunks:,} + {found.failed_chunks:,} = {pieces:,} attachment pieces")
    if found.vectors:
        parts.append(f"{screen.counted(found.vectors, 'vector')} taken over")
    if found.states:
        states = screen.counted(found.states, "state")
        parts.append(f"{states} of agents, {found.state_records:,} records")
    screen.say("; ".join(parts) + ".", dim=True)
    for failure in found.failures:
        screen.warn(failure)
    for ignored in found.ignored:
        screen.note(f"Not used: {screen.visible(ignored)}")


def kit_words(kit_file: BinaryIO | None) -> str:
    """The words of a kit, from a file, or as a person types them."""
    return _typed() if kit_file is None else _read(kit_file.read(_MOST_KIT_BYTES))


def _read(data: bytes) -> str:
    """The words of a kit; the numbers they may stand under are passed over."""
    try:
        return re.sub(r"[^\w\s]|[\d_]", " ", data.decode())
    except UnicodeDecodeError as error:
        message = "The kit file is not text."
        raise InputError(message) from error


def _typed() -> str:
    if not screen.can_ask():
        message = "There is no terminal to ask for the 24 words; give --kit-file."
        raise click.UsageError(message)
    click.echo("Type the 24 words of the recovery kit, in order, on one line or several.", err=True)
    words: list[str] = []
    while len(words) < _WORDS:
        click.echo(f"{len(words) + 1:>2}> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            raise click.Abort
        words += _read(line.encode()).split()
    return " ".join(words)
