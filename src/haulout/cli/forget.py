"""`haulout forget`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from haulout.cli import exits, screen
from haulout.cli.arguments import every_memory, filter_option, memory_id
from haulout.cli.session import Session
from haulout.cli.verb import Verb
from haulout.errors import InputError

if TYPE_CHECKING:
    from haulout.log.memory import Memory
    from haulout.vault import Vault
    from haulout.vault.values import Receipt

_SHOWN = 5
_EVERYTHING = {"id": {"exists": True}}
_COLUMNS = (
    screen.Column("ID", "dim", short=screen.ID_SHOWN),
    screen.Column("When", "cyan"),
    screen.Column("Where", "magenta", most=16),
    screen.Column("What", wraps=True, cut=True),
)
_QUESTIONS = {
    "hidden": "Hide {}? (`haulout undo` brings it back)",
    "destroyed": "Erase {} for good?",
    "everywhere": "Erase {} for good, here and in every store?",
}


@click.command(
    "forget",
    cls=Verb,
    also=(exits.NOT_FOUND, exits.CONFLICT),
    examples=(
        "haulout forget 3f9k2m1a",
        """haulout forget --filter '{"session": "s-42"}' --dry-run""",
        'haulout forget --all --namespace "trial/**" --level hidden --yes',
    ),
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_option
@click.option("--all", "everything", is_flag=True, help="Everything, or all of --namespace.")
@click.option(
    "--namespace", "-n", metavar="NAME", help="Limits --filter or --all to it or a subtree."
)
@click.option(
    "--level",
    type=click.Choice(["hidden", "destroyed", "everywhere"]),
    default="destroyed",
    show_default=True,
    help="How far it goes.",
)
@click.option("--op-id", metavar="ID", help="Makes the command safe to repeat: it acts once.")
@click.option("--dry-run", is_flag=True, help="Show what would go, and stop.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(
    session: Session,
    ids: tuple[str, ...],
    conditions: dict[str, Any] | None,
    everything: bool,
    namespace: str | None,
    level: str,
    op_id: str | None,
    dry_run: bool,
    yes: bool,
) -> int | None:
    """Forget memories, with all their versions, and give a receipt.

    ID is a memory's ID, or at least 6 characters of its beginning. `hidden` can be undone.
    `destroyed` takes keys, ciphertext and index entries from every live copy; `everywhere`
    from every store as well. Neither of these comes back.
    """
    from haulout.operations import Forget

    _require_one(ids, conditions, everything=everything, namespace=namespace)
    meant: dict[str, Any] = _EVERYTHING if everything else conditions or {}
    with session.opened() as vault:
        target: dict[str, Any] | list[str] = meant
        if ids:
            target = [memory_id(session, vault, one) for one in ids]
        if dry_run or not yes:
            found = _found(session, vault, target, namespace)
            if dry_run:
                answer = {"would_forget": [memory.id for memory in found], "level": level}
                session.answer(answer, lambda: _preview(found, "would be forgotten"))
                return None
            _refuse_without_terminal(session)
            _preview(found, "would be forgotten")
            if not found:
                return None
            what = screen.counted(len(found), "memory")
            if not click.confirm(_QUESTIONS[level].format(what), err=True):
                screen.note("Nothing was forgotten.")
                return exits.FAILED
            target = [memory.id for memory in found]  # what was shown, and no more
        with session.progress("Erasing"):
            receipt = session.run(
                vault,
                Forget(
                    target=target,
                    level=level,  # pyright: ignore[reportArgumentType] click checked it
                    namespace=namespace if isinstance(target, dict) else None,
                    op_id=op_id,
                ),
            )
    session.answer(receipt, lambda: _tell(receipt))
    return None


def _require_one(
    ids: tuple[str, ...],
    conditions: dict[str, Any] | None,
    *,
    everything: bool,
    namespace: str | None,
) -> None:
    if bool(ids) + (conditions is not None) + everything != 1:
        message = "Give IDs, or --filter, or --all: one of the three."
        raise click.UsageError(message)
    if ids and namespace:
        message = "--namespace goes with --filter or --all; an ID needs none."
        raise click.UsageError(message)
    if conditions is not None and _says_nothing(conditions):
        message = "This filter holds for every memory."
        raise InputError(message, hint="If you mean all of them, say --all.")


def _says_nothing(conditions: Any) -> bool:
    """Whether no field is named in a filter, however deep."""
    if isinstance(conditions, list):
        return all(_says_nothing(one) for one in conditions)  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(conditions, dict):
        return False
    return all(
        name in {"AND", "OR", "NOT"} and _says_nothing(inner)
        for name, inner in conditions.items()  # pyright: ignore[reportUnknownVariableType]
    )


def _refuse_without_terminal(session: Session) -> None:
    if session.json or not screen.can_ask():
        message = "There is no terminal to ask in."
        raise click.UsageError(message + " Look with --dry-run, then say --yes.")


def _found(
    session: Session, vault: Vault, target: dict[str, Any] | list[str], namespace: str | None
) -> list[Memory]:
    from haulout.operations import Get

    if isinstance(target, list):
        return [session.run(vault, Get(id=one)) for one in target]
    return every_memory(session, vault, namespace=namespace, conditions=target)


def _preview(found: list[Memory], what: str) -> None:
    if not found:
        screen.note("No memory is meant by this.")
        return
    screen.table(
        _COLUMNS,
        (
            (memory.id, screen.day(screen.when(memory)), memory.namespace, memory.text)
            for memory in (found[:_SHOWN] if screen.on_terminal() else found)
        ),
    )
    more = len(found) - _SHOWN
    if screen.on_terminal():
        if more > 0:
            screen.say(f"... and {more:,} more", dim=True)
        screen.say(f"{screen.counted(len(found), 'memory')} {what}.")


def _tell(receipt: Receipt) -> None:
    what = screen.counted(len(receipt.memories), "memory")
    stores = " and ".join("this disk" if one == "local" else one for one in receipt.stores)
    if not receipt.memories:
        screen.say("No memory was meant by this; nothing was forgotten.")
        return
    if receipt.level == "hidden":
        screen.say(f"Hidden: {what}. Nothing was erased.")
        screen.say(f"To bring back: haulout undo {receipt.op_id}")
        return
    screen.say(f"Erased: {what}, with all versions, from {stores}.", bold=True)
    screen.say("Gone are the words, who said them and when, their keys and their index entries.")
    if receipt.pending:
        for pending in receipt.pending:
            screen.say(f"Still pending: {pending}.", fg="yellow")
    else:
        screen.say("Nothing is pending: free pages and the write-ahead log are cleared, too.")
    screen.say("Backups and exports made before are files of yours, and still hold it.", dim=True)
    screen.say(f"Receipt {receipt.op_id}, {screen.minute(receipt.recorded_at)}", dim=True)
