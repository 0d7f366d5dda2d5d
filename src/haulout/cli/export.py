"""`haulout export`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import NEW_FILE, namespace_option, new_file, replace_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb

if TYPE_CHECKING:
    from haulout.interchange import Loss
    from haulout.log.memory import Memory
    from haulout.vault import Vault

_PAGE = 1000
_STANDARD_OUTPUT = Path("-")


@click.command(
    "export",
    cls=Verb,
    also=(exits.CONFLICT,),
    examples=(
        "haulout export memories.jsonl",
        "haulout export memories.jsonl --replace --json",
        "haulout export --as transfer - | pbcopy",
        "haulout export --as transfer for-another-assistant.md --namespace home",
    ),
)
@click.argument("file", type=NEW_FILE)
@click.option(
    "--as",
    "form",
    type=click.Choice(["jsonl", "transfer"]),
    default="jsonl",
    show_default=True,
    help="jsonl: everything, for programs. transfer: text to paste into an assistant.",
)
@namespace_option
@click.option("--every-kind", is_flag=True, help="In transfer text, turns and documents too.")
@replace_option
@click.pass_obj
def command(
    session: Session,
    file: Path,
    form: str,
    namespace: str | None,
    every_kind: bool,
    replace: bool,
) -> None:
    """Write memories to FILE, in the open: anyone who has the file can read it.

    As jsonl, every memory is a line, with its history. The order is canonical and the digest
    depends on the memories alone: two copies of a vault give the same.

    As transfer, FILE is text for assistants that take no files, in groups and with dates, and
    `-` is standard output. It holds what is true now; what was said in conversations and
    documents are left out. A report tells what the text has no place for.
    """
    if form == "transfer":
        _export_text(session, file, namespace, every_kind=every_kind, replace=replace)
        return
    if namespace is not None or every_kind:
        message = "--namespace and --every-kind go with --as transfer; jsonl holds everything."
        raise click.UsageError(message)
    if file == _STANDARD_OUTPUT:
        message = "Only transfer text goes to standard output; JSON Lines need a file."
        raise click.UsageError(message)
    _export_lines(session, new_file(file, replace=replace))


def _export_lines(session: Session, file: str) -> None:
    from haulout.operations import Export

    with session.opened() as vault, session.progress("Exporting"):
        done = session.run(vault, Export(file=file))

    def show() -> None:
        what = screen.counted(done.memories, "memory")
        screen.say(f"Wrote {what} to {screen.place(done.path)} ({screen.size(done.bytes)}).")
        screen.say(f"SHA-256 {done.digest}", dim=True)
        screen.note("The file is not encrypted.")

    session.answer(done, show)


def _export_text(
    session: Session, file: Path, namespace: str | None, *, every_kind: bool, replace: bool
) -> None:
    from haulout.interchange import transfer_text
    from haulout.interchange.transfer import RAW_KINDS
    from haulout.storage.durable import write_file

    to_output = file == _STANDARD_OUTPUT
    path = "-" if to_output else new_file(file, replace=replace)
    with session.opened() as vault, session.progress("Exporting"):
        text, loss = transfer_text(
            _memories(session, vault, namespace),
            now=datetime.now(UTC),
            without=frozenset() if every_kind else RAW_KINDS,
        )
    if not to_output:
        write_file(file, text.encode())

    def show() -> None:
        if to_output:
            click.echo(screen.visible(text) if sys.stdout.isatty() else text.encode(), nl=False)
        else:
            what = screen.counted(loss.memories, "memory")
            screen.say(f"Wrote {what} to {screen.place(path)}.")
            screen.note("The file is not encrypted.")
        _tell_loss(loss)

    answer = {"path": path, **loss.to_builtins()}
    session.answer(answer | {"text": text} if to_output else answer, show)


def _memories(session: Session, vault: Vault, namespace: str | None) -> Iterator[Memory]:
    """What `list` gives, page by page: newest versions of what is neither hidden nor erased."""
    from haulout.operations import List

    after: str | None = None
    while True:
        page = session.run(vault, List(namespace=namespace, limit=_PAGE, after=after))
        yield from page.memories
        after = page.next
        if after is None:
            return


def _tell_loss(loss: Loss) -> None:
    """The report, on standard error: standard output may be the text."""
    for head, counts in (("Left out", loss.left_out), ("Not told", loss.not_told)):
        if counts:
            screen.note(f"{head}: {_counts(counts)}.")
    if loss.secrets:
        screen.warn(f"Secrets stand in the text: {_counts(loss.secrets)}.")


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
