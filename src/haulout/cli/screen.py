"""What is printed, and how: tables for a person, lines for a pipe, JSON for a program.

Memories hold other people's words. Nothing of them reaches a terminal as a command to it:
control characters and marks that turn the direction of writing are shown as symbols.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

import click

if TYPE_CHECKING:
    from rich.console import Console

    from haulout.log.memory import Attachment, Memory

Report: TypeAlias = Callable[[int, int | None], None]
ProgressContext: TypeAlias = AbstractContextManager[Report | None]

ID_SHOWN = 8
_MOST_CUT = 1000  # characters; no terminal shows more of them on a line
_KEPT = "\n\t"
_ZERO_WIDTH_JOINERS = "\u200c\u200d"  # they shape words and emoji, and turn nothing round


def coloured(stream: TextIO) -> bool:
    """Whether colours are welcome there."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def visible(text: str) -> str:
    """The text with every character that could act on a terminal made visible instead."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character in _KEPT or character in _ZERO_WIDTH_JOINERS
        else _symbol(character)
        if unicodedata.category(character) in {"Cc", "Cf", "Cs"}
        else character
        for character in text
    )


def _symbol(character: str) -> str:
    code = ord(character)
    if code < 0x20:  # noqa: PLR2004 - the C0 controls have pictures
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"  # noqa: PLR2004 - DEL


def one_line(text: str) -> str:
    """The text on one line, visible."""
    return visible(" ".join(text.split()))


def on_terminal() -> bool:
    """Whether answers go to a person's terminal; a pipe gets plain lines."""
    return sys.stdout.isatty()


def can_ask() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def day(moment: datetime | None) -> str:
    """A time as its local date."""
    return f"{moment.astimezone():%Y-%m-%d}" if moment else ""


def minute(moment: datetime | None) -> str:
    """A time to the minute, local."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else ""


def second(moment: datetime) -> str:
    """A time to the second, local."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def ago(moment: datetime | None) -> str:
    """How long ago a time was, in the largest whole unit."""
    if moment is None:
        return "never"
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return f"{counted(seconds // length, unit, unit + 's')} ago"
    return "just now"


def when(memory: Memory) -> datetime:
    """The time a person means: when it happened, else when it was recorded."""
    return memory.occurred_at or memory.recorded_at


def place(path: object) -> str:
    """A path as people write it, with `~` for their home."""
    text, home = str(path), str(Path.home())
    inside = home != os.sep and (text == home or text.startswith(home + os.sep))
    return visible(f"~{text[len(home) :]}" if inside else text)


def place_of_url(url: str) -> str:
    """A store's URL as people write it: a folder of this machine as a path."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    return place(url2pathname(parts.path)) if parts.scheme == "file" else visible(url)


def size(count: int) -> str:
    """Bytes for a person."""
    amount, unit = float(count), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount < 1000:  # noqa: PLR2004
            break
        amount, unit = amount / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 memory`, `2,000 memories`."""
    if many is None:
        many = one[:-1] + "ies" if one.endswith("y") else one + "s"
    return f"{number:,} {one if number == 1 else many}"


# --- lines ----------------------------------------------------------------------------------


def console(*, error: bool = False) -> Console:
    """A rich console on standard output or standard error."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, emoji=False, markup=False)


def say(words: str, **style: Any) -> None:
    """Print a line, styled where colours are welcome. Values in it are made visible first."""
    colour = coloured(sys.stdout)
    click.echo(click.style(words, **style) if colour and style else words, color=colour)


def paragraphs(text: str) -> None:
    """Print someone's words, wrapped between words on a terminal."""
    if not sys.stdout.isatty():
        click.echo(visible(text))
        return
    from rich.text import Text

    console().print(Text(visible(text)))


def wrapped(words: str, indent: int, stream: TextIO) -> str:
    """Words that begin at a column, wrapped to it on a terminal."""
    if not stream.isatty():
        return words
    width = max(shutil.get_terminal_size().columns - indent, 20)
    lines = textwrap.wrap(words, width, break_long_words=False, break_on_hyphens=False)
    return f"\n{'':{indent}}".join(lines)


def note(words: str) -> None:
    """Print a line beside the answer, dim, on standard error."""
    colour = coloured(sys.stderr)
    click.echo(click.style(words, dim=True) if colour else words, err=True, color=colour)


def warn(words: str) -> None:
    """Print a warning on standard error."""
    colour = coloured(sys.stderr)
    head = click.style("Warning:", fg="yellow", bold=True) if colour else "Warning:"
    click.echo(f"{head} {wrapped(visible(words), 9, sys.stderr)}", err=True, color=colour)


def write_json(value: object) -> None:
    """One JSON document on standard output, in UTF-8 whatever the terminal's encoding."""
    import msgspec

    data = msgspec.json.encode(value, enc_hook=str)
    if sys.stdout.isatty():
        data = msgspec.json.format(data, indent=2)
    click.echo(data)


