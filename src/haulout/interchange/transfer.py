"""Memory as text to paste: what assistants that take no files give, and take.

A block of code holds one item a line, ``[2026-01-02] - text``, under headings that name groups:

    ```
    ## Preferences
    [2026-01-02] - Short answers,
      and no emoji.
    ```

What is ours to write keeps a text whole whatever stands in it: every further line of a text is
indented by two spaces, so none can pass for a heading, an item or the block's end, and the
block's fence is longer than any run of backticks inside. What others write is read more freely:
bullets before items, bold headings, wrapped lines, talk around the block.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from haulout.errors import InputError
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Source, head, read
from haulout.interchange.fields import digest, label, moment
from haulout.interchange.markdown import decoded
from haulout.interchange.records import (
    FACT,
    NO_TEXT,
    NOT_UNDERSTOOD,
    NOTE,
    PREFERENCE,
    ImportedMemory,
    Portion,
)
from haulout.interchange.secrets import find_secrets
from haulout.vault.values import Memory

NAME = "transfer"
FILE_BYTES_MAX = 16 * 1024 * 1024
HEAD_BYTES = 64 * 1024
RAW_KINDS = frozenset(("turn", "document"))  # what was said and filed, rather than learned
UNDATED = "unknown"
_TALK_LINES_MAX = 6  # around the block, in a short answer
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class _Group:
    """A heading, and what its items are."""

    title: str
    named: re.Pattern[str]
    kind: str
    tags: tuple[str, ...] = ()


def _group(title: str, words: str, kind: str, *tags: str) -> _Group:
    return _Group(title, re.compile(rf"\b(?:{words})\b", re.IGNORECASE), kind, tags)


_GROUPS = (
    _group("Instructions", "instructions?", PREFERENCE, "instructions"),
    _group("Personal", "personal|about me", FACT),
    _group("Projects", "projects?", NOTE, "projects"),
    _group("Tools", "tools?", NOTE, "tools"),
    _group("Preferences", "preferences?", PREFERENCE),
    _group("Other", "others?|miscellaneous", NOTE),
)
_OTHER = _GROUPS[-1]
_GROUP_OF_TAG = {tag: group for group in _GROUPS for tag in group.tags} | {
    "project": _GROUPS[2],
    "tool": _GROUPS[3],
}
_GROUP_OF_KIND = {PREFERENCE: _GROUPS[4], FACT: _GROUPS[1]}

_FENCE = re.compile(r"(`{3,}|~{3,})[^`]*\Z")
_BULLET = r"(?:(?:[-*\u2022]|\d{1,5}[.)])[ \t]+)?"
_DATED = re.compile(rf"{_BULLET}\[([^\[\]\n]{{1,40}})\][ \t]*[-\u2013\u2014:][ \t]*(?=\S)")
_PLAIN = re.compile(r"(?:[-*\u2022]|\d{1,5}[.)])[ \t]+(?=\S)")
_MARKED_HEADING = re.compile(r"(?:#{1,6}[ \t]+(?P<a>.{1,80})|\*\*(?P<b>[^*]{1,80})\*\*:?[ \t]*)\Z")
_BARE_HEADING = re.compile(
    r"(?:\d[.)][ \t]+)?(?:instructions|personal|projects|tools|preferences|other):?[ \t]*\Z",
    re.IGNORECASE,
)
_RUN_OF_TICKS = re.compile("`+")
_WITHOUT_DATE = frozenset((UNDATED, "date unknown", "no date", "undated", "n/a", "none"))


# --- reading ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Item:
    """One memory as it stands there."""

    line: int
    group: _Group
    date: str
    lines: list[str]

    def text(self) -> str:
        return "\n".join(self.lines).strip()


@dataclass(slots=True)
class _Page:
    """What a text comes apart into."""

    items: list[_Item] = field(default_factory=list[_Item])
    dated: int = 0
    headings: int = 0
    unknown_headings: list[str] = field(default_factory=list[str])
    stray: int = 0  # lines in it that are none of these
    talk: int = 0  # lines around its blocks
    fenced: bool = False


def recognise(source: Source) -> str:
    if source.kind != "file":
        return ""
    try:
        content = head(source, source.members[0], HEAD_BYTES)
    except InputError:
        return ""
    words = decoded(content, Portion(""))
    if words is None or words.lstrip().startswith(("{", "<")):
        return ""
    page = _taken_apart(words)
    most_is_items = page.dated > 0 and page.stray <= page.dated
    if not most_is_items or len(page.unknown_headings) > page.headings:
        return ""
    if page.fenced:
        sure = page.talk <= max(_TALK_LINES_MAX, page.dated) and page.headings + page.dated > 1
    else:
        sure = page.headings > 0 or page.stray == 0
    return "pasted memory" if sure else ""


def read_all(source: Source) -> Generator[Portion, None, None]:
    member = source.members[0]
    portion = Portion(label(member.name))
    try:
        words = decoded(read(source, member, FILE_BYTES_MAX), portion)
    except InputError as error:
        portion.problem("", error.message)
        words = None
    if words is not None:
        _read_page(_taken_apart(words), portion)
    yield portion


def _read_page(page: _Page, portion: Portion) -> None:
    portion.parts_dropped["line around the block"] += page.talk
    for title in page.unknown_headings:
        portion.not_understood[f"group: {label(title, 64)}"] += 1
    if page.stray:
        portion.leave_out(NOT_UNDERSTOOD, page.stray)
        portion.not_understood["line that is no item"] += page.stray
    for item in page.items:
        text = item.text()
        when = moment(item.date)
        if when is None and item.date.lower() not in _WITHOUT_DATE:
            portion.not_understood["date of an item"] += 1
        if not text:
            portion.leave_out(NO_TEXT)
            continue
        # Assistants move items from group to group: words and date alone say which one it is.
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:{digest(text, when.date().isoformat() if when else '')}",
                text=text,
                kind=item.group.kind,
                place=f"{portion.file}, line {item.line}",
                occurred_at=when,
                tags=item.group.tags,
                source=NAME,
            )
        )


def _taken_apart(words: str) -> _Page:
    lines = [line.removesuffix("\r") for line in words.split("\n")]
    inside = _inside_fences(lines)
    outside = [line for line, fenced in zip(lines, inside, strict=True) if fenced is False]
    # A fence counts where all items stand within; else it is a line like another.
    fenced = any(inside) and not any(_DATED.match(line) for line in outside)
    reader = _Reader()
    for number, (line, within) in enumerate(zip(lines, inside, strict=True), 1):
        if within is None or (fenced and not within):
            reader.page.talk += within is False and bool(line.strip())
            reader.end()
        else:
            reader.take(number, line)
    reader.page.fenced = fenced
    return reader.page


def _inside_fences(lines: list[str]) -> list[bool | None]:
    """Of each line, whether it stands in a fenced block; None for the fences themselves."""
    found: list[bool | None] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if fence and line.startswith(fence) and not line.strip(fence[0] + " \t"):
            fence = ""
            found.append(None)
        elif not fence and mark:
            fence = mark.group(1)
            found.append(None)
        else:
            found.append(bool(fence))
    return found


class _Reader:
    """One pass over the lines that count."""

    def __init__(self) -> None:
        self.page = _Page()
        self._group = _OTHER
        self._grouped = False
        self._item: _Item | None = None
        self._blank = 0  # lines since the item's last

    def end(self) -> None:
        self._item, self._blank = None, 0

    def take(self, number: int, line: str) -> None:
        indented = line.startswith((_INDENT, "\t"))
        if not line.strip() and not (indented and self._item):
            self._blank += 1
        elif indented and self._item:
            self._go_on(line[1:] if line[0] == "\t" else line[len(_INDENT) :])
        elif dated := _DATED.match(line):
            self.page.dated += 1
            self._begin(number, dated.group(1).strip(), line[dated.end() :])
        elif heading := _heading(line):
            self._head(heading)
        elif self._grouped and (plain := _PLAIN.match(line)):
            self._begin(number, UNDATED, line[plain.end() :])
        elif self._item and not self._blank:
            self._go_on(line)  # a line that was wrapped
        else:
            self.page.stray += 1
            self.end()

    def _begin(self, number: int, date: str, words: str) -> None:
        self._item = _Item(number, self._group, date, [words])
        self._blank = 0
        self.page.items.append(self._item)

    def _go_on(self, words: str) -> None:
        assert self._item is not None
        self._item.lines.extend([""] * self._blank)
        self._item.lines.append(words)
        self._blank = 0

    def _head(self, title: str) -> None:
        self.end()
        known = next((group for group in _GROUPS if group.named.search(title)), None)
        self._group, self._grouped = known or _OTHER, True
        if known:
            self.page.headings += 1
        else:
            self.page.unknown_headings.append(title)


def _heading(line: str) -> str:
    marked = _MARKED_HEADING.match(line)
    if marked:
        return marked.group("a") or marked.group("b")
    return line if _BARE_HEADING.match(line) else ""


# --- writing ----------------------------------------------------------------------------


@dataclass(slots=True)
class Loss:
    """What a written form does not say of the memories it was made from.

    Attributes:
        memories: how many were written.
        left_out: how many were not, and why.
        not_told: what of those written has no place in the form, and of how many.
        secrets: kinds of secrets that stand in the texts, which are written all the same.
    """

    memories: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])
    not_told: Counter[str] = field(default_factory=Counter[str])
    secrets: Counter[str] = field(default_factory=Counter[str])

    def to_builtins(self) -> dict[str, object]:
        counts = (self.left_out, self.not_told, self.secrets)
        left_out, not_told, secrets = (dict(sorted(held.items())) for held in counts)
        return {
            "memories": self.memories,
            "left_out": left_out,
            "not_told": not_told,
            "secrets": secrets,
        }


def transfer_text(
    memories: Iterable[Memory], *, now: datetime, without: frozenset[str] = RAW_KINDS
) -> tuple[str, Loss]:
    """Memories as text to paste, oldest first in each group, and what the text does not say.

    Args:
        memories: newest versions, none of them hidden: what ``list`` gives.
        now: what is no longer true by then, or not yet, is left out.
        without: kinds that are left out.
    """
    loss = Loss()
    grouped: dict[str, list[tuple[datetime, str, str]]] = {}
    for memory in memories:
        reason = _reason_to_leave(memory, now, without)
        words = "" if reason else _written(memory.text)
        if not words:
            loss.left_out[reason or NO_TEXT] += 1
            continue
        group = _group_of(memory)
        loss.memories += 1
        _note_loss(memory, group, words, loss)
        when = (memory.occurred_at or memory.recorded_at).astimezone(UTC)
        grouped.setdefault(group.title, []).append((when, memory.id, words))
    lines: list[str] = []
    for group in _GROUPS:
        if held := sorted(grouped.get(group.title, ())):
            lines += [""] * bool(lines) + [f"## {group.title}"]
            lines += (f"[{when:%Y-%m-%d}] - {words}" for when, _, words in held)
    block = "\n".join(lines)
    longest = max((len(run) for run in _RUN_OF_TICKS.findall(block)), default=0)
    fence = "`" * max(3, longest + 1)
    number = f"{loss.memories} {'memory' if loss.memories == 1 else 'memories'}"
    return f"{fence}\n{block}\n{fence}\nThis is all of it: {number}.\n", loss


def _reason_to_leave(memory: Memory, now: datetime, without: frozenset[str]) -> str:
    if memory.kind in without:
        return f"of the kind {label(memory.kind, 64)}"
    if memory.valid_until is not None and memory.valid_until <= now:
        return "no longer true"
    if memory.valid_from is not None and memory.valid_from > now:
        return "not true yet"
    return ""


def _group_of(memory: Memory) -> _Group:
    tagged = (_GROUP_OF_TAG[tag] for tag in memory.tags if tag in _GROUP_OF_TAG)
    return next(tagged, None) or _GROUP_OF_KIND.get(memory.kind, _OTHER)


def _written(text: str) -> str:
    """A text's lines, the first to stand behind its date and the others indented."""
    plain = "".join(
        character if character in "\n\t" or unicodedata.category(character) != "Cc" else " "
        for character in text.replace("\r\n", "\n")
    )
    first, *rest = plain.strip().split("\n")
    return "\n".join([first, *(_INDENT + line if line else "" for line in rest)])


