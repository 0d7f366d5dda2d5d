"""`haulout`: the verbs by name, each loaded from its module when it is called."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from haulout.cli import exits
from haulout.cli.session import Session
from haulout.cli.verb import shared_options, write_exits
from haulout.version import __version__

SECTIONS: dict[str, dict[str, str]] = {
    "Every day": {
        "remember": "Keep something.",
        "recall": "Find what answers a question, best first.",
        "context": "Recall, packed for a prompt.",
        "get": "Show one memory.",
        "list": "List memories, newest first.",
        "attachment": "Write out what a memory has attached.",
        "append": "Add to what a memory has attached, as it comes.",
        "update": "Correct a memory; the old version stays answerable.",
        "forget": "Forget memories, with a receipt.",
        "undo": "Take an operation back.",
        "history": "Tell everything that happened to a memory.",
    },
    "In and out": {
        "import": "Bring in what other assistants and agents know, or notes.",
        "export": "Write memories to a file, or as text to paste, in the open.",
        "backup": "Write the whole vault to one sealed file.",
        "restore": "Make a vault from a backup or its stores, and the 24 words.",
    },
    "Beyond this disk": {
        "volumes": "Folders and buckets that keep the vault's bytes, coded against loss.",
        "walrus": "The Walrus network that the vault is published on.",
        "sync": "Send what is new to the vault's stores.",
        "repair": "Rebuild what is missing or damaged on the volumes.",
        "cost": "Say what keeping the vault costs, before anything is sent.",
        "locator": "Print where the vault's bytes are, to keep beside the 24 words.",
        "replica": "A copy to read near an agent, offline, that says how old it is.",
    },
    "Your agents": {
        "connect": "Give a client the vault: Claude, Cursor, Codex and others.",
        "mcp": "Serve the vault to one app over MCP; a client starts this.",
        "state": "What agents must not forget: what they began, and what you forbade.",
    },
    "The vault": {
        "init": "Make a vault.",
        "check": "Verify everything, and finish pending erasures.",
        "rebuild": "Make the search index again from the log.",
        "stats": "Show the vault in figures.",
        "model": "Install the model for recall by meaning, or look at it.",
        "testnet": "Run a Walrus network on this machine, to try things out.",
        "completion": "Print a script that completes commands in your shell.",
    },
}
_MODULES = {"import": "import_", "list": "list_"}  # words that Python has for itself

_ENVIRONMENT = (
    ("HAULOUT_HOME", "the vault, where --vault is not given"),
    ("HAULOUT_PASSPHRASE", "opens a vault whose key has a passphrase"),
    ("HAULOUT_EMBEDDER", "auto, none, a model's folder, or http://...?model=NAME"),
    ("HAULOUT_EMBEDDER_KEY", "API key for such an address"),
    ("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...", "sign in to buckets: docs/stores.md"),
    ("NO_COLOR", "no colours"),
)


_HELP = """\
Memory for your agents: encrypted, on your disk, yours.

\b
Begin with:
  haulout init
  haulout remember "Ana is allergic to walnuts." --speaker Ana
  haulout recall "what can't Ana eat?"

Each verb has its own help: `haulout recall --help`.
"""


class Program(click.Group):
    """The verbs. Listing them loads none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Their names, in the order of the help."""
        return [name for verbs in SECTIONS.values() for name in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a verb's module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"haulout.cli.{_MODULES.get(cmd_name, cmd_name)}")
        return module.command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or name one that is spelled alike."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            alike = get_close_matches(args[0], self.list_commands(ctx), 1)
            mean = f" Did you mean {alike[0]}?" if alike else ""
            ctx.fail(f"There is no command {args[0]!r}.{mean}")
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write verbs first, then options, environment and exit codes."""
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))
        click.Command.format_options(self, ctx, formatter)
        with formatter.section("Environment"):
            formatter.write_dl(list(_ENVIRONMENT))
        write_exits(formatter, list(exits.MEANINGS))


def _show_version(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"haulout {__version__}")
        context.exit()


@click.group(cls=Program, params=shared_options(), help=_HELP)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def program(context: click.Context) -> None:
    context.ensure_object(Session)
