"""`haulout state`: list, show, journal, pause, flatten, resume, limit, resolve."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from haulout.cli import exits, screen, state_files
from haulout.cli.session import Session
from haulout.cli.verb import Verb, write_exits
from haulout.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from haulout.operations import AnyOperation
    from haulout.vault import Vault
    from haulout.vault.statereports import IntentReport, StateEvent, StateReport

_PAGE = 1000
_SHOWN = 8
"""Digits of an intent's ID that are shown: its last ones, since all of a state begin alike."""
_ID_DIGITS = 32
_LEAST_DIGITS = 6
_NONE = "none"
_COLUMNS = (
    "number", "at", "kind", "epoch", "by", "intent", "action", "role", "target", "key", "status",
    "ref", "filled", "cost", "spent", "name", "version", "value", "why",
)  # fmt: skip
"""Of the journal as CSV; what an event does not say is empty."""
_SHARED = {
    "intent": ("id", "tag"),
    "name": ("name", "journal", "holder"),
    "value": ("value", "payload", "result", "limits", "until"),
}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class _States(click.Group):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        examples = ("list", "show bots/btc", "pause 'bots/*'", "limit bots/btc usd/day 100")
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{'':{formatter.current_indent}}haulout state {line}\n")
        codes = (exits.OK, exits.USAGE, exits.NOT_FOUND, exits.CONFLICT, exits.STORAGE)
        write_exits(formatter, [*codes, exits.REFUSED, exits.INTERRUPTED])


@click.group("state", cls=_States)
def command() -> None:
    """What agents must not forget: what they began, what they hold, and what you forbade.

    Your word stands whether an agent runs or not: it meets it at its next decision. A name may
    end with *, which means every state whose name begins so; quote it for the shell.
    """


command.add_command(state_files.export)
command.add_command(state_files.import_)


@command.command("list", cls=Verb, examples=("haulout state list",))
@click.pass_obj
def list_(session: Session) -> None:
    """The states, what is open in each, and who acts for it."""
    from haulout.operations import GetStates, ShowState

    with session.opened() as vault:
        names = session.run(vault, GetStates())
        found = [session.run(vault, ShowState(state=name)) for name in names]
    session.answer(found, lambda: _overview(found))


@command.command(
    "show",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.REFUSED),
    examples=("haulout state show bots/btc", "haulout state show bots/btc --json"),
)
@click.argument("state")
@click.pass_obj
def show(session: Session, state: str) -> int:
    """STATE at a glance; exits with 8 where something forbids new actions."""
    from haulout.operations import ShowState

    with session.opened() as vault:
        found = session.run(vault, ShowState(state=state))
    session.answer(found, lambda: _shown(found))
    return exits.REFUSED if found.reasons else exits.OK


