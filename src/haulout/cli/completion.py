"""`haulout completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb


@click.command(
    "completion",
    cls=Verb,
    examples=(
        'eval "$(haulout completion bash)"       in ~/.bashrc',
        'eval "$(haulout completion zsh)"        in ~/.zshrc',
        "haulout completion fish > ~/.config/fish/completions/haulout.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a script that completes commands in SHELL."""
    session = context.ensure_object(Session)
    made = get_completion_class(shell)
    assert made, "click knows the shells of the choice"
    script = made(context.find_root().command, {}, "haulout", "_HAULOUT_COMPLETE").source()
    session.answer({"shell": shell, "script": script}, lambda: screen.say(script))
