"""`haulout restore`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import BinaryIO

import click

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import InputError

_WORDS = 24
_MOST_KIT_BYTES = 64 * 1024


@click.command(
    "restore",
    cls=Verb,
    examples=(
        "haulout restore vault.haulout",
        "haulout restore vault.haulout --vault ~/second --kit-file words.txt",
        "pass show haulout | haulout restore vault.haulout --kit-file -",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--kit-file",
    type=click.File("rb"),
    metavar="FILE",
    help="Read the 24 words there instead of asking; `-` is standard input.",
)
@click.option("--passphrase", is_flag=True, help="Protect the new key with a passphrase.")
@click.pass_obj
def command(session: Session, file: Path, kit_file: BinaryIO | None, passphrase: bool) -> None:
    """Make a vault from FILE, a backup, and the 24 words of its recovery kit.

    The vault is made at --vault, where none may stand yet. This machine becomes a device of it.
    """
    from haulout.vault import Vault

    words = _typed() if kit_file is None else _read(kit_file.read(_MOST_KIT_BYTES))
    secret = session.new_passphrase() if passphrase else None
    with session.warnings_told(), session.progress("Restoring"):
        vault = Vault.restore(
            file, session.vault, kit=words, passphrase=secret, embedder=session.embedder()
        )
    with vault:
        stats = vault.stats()
        answer = {"path": str(vault.path), "vault": vault.id, "memories": stats.memories}

    def show() -> None:
        what = screen.counted(stats.memories, "memory")
        screen.say(f"Restored {what} to {screen.place(vault.path)}.")

    session.answer(answer, show)


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