@command.command(
    "journal",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=(
        "haulout state journal bots/btc",
        "haulout state journal bots/btc --csv > btc.csv",
        "haulout state journal bots/btc --after 4200 --json",
    ),
)
@click.argument("state")
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="N", help="From event N on."
)
@click.option("--csv", "as_csv", is_flag=True, help="A spreadsheet; times in UTC.")
@click.pass_obj
def journal(session: Session, state: str, after: int, as_csv: bool) -> None:
    """Everything that happened in STATE, in order: what, when and by whom.

    In a CSV, text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    if as_csv and session.json:
        message = "--csv and --json are two forms; choose one."
        raise InputError(message)
    with session.opened() as vault:
        found = list(_events(session, vault, state, after))
    if as_csv:
        click.echo(_csv(found), nl=False)
    else:
        session.answer(found, lambda: _journal(found))


@command.command(
    "pause",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=("haulout state pause bots/btc --why 'on holiday'", "haulout state pause '*'"),
)
@click.argument("states")
@click.option("--why", default="", metavar="WORDS", help="The agent is told.")
@click.pass_obj
def pause(session: Session, states: str, why: str) -> None:
    """Forbid new actions of STATES until `resume`. Exits, which take risk away, go on."""
    from haulout.operations import PauseStates

    _say(session, PauseStates(states=states, why=why), "Paused")


@command.command(
    "flatten", cls=Verb, also=(exits.NOT_FOUND,), examples=("haulout state flatten bots/btc",)
)
@click.argument("states")
@click.option("--why", default="", metavar="WORDS", help="The agent is told.")
@click.pass_obj
def flatten(session: Session, states: str, why: str) -> None:
    """Forbid new actions of STATES, and ask their agents to close what they hold.

    Nothing is sent from here: an agent that is dead closes nothing until it starts again.
    """
    from haulout.operations import FlattenStates

    _say(session, FlattenStates(states=states, why=why), "Asked to flatten")


@command.command(
    "resume", cls=Verb, also=(exits.NOT_FOUND,), examples=("haulout state resume 'bots/*'",)
)
@click.argument("states")
@click.option("--why", default="", metavar="WORDS", help="Kept in the journal.")
@click.pass_obj
def resume(session: Session, states: str, why: str) -> None:
    """Allow new actions of STATES again."""
    from haulout.operations import ResumeStates

    _say(session, ResumeStates(states=states, why=why), "Resumed")


@command.command(
    "limit",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=(
        "haulout state limit bots/btc usd/day 100",
        "haulout state limit bots/new trades/held 3 --new",
        "haulout state limit 'bots/*' usd/day none",
    ),
)
@click.argument("states")
@click.argument("limit")
@click.argument("most")
@click.option("--new", is_flag=True, help="Though there is no such state yet.")
@click.pass_obj
def limit(session: Session, states: str, limit: str, most: str, new: bool) -> None:
    """Bound what new actions of STATES cost: LIMIT is a unit and a time, MOST an amount.

    A time is `held` (at once), `day` (UTC) or 60 to 604800 seconds. Your limit holds before the
    agent's own; MOST `none` lets it have as much as it wants.
    """
    from haulout.operations import LimitStates

    amount = None if most == _NONE else most
    operation = LimitStates(states=states, limit=limit, most=amount, create=new)
    _say(session, operation, f"Limited to {most} {limit}" if amount else f"Not limited in {limit}")


@command.command(
    "resolve",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=("haulout state resolve bots/btc 5f0c81ab done --why 'seen in the account'",),
)
@click.argument("state")
@click.argument("intent")
@click.argument("outcome", type=click.Choice(["done", "cancelled", "refused", "dropped"]))
@click.option("--ref", metavar="ID", help="The other side's own ID.")
@click.option("--why", default="", metavar="WORDS", help="How you know; kept in the journal.")
@click.pass_obj
def resolve(
    session: Session, state: str, intent: str, outcome: str, ref: str | None, why: str
) -> None:
    """Say what became of INTENT, once you have looked: done, cancelled, refused or dropped.

    INTENT is an ID or the end of one, as it is shown. `refused` and `dropped` free what it was to
    cost: say them only when it did not happen.
    """
    from haulout.operations import Settle, ShowState

    with session.opened() as vault:
        shown = session.run(vault, ShowState(state=state))
        found = session.run(
            vault,
            Settle(
                intent=_intent(shown, intent),
                status=outcome,  # type: ignore[arg-type] - click has chosen
                state=state, ref=ref, why=why, by="owner",
            ),
        )  # fmt: skip

    def told() -> None:
        screen.say(f"{screen.one_line(_what(found))} is {found.status}: …{found.id[-_SHOWN:]}")

    session.answer(found, told)


# ---------------------------------------------------------------------- what the verbs share


def _say(session: Session, operation: AnyOperation, did: str) -> None:
    """Say the owner's word and tell of which states it was said."""
    with session.opened() as vault:
        found = session.run(vault, operation)

    def told() -> None:
        for name in found.states:
            screen.say(f"{did}: {screen.one_line(name)}")

    session.answer(found, told)


