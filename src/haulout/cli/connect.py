"""`haulout connect`."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click

from haulout.cli import clientfiles, exits, screen
from haulout.cli.session import Session, wants_passphrase
from haulout.cli.verb import Verb
from haulout.errors import ConflictError, HauloutError, InputError, VaultMissingError
from haulout.integrations.clients import change
from haulout.integrations.clients.change import Fields
from haulout.integrations.clients.table import CLIENTS, Client, Scope

_TRIES: Final = 3
_LONGEST: Final = 300
_CONTEXT: Final = 3
_PASSING: Final = {".cache", "Caches", "archive-v0"}
_COLUMNS: Final = (
    screen.Column("Client", "bold"),
    screen.Column("Here"),
    screen.Column("Connected", "green"),
    screen.Column("File", "dim", wraps=True),
)


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of one file, made, shown or refused."""

    client: Client
    scope: Scope
    path: Path
    before: bytes | None
    after: bytes | None
    entry: Fields

    def lines(self) -> list[str]:
        """What changes, as a diff; of a file on one long line what comes or goes."""
        before, after = (
            (content or b"").decode(errors="replace").removeprefix("\ufeff").splitlines()
            for content in (self.before, self.after)
        )
        lines = list(difflib.unified_diff(before, after, n=_CONTEXT, lineterm=""))[2:]
        long = any(len(line) > _LONGEST for line in lines if line[:1] in "+-")
        if long and change.is_ours(self.client, self.entry):
            sign = "+" if change.entry(self.client, self.after) is not None else "-"
            fresh = change.fresh(self.client, self.entry)
            return [sign + line for line in fresh.splitlines()]
        return [line for line in lines if not line.startswith("@@")]

    def answer(self, **more: Any) -> dict[str, Any]:
        """As JSON."""
        return {
            "client": self.client.name,
            "scope": self.scope,
            "file": str(self.path),
            "entry": self.entry,
            "diff": self.lines(),
            **more,
        }


@click.command(
    "connect",
    cls=Verb,
    also=(exits.CONFLICT,),
    examples=(
        "haulout connect",
        "haulout connect claude-code",
        "haulout connect cursor --scope project",
        "haulout connect vscode --read-only",
        "haulout connect codex --print",
        "haulout connect claude-desktop --undo",
    ),
)
@click.argument("name", required=False, metavar="[CLIENT]", type=click.Choice(list(CLIENTS)))
@click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    help="For you everywhere, or for whoever opens this folder.  [default: user]",
)
@click.option("--read-only", is_flag=True, help="It may recall, and write nothing.")
@click.option("--print", "prints", is_flag=True, help="Print what to paste, and write nothing.")
@click.option("--dry-run", is_flag=True, help="Show the change, and stop.")
@click.option("--undo", is_flag=True, help="Put back what was there before.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(
    session: Session,
    name: str | None,
    scope: Scope | None,
    read_only: bool,
    prints: bool,
    dry_run: bool,
    undo: bool,
    yes: bool,
) -> int | None:
    """Give a client the vault: write into its configuration how it starts Haulout.

    CLIENT is claude-code, claude-desktop, cursor, codex, vscode, gemini or windsurf; without one,
    all are listed. You see the change and are asked first. Other servers and comments stay as
    they are, and a backup is kept beside the file.
    """
    if prints + dry_run + undo > 1 and not (dry_run and undo):
        message = "Give --print, --dry-run or --undo: one of the three."
        raise click.UsageError(message)
    if name is None:
        if scope or read_only or prints or dry_run or undo or yes:
            message = f"Say which client: {', '.join(CLIENTS)}."
            raise click.UsageError(message)
        _list(session)
        return None
    client = CLIENTS[name]
    chosen: Scope = scope or "user"
    if chosen not in client.files:
        message = f"{client.title} has no configuration of a project's own."
        raise click.UsageError(message)
    if undo:
        return _repeated(
            lambda sure: _undo(session, client, chosen, dry_run=dry_run, yes=sure), yes=yes
        )
    fields = _fields(session, client, read_only=read_only)
    if prints:
        _print(session, client, chosen, fields)
        return None
    _require_what_starts(session)
    return _repeated(
        lambda sure: _connect(session, client, chosen, fields, dry_run=dry_run, yes=sure), yes=yes
    )


# --- connecting -----------------------------------------------------------------------------


def _repeated(act: Callable[[bool], int | None], *, yes: bool) -> int | None:
    """Do it again where another program wrote the file meanwhile; what was agreed to holds."""
    for _ in range(_TRIES - 1):
        try:
            return act(yes)
        except ConflictError:
            yes = True
    return act(yes)


