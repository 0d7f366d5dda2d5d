"""`haulout init`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import click

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb

_ASKED = 2
_COLUMNS = 4
_PURPOSE = (
    "These 24 words are the recovery kit of this vault.",
    "With them you open a backup of it on any machine. Without them nobody can,",
    "and nobody can give them to you again. Write them down in this order, keep",
    "them where only you look, and tell them to no one. They are shown this once.",
)


@click.command(
    "init",
    cls=Verb,
    examples=(
        "haulout init",
        "haulout init --vault ~/work-memory --passphrase",
        'haulout init --yes --json | jq -r ".recovery_kit | join(\\" \\")"',
    ),
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask for words of the kit.")
@click.option("--passphrase", is_flag=True, help="Protect the key file with a passphrase, too.")
@click.pass_obj
def command(session: Session, yes: bool, passphrase: bool) -> None:
    """Make a vault: an encrypted folder on this disk, and the 24 words that recover it.

    Nothing is sent anywhere. The words are shown once; then two of them are asked for, to see
    that they are written down. With --json they stand in the answer, and nothing is asked.
    """
    from haulout.vault import Vault

    asks = not yes and not session.json
    if asks and not (screen.can_ask() and screen.on_terminal()):
        message = "There is no terminal to show the recovery kit in; say --yes to print it."
        raise click.UsageError(message)
    secret = session.new_passphrase() if passphrase else None
    with session.warnings_told():
        vault, kit = Vault.create(session.vault, passphrase=secret, embedder="none")
    with vault:
        folder, identity = vault.path, vault.id
    words = kit.words.split()
    if asks:
        _show_until_written_down(words, folder)
    answer = {"path": str(folder), "vault": identity, "recovery_kit": words}
    session.answer(answer, lambda: _tell(words, folder, shown=asks))


def _columns(words: Sequence[str]) -> list[str]:
    """The words with their numbers, to be read down each column."""
    rows = -(-len(words) // _COLUMNS)
    return [
        "   ".join(f"{n + 1:>2} {words[n]:<9}" for n in range(row, len(words), rows)).rstrip()
        for row in range(rows)
    ]


def _print_kit(words: Sequence[str]) -> None:
    for line in _PURPOSE:
        screen.say(line)
    screen.say("")
    for line in _columns(words):
        screen.say(f"    {line}", bold=True)
    screen.say("")


def _show_until_written_down(words: Sequence[str], folder: Path | None) -> None:
    """Show the words on a page of their own, which leaves nothing to scroll back to; then ask."""
    console, wrong = screen.console(), False
    try:
        while True:
            with console.screen(hide_cursor=False):
                if wrong:
                    screen.say("That was another word. Here they are once more.\n", fg="yellow")
                _print_kit(words)
                click.prompt(
                    "Press Enter when they are written down",
                    default="",
                    show_default=False,
                    prompt_suffix=" ",
                )
            if _knows(words):
                return
            wrong = True
    except click.Abort:
        click.echo("", err=True)
        screen.warn(
            f"The vault in {screen.place(folder)} is made, but its words are not confirmed and will"
            " not be shown again. If you do not have them, delete it and run `haulout init`."
        )
        raise


def _knows(words: Sequence[str]) -> bool:
    asked = sorted(secrets.SystemRandom().sample(range(len(words)), _ASKED))
    for number in asked:
        given = click.prompt(f"Word {number + 1} of the kit").strip().lower()
        if given != words[number]:
            return False
    return True


def _tell(words: Sequence[str], folder: Path | None, *, shown: bool) -> None:
    if not shown:
        _print_kit(words)
    screen.say(f"Your vault is in {screen.place(folder)}.", fg="green")
    screen.say("Try it:")
    for line in (
        'haulout remember "Ana is allergic to walnuts." --speaker Ana',
        'haulout recall "what can\'t Ana eat?"',
        "haulout import FILE       a ChatGPT or Claude export, Markdown, JSON Lines",
        "haulout connect           gives Claude, Cursor, Codex and others the vault",
        "haulout model install     adds recall by meaning (91 MB, once)",
    ):
        screen.say(f"  {line}")