def _note_loss(memory: Memory, group: _Group, words: str, loss: Loss) -> None:
    """Count what of a memory the text has no place for."""
    told_time = memory.occurred_at
    midnight = (
        told_time is not None
        and told_time.astimezone(UTC).timetz().replace(tzinfo=None) == datetime.min.time()
    )
    read_back = words.replace(f"\n{_INDENT}", "\n")
    lost = {
        "kind": memory.kind != group.kind,
        "tags": bool(set(memory.tags) - set(group.tags)),
        "time of day": told_time is not None and not midnight,
        "that it has no time": told_time is None,
        "speaker": memory.speaker is not None,
        "session": memory.session is not None,
        "metadata": bool(memory.metadata),
        "source": memory.source is not None,
        "validity": memory.valid_from is not None or memory.valid_until is not None,
        "earlier versions": memory.version > 1,
        "namespace": memory.namespace != "default",
        "control characters, or space around the text": read_back != memory.text,
    }
    loss.not_told.update(name for name, is_lost in lost.items() if is_lost)
    loss.secrets.update(secret.kind for secret in find_secrets(memory.text))


ADAPTER = Adapter(
    name=NAME,
    understands='pasted memory (lines of "[date] - text" under headings; a file or a stream)',
    recognise=recognise,
    read=read_all,
    round=2,
)
