"""`haulout mcp`."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import click

from haulout.cli import screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import HauloutError, InputError

if TYPE_CHECKING:
    from haulout.vault.values import Refreshed, Synced


@click.command(
    "mcp",
    cls=Verb,
    examples=(
        "haulout connect claude-code  # writes the line below into the client's configuration",
        "haulout mcp --app claude-code",
        "haulout mcp --app cursor --read-only",
    ),
)
@click.option("--app", "name", required=True, metavar="NAME", help="Who asks, such as claude-code.")
@click.option("--read-only", is_flag=True, help="It may recall, and write nothing.")
@click.pass_obj
def command(session: Session, name: str, read_only: bool) -> None:
    """Serve the vault to one app over MCP, on standard input and output.

    A client starts this by itself once `haulout connect` has told it to. The app gets remember,
    recall, get, list, update, forget, history and context, and reserve, settle and recover for
    what it does in the world; what it writes carries NAME. Where the vault has stores, what is new
    is sent to them meanwhile. A replica is served as with --read-only, and refreshed meanwhile.
    """
    from haulout.operations import app

    principal = app(name, read_only=read_only)
    if importlib.util.find_spec("mcp") is None:
        message = "The MCP package is not installed."
        raise InputError(message, hint='Install it with `pip install "haulout[mcp]"`.')
    if sys.stdin.isatty():
        screen.note("This speaks MCP, which a client does: see `haulout connect`. Ctrl-D ends it.")
    with session.opened() as vault:
        from haulout.server.mcp import serve_stdio

        if vault.is_replica:
            principal = app(name, read_only=True)
            vault.keep_fresh(told=_refused)
        elif vault.stores().stores:
            vault.keep_synced(told=_told)

        serve_stdio(vault, principal)


def _refused(what: Refreshed | HauloutError) -> None:
    """Say why a replica could not be refreshed."""
    if isinstance(what, HauloutError):
        screen.warn(str(what))


def _told(what: Synced | HauloutError) -> None:
    """Say on standard error, which clients keep in their logs, why nothing could be sent."""
    failures = [str(what)] if isinstance(what, HauloutError) else []
    if not isinstance(what, HauloutError):
        failures = [f"{one.name}: {one.failure}" for one in what.stores if one.failure]
    for failure in failures:
        screen.warn(failure)