def _connect(
    session: Session, client: Client, scope: Scope, fields: Fields, *, dry_run: bool, yes: bool
) -> int | None:
    path = clientfiles.locate(client, scope)
    before = clientfiles.read(path)
    with _named(client, path):
        found = change.entry(client, before)
        after = change.connected(client, before, fields)
    made = _Change(client, scope, path, before, after, fields)
    if after == before:
        session.answer(made.answer(changed=False), lambda: _tell_same(made))
        return None
    if dry_run:
        session.answer(made.answer(changed=False), lambda: _show(made))
        return None
    if not yes and not _agreed(session, made, f"Connect {client.title}?"):
        return exits.FAILED
    kept = clientfiles.backups(path)
    backup = None
    if before is not None and not change.is_ours(client, found):
        # Of an entry of ours what was there before is kept already.
        backup = clientfiles.put_aside(path, before)
    try:
        clientfiles.replace(path, before, after, scope)
    except HauloutError:
        if backup and backup not in kept:
            backup.unlink()
        raise
    answer = made.answer(changed=True, backup=str(backup) if backup else None)
    session.answer(answer, lambda: _tell_connected(made, backup))
    _say_what_to_know(session, client, scope)
    return None


def _fields(session: Session, client: Client, *, read_only: bool = False) -> Fields:
    """Our entry: this Haulout, for this client, and the vault where it is not the usual one."""
    first, *words = clientfiles.program()
    words += ["mcp", "--app", client.name, *(["--read-only"] if read_only else [])]
    folder = Path(os.path.abspath(session.folder()))  # noqa: PTH100 - a link stays a link
    if folder.resolve() != (Path.home() / ".haulout").resolve():
        words += ["--vault", str(folder)]
    for word in (first, *words):
        if "$" in word:
            message = f"Clients would replace what stands behind the $ in {screen.place(word)}."
            raise InputError(message, hint="Move it to a folder without one.")
    return client.fields(first, words)


def _require_what_starts(session: Session) -> None:
    """See that what is written down would start: the server's package, and a vault."""
    from haulout.vault.opening import exists

    if find_spec("mcp") is None:
        message = "The package that speaks to clients (mcp) is not installed."
        raise HauloutError(message, hint="Run: pip install 'haulout[mcp]'")
    if not exists(session.folder()):
        raise VaultMissingError(f"There is no vault in {screen.place(session.folder())}.")


def _say_what_to_know(session: Session, client: Client, scope: Scope) -> None:
    """What may keep it from starting later, or is better not shared."""
    command = clientfiles.program()[0]
    within = Path(command).parts
    if _PASSING & set(within) or Path(command).is_relative_to(tempfile.gettempdir()):
        _warn(session, f"{screen.place(command)} is in a folder that is cleared now and then. "
              f"Install Haulout for good, and connect {client.title} again.")  # fmt: skip
    if wants_passphrase(session.folder()):
        _warn(session, f"The vault's key has a passphrase, and {client.title} cannot type one: "
              "it has to have HAULOUT_PASSPHRASE in its environment.")  # fmt: skip
    if scope == "project":
        session.note("The entry names a program on this machine: others who share the file have "
                     "their own.")  # fmt: skip


def _warn(session: Session, words: str) -> None:
    if not session.json:
        screen.warn(words)


# --- undoing --------------------------------------------------------------------------------


def _undo(
    session: Session, client: Client, scope: Scope, *, dry_run: bool, yes: bool
) -> int | None:
    path = clientfiles.locate(client, scope)
    before = clientfiles.read(path)
    aside = clientfiles.backups(path)
    with _named(client, path):
        found = change.entry(client, before)
        undone = change.undone(client, before, [clientfiles.read(one) or b"" for one in aside])
    made = _Change(client, scope, path, before, undone.content, found)
    if undone.how == "absent":
        words = f"{client.title} is not connected in {screen.place(path)}; nothing to undo."
        answer = made.answer(changed=False, how=undone.how)
        session.answer(answer, lambda: screen.say(words))
        return None
    if dry_run:
        answer = made.answer(changed=False, how=undone.how)
        session.answer(answer, lambda: _show(made))
        return None
    if not yes and not _agreed(session, made, f"Disconnect {client.title}?"):
        return exits.FAILED
    clientfiles.replace(path, before, undone.content, scope)
    if undone.used is not None:
        aside.pop(undone.used).unlink(missing_ok=True)
    answer = made.answer(changed=True, how=undone.how, backups=[str(one) for one in aside])
    session.answer(answer, lambda: _tell_undone(made, undone, aside))
    return None


# --- showing --------------------------------------------------------------------------------


