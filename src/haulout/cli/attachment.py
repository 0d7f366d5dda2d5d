"""`haulout attachment`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import NEW_FILE, memory_id, new_file, replace_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb

if TYPE_CHECKING:
    from haulout.cli.screen import Report
    from haulout.vault import Vault

_PIECE = 1024 * 1024


@click.command(
    "attachment",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=(
        "haulout attachment 3f9k2m1a --output contract.pdf",
        "haulout attachment 3f9k2m1a | tar t",
    ),
)
@click.argument("id")
@click.option("--output", "-o", type=NEW_FILE, metavar="FILE", help="Write it there.")
@replace_option
@click.pass_obj
def command(
    session: Session,
    id: str,  # noqa: A002 - the word people know
    output: Path | None,
    replace: bool,
) -> None:
    """Write out what a memory has attached.

    ID is a memory's ID, or at least 6 characters of its beginning. In a pipe the bytes go to
    standard output; at a terminal, say --output. With --json and no --output only name, type
    and size are told.
    """
    if output is None and not session.json and screen.on_terminal():
        message = "The bytes may be anything: say --output, or send them into a pipe."
        raise click.UsageError(message)
    path = None if output is None else new_file(output, replace=replace)
    with session.opened() as vault, session.progress("Reading", unit="bytes") as report:
        found = _found(session, vault, id)
        if path is not None:
            with _stream(session, vault, found["id"]) as stream:
                _write(Path(path), stream, found["size"], report)
        elif not session.json:
            with _stream(session, vault, found["id"]) as stream:
                sys.stdout.flush()
                shutil.copyfileobj(stream, sys.stdout.buffer, _PIECE)
            sys.stdout.buffer.flush()
    answer = found | ({} if path is None else {"path": path})

    def show() -> None:
        if path is not None:
            screen.say(f"Wrote {screen.size(found['size'])} to {screen.place(path)}.")

    session.answer(answer, show)


def _found(session: Session, vault: Vault, given: str) -> dict[str, Any]:
    """A memory's ID with what it has attached."""
    from haulout.errors import NotFoundError
    from haulout.operations import Get

    memory = session.run(vault, Get(id=memory_id(session, vault, given)))
    if memory.attachment is None:
        message = f"Memory {memory.id} has no attachment."
        raise NotFoundError(message)
    attachment = memory.attachment
    return {
        "id": memory.id,
        "name": attachment.name,
        "media_type": attachment.media_type,
        "size": attachment.size,
        "searchable": attachment.searchable,
    }


def _stream(session: Session, vault: Vault, found: str) -> BinaryIO:
    from haulout.operations import ReadAttachment

    return session.run(vault, ReadAttachment(id=found))


def _write(path: Path, stream: BinaryIO, total: int, report: Report | None) -> None:
    from haulout.storage.durable import write_file

    def pieces() -> Iterator[bytes]:
        done = 0
        while piece := stream.read(_PIECE):
            yield piece
            done += len(piece)
            if report:
                report(done, total)

    write_file(path, pieces())