# --- tables ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, style, and how it behaves when space is short.

    Attributes:
        wraps: the one that takes the width that is left.
        short: on a terminal only so many characters are shown; a pipe gets all.
        most: and it is never wider than this there.
        cut: a long text is cut at the end of its line there, instead of wrapped.
    """

    title: str
    style: str = ""
    wraps: bool = False
    short: int | None = None
    most: int | None = None
    cut: bool = False
    right: bool = False


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    below: Sequence[str] = (),
) -> None:
    """Print a table: aligned and wrapped on a terminal, tab-separated lines in a pipe.

    Args:
        columns, rows: the cells, as they are.
        below: for each row what stands dim below its words; in a pipe one more field.
    """
    held = list(rows)
    if not sys.stdout.isatty():
        for n, row in enumerate(held):
            click.echo("\t".join(one_line(cell) for cell in (*row, *below[n : n + 1])))
        return
    from rich.table import Table
    from rich.text import Text

    # A column in which nothing stands only takes width away from the words.
    used = [n for n in range(len(columns)) if columns[n].wraps or any(row[n] for row in held)]
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in (columns[n] for n in used):
        shown.add_column(
            column.title,
            style=column.style,
            ratio=1 if column.wraps else None,
            max_width=column.most,
            no_wrap=not column.wraps,
            justify="right" if column.right else "left",
            overflow="fold" if column.wraps and not column.cut else "ellipsis",
        )
    for row, words in zip(held, below or [""] * len(held), strict=True):
        cells = [Text(_cell(columns[n], row[n]), no_wrap=columns[n].cut or None) for n in used]
        for n, cell in zip(used, cells, strict=True):
            if columns[n].wraps and words:
                cell.append(f"\n{visible(words)}", "dim")
        shown.add_row(*cells)
    console().print(shown)


def _cell(column: Column, text: str) -> str:
    if column.cut:
        text = " ".join(text[:_MOST_CUT].split())
    return visible(text[: column.short])


def memory(found: Memory) -> None:
    """Print one memory: its words, then all that is known of it."""
    if on_terminal():
        paragraphs(found.text)
        say("")
    rows = [] if on_terminal() else [("text", found.text)]
    rows += [
        ("id", found.id),
        ("namespace", found.namespace),
        ("kind", found.kind),
        ("speaker", found.speaker or ""),
        ("session", found.session or ""),
        ("occurred at", minute(found.occurred_at)),
        ("valid from", minute(found.valid_from)),
        ("valid until", minute(found.valid_until)),
        ("tags", ", ".join(found.tags)),
        ("metadata", json.dumps(found.metadata, ensure_ascii=False) if found.metadata else ""),
        ("source", found.source or ""),
        ("attachment", attached(found.attachment) if found.attachment else ""),
        ("passage of", _passage(found) if found.passage else ""),
        ("recorded at", second(found.recorded_at)),
        ("updated at", second(found.updated_at) if found.version > 1 else ""),
        ("version", str(found.version)),
        ("operation", found.op_id if found.op_id != found.id else ""),
    ]
    pairs(rows)


def attached(attachment: Attachment) -> str:
    """An attachment on one line: its name, what it is, how large, and how much of it is found."""
    told = f"{visible(attachment.name)} ({attachment.media_type}, {size(attachment.size)})"
    if not attachment.searchable:
        return told
    part = (
        "its words are"
        if attachment.searchable >= attachment.size
        else (f"the words of its first {size(attachment.searchable)} are")
    )
    return f"{told}; {part} recalled"


def _passage(found: Memory) -> str:
    assert found.passage
    return f"{found.passage.of}, from byte {found.passage.at:,}"


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Print names with their values; on a terminal aligned and wrapped."""
    held = [(name, value) for name, value in rows if value]
    if not sys.stdout.isatty():
        for name, value in held:
            click.echo(f"{name}\t{one_line(value)}")
        return
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in held:
        shown.add_row(name, Text(visible(value)))
    console().print(shown)


# --- progress -------------------------------------------------------------------------------


@contextmanager
def progress(words: str, *, unit: str, keep: bool, quiet: bool) -> Generator[Report | None]:
    """A progress bar for the block; gives None where nobody watches.

    Args:
        words: what is going on; ``unit``: of what so many are done, or "bytes".
        keep: leave the finished bar on the screen.
        quiet: show nothing at all.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        console=console(error=True),
        transient=not keep,
    )
    task = bar.add_task(words, total=None, told="")
    last = 0

    def report(done: int, total: int | None) -> None:
        nonlocal last
        last = done
        bar.update(task, completed=done, total=total, told=_told(done, total, unit))

    with bar:
        yield report
        if last:  # a total that was never known is known now
            bar.update(task, completed=last, total=last)
        else:  # there was nothing to do: no bar is left to tell of it
            bar.live.transient = True


def _told(done: int, total: int | None, unit: str) -> str:
    if unit == "bytes":
        return size(done) if total is None else f"{size(done)} of {size(total)}"
    told = f"{done:,}" if total is None or done == total else f"{done:,} of {total:,}"
    return f"{told} {unit}".strip()