class _named:  # noqa: N801 - reads as what it does
    """Names the file in an error about what stands in it."""

    def __init__(self, client: Client, path: Path) -> None:
        self.client, self.path = client, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            message = f"{screen.place(self.path)}, {error.message}."
            hint = (
                "Nothing was changed. Mend the file, or paste what "
                f"`haulout connect {self.client.name} --print` prints."
            )
            raise InputError(message, hint=hint) from error


def _agreed(session: Session, made: _Change, question: str) -> bool:
    if session.json or not screen.can_ask():
        message = "There is no terminal to ask in."
        raise click.UsageError(message + " Look with --dry-run, then say --yes.")
    _show(made)
    if click.confirm(question, default=True, err=True):
        return True
    screen.note("Nothing was changed.")
    return False


def _show(made: _Change) -> None:
    """The file, and what changes in it."""
    what = " (a new file)" if made.before is None else " (goes)" if made.after is None else ""
    screen.say(f"{screen.place(made.path)}{what}", bold=True)
    for line in made.lines():
        colour = {"+": "green", "-": "red"}.get(line[:1])
        cut = line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
        screen.say(screen.visible(cut), **({"fg": colour} if colour else {"dim": True}))


def _tell_same(made: _Change) -> None:
    screen.say(f"{made.client.title} is connected already, in {screen.place(made.path)}.")


def _tell_connected(made: _Change, backup: Path | None) -> None:
    client = made.client
    screen.say(f"{client.title} is connected, in {screen.place(made.path)}.", fg="green")
    if backup:
        screen.say(f"As it was: {screen.place(backup)}", dim=True)
    screen.say(client.then[made.scope])
    scope = " --scope project" if made.scope == "project" else ""
    screen.say(f"To undo: haulout connect {client.name}{scope} --undo")


def _tell_undone(made: _Change, undone: change.Undone, aside: list[Path]) -> None:
    client, file = made.client, screen.place(made.path)
    if undone.how == "restored":
        gone = undone.content is None
        words = f"{file} is gone, as before." if gone else f"{file} is what it was before."
        screen.say(f"{client.title} is not connected any more: {words}", fg="green")
        return
    screen.say(f"{client.title} is not connected any more.", fg="green")
    screen.say(f"{file} was changed since it was connected, so only Haulout's entry was removed.")
    for one in aside:
        screen.say(f"An older state of it is in {screen.place(one)}", dim=True)


def _print(session: Session, client: Client, scope: Scope, fields: Fields) -> None:
    path = clientfiles.locate(client, scope)
    text = change.fresh(client, fields)
    answer = {"client": client.name, "scope": scope, "file": str(path), "entry": fields,
              "configuration": text}  # fmt: skip
    session.answer(answer, lambda: click.echo(text, nl=False))
    session.note(f"It belongs in {screen.place(path)}. {client.then[scope]}")


# --- listing --------------------------------------------------------------------------------


def _list(session: Session) -> None:
    found = [_look_at(session, client) for client in CLIENTS.values()]

    def rows() -> list[tuple[str, str, str, str]]:
        return [
            (
                one["client"],
                "installed" if one["installed"] else "",
                ", ".join(
                    f"{file['scope']}{_STATES[file['state']]}"
                    for file in one["files"]
                    if file["state"] != "no"
                ),
                screen.place(_telling(one["files"])),
            )
            for one in found
        ]

    session.answer(found, lambda: screen.table(_COLUMNS, rows()))
    session.suggest("Connect one: haulout connect CLIENT")


def _telling(files: list[dict[str, str]]) -> str:
    """The file to look at: the first that says something, else the usual one."""
    return next((file["file"] for file in files if file["state"] != "no"), files[0]["file"])


_STATES: Final = {"yes": "", "other": " (another command)", "broken": " (not readable)"}


def _look_at(session: Session, client: Client) -> dict[str, Any]:
    files: list[dict[str, str]] = []
    for scope in client.files:
        path = clientfiles.locate(client, scope)
        if files and files[0]["file"] == str(path):  # the folder is the person's home
            continue
        files.append({"scope": scope, "file": str(path), "state": _state(session, client, path)})
    return {
        "client": client.name,
        "title": client.title,
        "installed": clientfiles.installed(client),
        "connected": any(file["state"] in {"yes", "other"} for file in files),
        "files": files,
    }


def _state(session: Session, client: Client, path: Path) -> str:
    try:
        found = change.entry(client, clientfiles.read(path))
    except HauloutError:
        return "broken"
    if found is None:
        return "no"
    ways = [_fields(session, client, read_only=read_only) for read_only in (False, True)]
    return "yes" if any(change.says(found, fields) for fields in ways) else "other"
