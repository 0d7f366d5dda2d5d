"""A client's file with our entry, and without it: bytes in, bytes out.

Whatever is made is compared with what it was made of: outside our entry both say the same, or
nothing is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from haulout.errors import InputError
from haulout.integrations.clients import jsonc, toml
from haulout.integrations.clients.position import BOM, problem
from haulout.integrations.clients.table import Client

Fields: TypeAlias = dict[str, "str | list[str]"]

_ELSEWHERE: Final = {"url", "httpUrl", "serverUrl"}
"""Fields of an entry that is no program on this machine."""


@dataclass(frozen=True, slots=True)
class Undone:
    """A file without our entry.

    Attributes:
        content: the bytes; None says that there was no file.
        how: ``restored`` to what it was, byte for byte; ``removed`` from a file that has changed
            since; or it was ``absent``.
        used: the backup that was restored, as its place in the list of them.
    """

    content: bytes | None
    how: Literal["restored", "removed", "absent"]
    used: int | None = None


def entry(client: Client, content: bytes | None) -> Any:
    """What stands under our name in a file, or None.

    Raises:
        InputError: the file cannot be read; names line and column.
    """
    return _entry(client, _decoded(content or b""))


def is_ours(client: Client, found: Any) -> bool:
    """Whether an entry is one that connecting wrote, in this version or another."""
    fields = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    arguments = fields.get("args")
    if not isinstance(arguments, list):
        return False
    words = cast("list[Any]", arguments)
    wanted = ["mcp", "--app", client.name]
    return any(words[n : n + 3] == wanted for n in range(len(words)))


def says(found: Any, fields: Fields) -> bool:
    """Whether an entry says what ours has to, whatever it says beside."""
    return isinstance(found, dict) and all(
        cast("dict[str, Any]", found).get(name) == value for name, value in fields.items()
    )


def fresh(client: Client, fields: Fields) -> str:
    """A file with our entry alone: what is made where there is none, and what a person pastes."""
    return _language(client).fresh(client.path, fields)


def connected(client: Client, content: bytes | None, fields: Fields) -> bytes:
    """A file with our entry as ``fields`` say; the same bytes where it says so already.

    Raises:
        InputError: the file cannot be read, by us or by its client; names line and column.
    """
    if content is None:
        return fresh(client, fields).encode()
    text = _decoded(content)
    _refuse_what_the_client_refuses(client, text)
    found = _entry(client, text)
    if isinstance(found, dict) and _ELSEWHERE & cast("dict[str, Any]", found).keys():
        left = _language(client).remove(text, client.path)
        made = _language(client).put(left, client.path, fields)
        if "\r\n" in text and "\n" not in left:  # no line is left to take the ending from
            made = made.replace("\n", "\r\n")
    else:
        made = _language(client).put(text, client.path, fields)
    _compare(client, text, made)
    return made.encode()


def undone(client: Client, content: bytes | None, backups: Sequence[bytes]) -> Undone:
    """A file as it was before it was connected, or else without our entry.

    Args:
        client, content: the file as it is.
        backups: what was put aside when connecting, newest first.

    Raises:
        InputError: the file cannot be read; names line and column.
    """
    found = entry(client, content)
    if content is None or found is None:
        return Undone(content, "absent")
    if isinstance(found, dict):
        fields = cast("Fields", found)
        for n, backup in enumerate(backups):
            if _became(client, backup, fields) == content:
                return Undone(backup, "restored", n)
        if is_ours(client, fields) and fresh(client, fields).encode() == content:
            return Undone(None, "restored")
    text = _decoded(content)
    made = _language(client).remove(text, client.path)
    _compare(client, text, made)
    return Undone(made.encode(), "removed")


def _became(client: Client, backup: bytes, fields: Fields) -> bytes | None:
    """What a backup is with the entry of now; None where it was connected then, or is broken."""
    try:
        before = entry(client, backup)
        if is_ours(client, before):
            return None
        return connected(client, backup, fields)
    except InputError:
        return None


# --- the two languages ----------------------------------------------------------------------


def _language(client: Client) -> Any:
    return toml if client.form == "toml" else jsonc


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise problem(before, len(before), "a byte that is not UTF-8") from error


def _entry(client: Client, text: str) -> Any:
    language = _language(client)
    return language.entry(language.read(text), client.path)


def _refuse_what_the_client_refuses(client: Client, text: str) -> None:
    if client.form == "toml":
        return
    document = jsonc.read(text)
    if not client.comments and document.comment is not None:
        raise problem(text, document.comment, f"a comment, which {client.title} does not read")
    if not client.trailing_commas and document.comma is not None:
        what = f"a comma with nothing behind it, which {client.title} does not read"
        raise problem(text, document.comma, what)
    if not client.mark and text.startswith(BOM):
        what = (
            f"a byte order mark (the file's first three bytes), which {client.title} does not read"
        )
        raise problem(text, 0, what)


def _compare(client: Client, before: str, after: str) -> None:
    """Hold back a change that would touch anything but our entry."""
    was, now = (_outside(client, text) for text in (before, after))
    if was != now:
        raise InputError("the file is written in a form that cannot be changed in place")


def _outside(client: Client, text: str) -> str:
    """What a text says beside our entry, in one form; an empty table of servers says nothing."""
    language = _language(client)
    document = language.read(text)
    plain: dict[str, Any] = document if client.form == "toml" else document.plain
    servers = {name: value for name, value in plain.get(client.key, {}).items()
               if name != client.path[-1]}  # fmt: skip
    rest: Iterable[tuple[str, Any]] = (
        (name, value) for name, value in plain.items() if name != client.key
    )
    return repr((sorted(servers.items(), key=_first), sorted(rest, key=_first)))


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]
