"""`haulout state export` and `haulout state import`: a bot's state as a file, out and in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import NEW_FILE, new_file, replace_option
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from haulout.interchange.botstate import BotState
    from haulout.interchange.statefile import Brought

_SHOWN = 20
_FORMS = ("bot-state", "freqtrade", "globals")


@click.command(
    "export",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=(
        "haulout state export bots/btc btc.json",
        "haulout state export bots/btc tradesv3.sqlite --as freqtrade",
        "haulout state export bots/btc globals.csv --as globals",
    ),
)
@click.argument("state")
@click.argument("file", type=NEW_FILE)
@click.option(
    "--as",
    "form",
    type=click.Choice(_FORMS),
    default="bot-state",
    show_default=True,
    help="bot-state: everything. freqtrade: its database. globals: MetaTrader's variables.",
)
@replace_option
@click.pass_obj
def export(session: Session, state: str, file: Path, form: str, replace: bool) -> None:
    """Write STATE to FILE, in the open: anyone who has the file can read it.

    What another program needs to go on where this one stopped: trades, limits, the owner's word,
    counters, documents, journals, and every intent that is open or that a signal decided. Stop
    the bot first: two that act on one state act twice.
    """
    from haulout.interchange.statefile import exported

    path = new_file(file, replace=replace)
    with session.opened() as vault, session.progress("Exporting"):
        if state not in vault.states():
            message = f"There is no state {state!r}."
            raise NotFoundError(message, hint="`haulout state list` names them.")
        bot = exported(vault.state(state))
    left_out = _write(bot, file, form, replace=replace)
    answer = {
        "path": path, "form": form, "trades": len(bot.trades), "documents": len(bot.values),
        "intents": len(bot.intents), "left_out": left_out,
    }  # fmt: skip

    def show() -> None:
        what = screen.counted(len(bot.values) + len(bot.trades), "document")
        intents = screen.counted(len(bot.intents), "intent")
        screen.say(f"Wrote {what} and {intents} to {screen.place(path)}.")
        screen.note("The file is not encrypted.")
        _tell("Not carried, or not as it is", left_out)

    session.answer(answer, show)


def _write(bot: BotState, file: Path, form: str, *, replace: bool) -> list[str]:
    """Write a state in a form; what of it the form has no place for."""
    from haulout.storage.durable import write_file

    if form == "freqtrade":
        from haulout.interchange.freqtrade import write_freqtrade

        if replace:
            message = "A database of freqtrade's is not replaced."
            raise ConflictError(message, hint="Write to a new file, and look at both.")
        told = write_freqtrade(bot, file)
        rounded = [f"{one} (rounded for freqtrade)" for one in told.rounded]
        return rounded + [f"{one} (freqtrade does not read it)" for one in told.unread]
    if form == "globals":
        from haulout.interchange.globalvariables import to_globals, write_globals

        found = to_globals(bot)
        write_file(file, write_globals(found.variables))
        left = [f"{one.place}: {one.why}" for one in found.left_out]
        return left + [f"{one}: comes back as a double" for one in found.as_numbers]
    from haulout.interchange.botstate import encode

    write_file(file, encode(bot))
    return []


@click.command(
    "import",
    cls=Verb,
    also=(exits.CONFLICT,),
    examples=(
        "haulout state import btc.json bots/btc --dry-run",
        "haulout state import tradesv3.sqlite bots/btc",
        "haulout state import globals.csv bots/ea",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("state")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--overwrite", is_flag=True, help="What is newer or set otherwise here gives way.")
@click.pass_obj
def import_(session: Session, file: Path, state: str, dry_run: bool, overwrite: bool) -> int:
    """Take FILE into STATE: a bot state, freqtrade's database, or MetaTrader's global variables.

    All of it or nothing. What is newer here is not overwritten unless you say --overwrite, and
    nothing that is forbidden here is allowed by it. With --dry-run, exits with 4 where something
    stands in the way.
    """
    from haulout.interchange.statefile import bring_in, preview

    bot, left_out = _read(file)
    with session.opened() as vault:
        into = vault.state(state)
        if dry_run:
            found = preview(into, bot, overwrite=overwrite)
        else:
            with session.progress("Importing"):
                found = bring_in(into, bot, overwrite=overwrite)
    answer = {
        "state": found.state, "dry_run": dry_run, "events": found.events,
        "changes": found.changes, "left_out": left_out,
    }  # fmt: skip
    session.answer(answer, lambda: _brought(found, left_out, dry_run=dry_run))
    return exits.CONFLICT if found.refused else exits.OK


def _read(file: Path) -> tuple[BotState, list[str]]:
    """The state in a file, by what stands in it, and what of the file is not carried."""
    from haulout.interchange.freqtrade import MAGIC, read_freqtrade

    with file.open("rb") as opened:
        head = opened.read(len(MAGIC))
    if head == MAGIC:
        found = read_freqtrade(file)
        return found.bot, [f"table {name}" for name in found.left_out]
    data = file.read_bytes()
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        from haulout.interchange.botstate import decode

        return decode(data), []
    from haulout.interchange.globalvariables import from_globals, read_globals

    taken = from_globals(read_globals(data), now=time.time_ns() // 1000)
    return taken.bot, [f"{name}: not used for four weeks" for name in taken.expired]


def _brought(found: Brought, left_out: list[str], *, dry_run: bool) -> None:
    head = "Would write" if dry_run else "Wrote"
    events = screen.counted(found.events, "event")
    screen.say(f"{head} {events} to {found.state}.", bold=True)
    rows = [(one.how, one.part, one.why) for one in found.changes if one.how != "same"]
    columns = [screen.Column("how"), screen.Column("part"), screen.Column("why", wraps=True)]
    if rows:
        screen.table(columns, rows)
    same = sum(one.how == "same" for one in found.changes)
    if same:
        screen.note(f"{screen.counted(same, 'part')} the same already.")
    _tell("Not carried", left_out)
    if found.refused:
        screen.warn("Nothing would be imported while something is refused.")
    if dry_run:
        screen.note("Nothing was written.")


def _tell(head: str, left_out: list[str]) -> None:
    for one in left_out[:_SHOWN]:
        screen.note(f"{head}: {one}.")
    if len(left_out) > _SHOWN:
        screen.note(f"{screen.counted(len(left_out) - _SHOWN, 'more')}; --json lists them.")