def _events(session: Session, vault: Vault, state: str, after: int) -> Iterator[StateEvent]:
    from haulout.operations import GetStateEvents

    while True:
        page = session.run(vault, GetStateEvents(state=state, after=after, limit=_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].number


def _intent(shown: StateReport, given: str) -> str:
    """The ID of the one intent that is, or ends with, what was given."""
    ending = given.removeprefix("…").lower()
    if len(ending) >= _ID_DIGITS:
        return ending  # the vault says what is wrong with it, if anything is
    if len(ending) < _LEAST_DIGITS:
        message = f"{given!r} is too short: give at least {_LEAST_DIGITS} digits of the ID."
        raise InputError(message)
    found = {one.id for one in (*shown.open, *shown.recent) if one.id.endswith(ending)}
    if len(found) == 1:
        return found.pop()
    if found:
        message = f"{len(found)} intents of {shown.name} end with {given!r}."
        raise InputError(message, hint="Give more digits.")
    message = f"No open or recent intent of {shown.name} ends with {given!r}."
    raise NotFoundError(message, hint="`haulout state journal` has the older ones.")


# ---------------------------------------------------------------------- what is shown


def _overview(found: list[StateReport]) -> None:
    rows = [
        (
            one.name,
            f"{one.events:,}",
            f"{len(one.open):,}" if one.open else "",
            one.halted,
            _holder(one),
            screen.minute(one.newest_at),
            "; ".join(one.reasons),
        )
        for one in found
    ]
    columns = [
        screen.Column("state", style="cyan"),
        screen.Column("events", right=True),
        screen.Column("open", right=True),
        screen.Column("halted", style="yellow"),
        screen.Column("acts for it"),
        screen.Column("newest"),
        screen.Column("forbids new actions", wraps=True),
    ]
    if rows or not screen.on_terminal():
        screen.table(columns, rows)
    else:
        screen.say("There is no state yet. An agent makes one with `vault.state(...)`.")


def _holder(found: StateReport) -> str:
    lease = found.lease
    if lease is None or not lease.lasts:
        return ""
    return f"{lease.holder} until {screen.second(lease.until)[-8:]}"


def _shown(found: StateReport) -> None:
    screen.pairs(
        [
            ("state", found.name),
            ("events", f"{found.events:,}"),
            ("newest", screen.second(found.newest_at) if found.newest_at else ""),
            ("halted", _halted(found)),
            ("acts for it", _holder(found)),
        ]
    )
    if screen.on_terminal():
        screen.say("")
    rows = [*_rows(found)]
    columns = [
        screen.Column("", style="dim"),
        screen.Column("name", style="cyan"),
        screen.Column("is"),
        screen.Column("since"),
        screen.Column("what", wraps=True, cut=True),
    ]
    if rows:
        screen.table(columns, rows)
    for reason in found.reasons:
        screen.warn(f"No new actions: {reason}.")
    if any(one.status in {"reserved", "unknown"} for one in found.open):
        screen.note("Look at the account; `haulout state resolve` settles what you found.")


def _halted(found: StateReport) -> str:
    if not found.halted:
        return ""
    why = f": {found.halted_why}" if found.halted_why else ""
    return f"{found.halted} since {screen.minute(found.halted_at)}{why}"


def _rows(found: StateReport) -> Iterator[tuple[str, str, str, str, str]]:
    for one in found.documents:
        age = str(timedelta(seconds=int(one.age_s)))
        yield "document", one.name, f"version {one.version}", f"{age} ago", _text(one.value)
    for name, notes in found.journals.items():
        yield "journal", name, screen.counted(notes, "note"), "", ""
    for one in found.limits:
        yield "limit", one.name, f"{one.used} of {one.most}", "", f"set by the {one.by}"
    for one in found.open:
        yield "open", f"…{one.id[-_SHOWN:]}", one.status, screen.minute(one.at), _what(one)
    for one in found.recent:
        yield "ended", f"…{one.id[-_SHOWN:]}", one.status, screen.minute(one.at), _what(one)


def _what(one: IntentReport) -> str:
    """An intent in words: what is done, on what, for how much."""
    cost = ", ".join(f"{amount} {unit}" for unit, amount in one.cost.items())
    parts = (one.action, one.target, cost, one.ref or "", one.why, one.by and f"by {one.by}")
    return "  ".join(part for part in parts if part)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _journal(found: list[StateEvent]) -> None:
    rows = [
        (
            str(one.number),
            screen.second(one.at),
            one.kind,
            one.by,
            " ".join(f"{name}={_cell(value)}" for name, value in one.what.items()),
        )
        for one in found
    ]
    columns = [
        screen.Column("number", right=True, style="dim"),
        screen.Column("at"),
        screen.Column("kind", style="cyan"),
        screen.Column("by"),
        screen.Column("what", wraps=True),
    ]
    screen.table(columns, rows)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else _text(value)


def _csv(found: list[StateEvent]) -> str:
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for one in found:
        fields = _fields(one)
        rows.writerow([_harmless(_cell(fields.get(name, ""))) for name in _COLUMNS])
    return written.getvalue()


def _fields(one: StateEvent) -> dict[str, Any]:
    """An event by columns: fields of several names that are of one kind share a column."""
    fields = {
        **one.what, "number": str(one.number), "at": one.at.isoformat(), "kind": one.kind,
        "epoch": str(one.epoch), "by": one.by,
    }  # fmt: skip
    for column, names in _SHARED.items():
        fields[column] = next((_cell(one.what[name]) for name in names if name in one.what), "")
    if "unit" in one.what:
        fields["cost"] = {one.what["unit"]: one.what["amount"]}
    return fields


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet runs: journals hold other people's words."""
    risky = cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if risky else cell
