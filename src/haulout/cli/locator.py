"""`haulout locator`."""

from __future__ import annotations

from pathlib import Path

import click

from haulout.cli import exits, screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "locator",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=("haulout locator", "haulout locator --output locator.txt"),
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it."
)
@click.pass_obj
def command(session: Session, output: Path | None) -> None:
    """Print where the vault's bytes are: keep it beside the 24 words.

    With both, `haulout restore` brings the vault back on a bare machine. A locator holds no secret,
    and changes when volumes do, or on Walrus with every publication.
    """
    from haulout.operations import GetLocator
    from haulout.storage.durable import write_file

    with session.opened() as vault:
        text = session.run(vault, GetLocator())
    if output is not None:
        write_file(output, (text + "\n").encode())

    def show() -> None:
        if output is None:
            click.echo(text)
        else:
            screen.say(f"The locator is in {screen.place(output)}.")

    session.answer({"locator": text.replace("\n", "")}, show)
