"""What people type, turned into what operations take: times, filters, metadata, texts, IDs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeVar, cast

import click

from haulout.cli import exits
from haulout.cli.session import Session
from haulout.errors import ConflictError, InputError, LimitError

if TYPE_CHECKING:
    from haulout.log.memory import Memory
    from haulout.operations import Filter
    from haulout.vault import Vault

_ID_LENGTH = 26
_PAGE = 1000
_MOST_INPUT = 1024 * 1024

_Command = TypeVar("_Command", bound=Callable[..., Any])


# --- types of options -----------------------------------------------------------------------


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601. Without a zone, or as a date alone, it is read in the local one."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read it; say how a time without a zone was read, since the library takes none."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value).strip())
            if moment.utcoffset() is not None:
                return moment
            local = moment.astimezone()
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is not a time such as 2024-05-08, 2024-05-08T14:30 or"
                " 2024-05-08T14:30:00+02:00.",
                param,
                ctx,
            )
        if ctx is not None and not ctx.resilient_parsing:
            name = param.opts[0] if param else "The time"
            zone = local.tzname() or "local"
            ctx.ensure_object(Session).note(
                f"{name} {value} is read as {local.isoformat(timespec='minutes')} ({zone})."
            )
        return local


class JsonFilter(click.ParamType[dict[str, Any]]):
    """A filter: a JSON object, each key once."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """Read it; what the object says is the library's to judge."""
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
        try:
            found = json.loads(value, object_pairs_hook=_once, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            self.fail(f"this is not JSON ({error}).", param, ctx)
        if not isinstance(found, dict):
            self.fail('a filter is a JSON object, such as {"kind": "fact"}.', param, ctx)
        return cast("dict[str, Any]", found)


class Entry(click.ParamType[tuple[str, Any]]):
    """`key=value` for metadata; the value is JSON where it can be read so, else text."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Split and read it."""
        if isinstance(value, tuple):
            return cast("tuple[str, Any]", value)
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not key=value.", param, ctx)
        try:
            return key, json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return key, text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"{twice!r} stands there twice"
        raise ValueError(message)
    return found


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no number of JSON"
    raise ValueError(message)


MOMENT = Moment()
FILTER = JsonFilter()
ENTRY = Entry()
NEW_FILE = click.Path(path_type=Path, dir_okay=False)


# --- options that several verbs share -------------------------------------------------------


def _all(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def limits(command: _Command) -> _Command:
    """Add --limit-up and --limit-down: what stores may take of the line."""
    rate = click.IntRange(min=1)
    down = click.option(
        "--limit-down", type=rate, metavar="BYTES", help="Fetch no more than this a second."
    )
    up = click.option(
        "--limit-up", type=rate, metavar="BYTES", help="Send no more than this a second."
    )
    return up(down(command))


def content_options(tag_words: str) -> Callable[[_Command], _Command]:
    """The options that say what a memory is, beside its words."""
    return _all(
        click.option("--kind", metavar="WORD", help="note, fact, preference, document, ..."),
        click.option("--speaker", metavar="NAME", help="Who said it."),
        click.option("--session", "sitting", metavar="NAME", help="The conversation it is of."),
        click.option("--at", type=MOMENT, metavar="TIME", help="When it happened."),
        click.option("--valid-from", type=MOMENT, metavar="TIME", help="Since when it is true."),
        click.option("--valid-until", type=MOMENT, metavar="TIME", help="Up to when (exclusive)."),
        click.option("--tag", "tags", multiple=True, metavar="TAG", help=tag_words),
        click.option(
            "--meta",
            type=ENTRY,
            multiple=True,
            metavar="KEY=VALUE",
            help="Metadata; the value is JSON or text. Repeatable.",
        ),
        click.option("--source", metavar="TEXT", help="Where it comes from."),
        click.option(
            "--op-id", metavar="ID", help="Makes the command safe to repeat: it acts once."
        ),
    )


wait_option = click.option(
    "--wait",
    type=click.Choice(["local", "remote"]),
    default="local",
    show_default=True,
    help="For this disk, or for every store as well; exits with 7 where one lacks it.",
)
namespace_option = click.option(
    "--namespace", "-n", metavar="NAME", help="One namespace, or a subtree such as 'work/**'."
)
filter_option = click.option(
    "--filter", "conditions", type=FILTER, metavar="JSON", help="See docs/spec/filter.md."
)
tags_option = click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Only with this tag. Repeatable."
)


replace_option = click.option("--replace", is_flag=True, help="Write over a file that is there.")


def limit_option(usual: int) -> Callable[[_Command], _Command]:
    """`--limit`, 1 to 1,000."""
    return click.option(
        "--limit",
        "-l",
        type=click.IntRange(1, 1000),
        default=usual,
        show_default=True,
        help="At most so many.",
    )


def new_file(file: Path, *, replace: bool) -> str:
    """The path of a file to write, if none is there that the person may want to keep.

    Raises:
        ConflictError: one is there.
    """
    if file.exists() and not replace:
        message = f"{file} is there already."
        raise ConflictError(message, hint="Choose another name, or say --replace.")
    return str(file)


# --- texts and IDs --------------------------------------------------------------------------


def text_of(words: Sequence[str]) -> str | None:
    """The words given, or standard input for `-` and for a pipe; None where there is neither."""
    if list(words) == ["-"] or (not words and not sys.stdin.isatty()):
        return _standard_input()
    return " ".join(words) if words else None


def raw_input() -> BinaryIO:
    """Standard input without Python's buffer, for a thread that reads it.

    A buffer is locked while it waits for bytes; a program that Ctrl-C ends meanwhile finds the
    lock held as it closes its streams, and Python aborts instead of exiting.
    """
    stream = sys.stdin.buffer
    return getattr(stream, "raw", stream)


def _standard_input() -> str:
    data = sys.stdin.buffer.read(_MOST_INPUT + 3)  # and a line's end
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        if error.end < len(data) or len(data) <= _MOST_INPUT:
            message = f"Standard input is not UTF-8 (byte {error.start})."
            raise InputError(message) from error
        text = ""
    if len(data) > _MOST_INPUT + 2 or len(text.encode()) > _MOST_INPUT:
        message = f"Standard input has more than {_MOST_INPUT} bytes, the limit of one memory."
        raise LimitError(message, hint="`haulout import` takes files of any size.")
    return text


def reached(memory: Memory, wait: str) -> int:
    """The exit code of a write that was to reach so far."""
    return exits.OK if wait in {"local", memory.durability} else exits.STORAGE


def memory_id(session: Session, vault: Vault, given: str) -> str:
    """The ID that begins with what was given, which is all of one or at least 6 characters."""
    from haulout.operations import Resolve

    if len(given) >= _ID_LENGTH:
        return given  # the vault says what is wrong with it, if anything is
    return session.run(vault, Resolve(prefix=given))


def every_memory(
    session: Session,
    vault: Vault,
    *,
    namespace: str | None = None,
    conditions: Filter | None = None,
) -> list[Memory]:
    """All memories that a filter means, newest first, page by page."""
    from haulout.operations import List

    found: list[Memory] = []
    after: str | None = None
    while True:
        page = session.run(
            vault, List(namespace=namespace, filter=conditions, limit=_PAGE, after=after)
        )
        found += page.memories
        after = page.next
        if after is None:
            return found
