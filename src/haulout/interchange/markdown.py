"""Markdown notes and agents' memory files: one file, a folder, or a ZIP of them.

Headings make sections. In a section, its prose is one memory and each item of a list is one,
with what is nested under it. A memory's text starts with the headings above it, since a line
such as "dark roast" means little without the "Coffee" it stands under.

Dates come from the nearest of: a dated line, a dated heading, the front matter, the file's
name. There are no IDs: path, headings and words together identify a memory, so moving
sections about adds nothing, and an edited section is a new memory.
"""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime

from haulout.errors import InputError
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Member, Source, head, read
from haulout.interchange.fields import digest, label, labels, moment, sequence
from haulout.interchange.records import (
    FACT,
    NO_TEXT,
    NOTE,
    PREFERENCE,
    ImportedMemory,
    Portion,
)

NAME = "markdown"
FILE_BYTES_MAX = 16 * 1024 * 1024
FRONT_MATTER_LINES_MAX = 500
HEAD_BYTES = 64 * 1024
HEADING_PATH_MAX = 6
_INDENT_MAX = 3  # four columns and more are code, unless under an item
_BELOW_ALL_HEADINGS = 7  # a line all in bold, which Claude's memory uses for a heading

_SUFFIXES = (".md", ".markdown", ".mdc", ".mdx")
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|\Z)")
_BOLD_LINE = re.compile(r"\*\*([^*]{1,200})\*\*:?[ \t]*\Z")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*\Z")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"([ \t]{0,32})(?:[-*+]|\d{1,9}[.)])[ \t]+(?=\S)")
_TASK = re.compile(r"\[[ xX]\][ \t]+")
_DATED_LINE = re.compile(r"\[(\d{4}-\d{2}-\d{2})\][ \t]*(?:[-\u2013\u2014:][ \t]*)?(?=\S)")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})\Z")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DATE_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_.]?(0[1-9]|1[0-2])[-_.]?([0-3]\d)(?!\d)")
_KEY = re.compile(r"([A-Za-z_][\w .-]{0,60}?)[ \t]*:(?:[ \t]+(.*)|[ \t]*)\Z")

_TIME_KEYS = ("date", "created", "created_at", "timestamp", "modified", "updated", "updated_at")
_KIND_BY_TYPE = {"user": FACT, "feedback": PREFERENCE, "project": NOTE, "reference": NOTE}
_MEMORY_FILES = frozenset(("memory.md", "user.md", "memory_summary.md"))
_INSTRUCTION_FILES = frozenset(
    (
        "agents.md", "agents.override.md", "claude.local.md", "claude.md",
        "copilot-instructions.md", "gemini.md", "skill.md",
    )
)  # fmt: skip
_INSTRUCTION_SUFFIXES = (".mdc", ".instructions.md")
_RULES_FOLDER = re.compile(r"(?:(?:.*/)?\.(?:claude|cursor)/)?rules/")
_PREFERENCES = re.compile(r"\bpreferences?\b", re.IGNORECASE)
# An agent's memory goes by the folder it is the memory of, from wherever it is imported.
_AGENT_MEMORY = re.compile(r"(?:.*?/)?([^/]+/(?:memory|agent-memory)/.+|memories/.+)\Z")
_LINK_TO_FILE = re.compile(r"(?:\*\*)?\[[^\]\n]{0,200}\]\(([^()\s]{1,255}\.md)\)")
_IMPORTS_ONLY = re.compile(r"@[\w~./-]+(?:\s+@[\w~./-]+)*\Z")

A_LINK = "a link to a file that is read itself"
RAW_MATERIAL = "raw material of the MEMORY.md beside it"


@dataclass(frozen=True, slots=True)
class Section:
    """One memory's worth of a document."""

    text: str
    headings: tuple[str, ...]
    line: int
    date: datetime | None = None
    words: str = ""  # the text without the headings


def recognise(source: Source) -> str:
    if source.kind == "file":
        return "Markdown file" if _looks_like_markdown(source, source.members[0]) else ""
    members = [member for member in _markdown_members(source) if _is_text(source, member)]
    files = f"{len(members)} file{'s' * (len(members) > 1)}"
    return f"Markdown {source.kind} ({files})" if members else ""


def read_all(source: Source) -> Generator[Portion, None, None]:
    yield from read_files(
        source, source.members if source.kind == "file" else _markdown_members(source)
    )


def read_files(source: Source, members: Sequence[Member]) -> Generator[Portion, None, None]:
    """Read these members of a source as Markdown, whichever form the source is of."""
    names = frozenset(member.name for member in members)
    for member in members:
        portion = Portion(label(member.name))
        try:
            content = read(source, member, FILE_BYTES_MAX)
        except InputError as error:
            portion.problem("", error.message)
        else:
            _read_file(_File(source, member, names), content, portion)
        yield portion


class _File:
    """What a file's place says about it: its name, its path, and the files read with it."""

    def __init__(self, source: Source, member: Member, names: frozenset[str]) -> None:
        self.name = member.name.rsplit("/", 1)[-1]
        self._folder = member.name[: -len(self.name)]
        self._names = names
        whole = f"{source.name}/{member.name}" if source.kind == "folder" else member.name
        agents = _AGENT_MEMORY.match(whole)
        self.path = agents.group(1) if agents else member.name
        lower = self.name.lower()
        self.is_memory = lower in _MEMORY_FILES
        self.is_instructions = (
            lower in _INSTRUCTION_FILES
            or lower.endswith(_INSTRUCTION_SUFFIXES)
            or _RULES_FOLDER.match(whole) is not None
        )

    def reason_to_leave(self, section: Section) -> str:
        """Why a section says nothing of its own; "" when it does."""
        if self.name == "MEMORY.md":
            linked = _LINK_TO_FILE.match(section.words)
            if linked and posixpath.normpath(self._folder + linked.group(1)) in self._names:
                return A_LINK
        if self.name == "raw_memories.md" and f"{self._folder}MEMORY.md" in self._names:
            return RAW_MATERIAL
        if self.is_instructions and _IMPORTS_ONLY.match(section.words):
            return A_LINK
        return ""


def _markdown_members(source: Source) -> list[Member]:
    """Folders hold much else: here the suffix chooses, so that no program text is taken in."""
    return [member for member in source.members if member.name.lower().endswith(_SUFFIXES)]


def _is_text(source: Source, member: Member) -> bool:
    try:
        return b"\x00" not in head(source, member, 4096)
    except InputError:
        return False


def _looks_like_markdown(source: Source, member: Member) -> bool:
    """A lone file counts as Markdown by a mark of it, not by being text."""
    try:
        content = head(source, member, HEAD_BYTES)
    except InputError:
        return False
    if b"\x00" in content:
        return False
    lines = content.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()
    if lines and lines[0].rstrip() == "---" and "---" in (line.rstrip() for line in lines[1:]):
        return True
    marks = (_HEADING, _ITEM, _DATED_LINE)
    return any(mark.match(line) for line in lines for mark in marks)


def decoded(content: bytes, portion: Portion) -> str | None:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\x00" in content:
        portion.problem("", "not text")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        portion.problem(f"byte {error.start}", "not UTF-8; what does not decode is replaced")
        return content.decode("utf-8-sig", "replace")


def _read_file(file: _File, content: bytes, portion: Portion) -> None:
    words = decoded(content, portion)
    if words is None:
        return
    front, body, first_line = front_matter(words)
    date = next((found for key in _TIME_KEYS if (found := moment(front.get(key)))), None)
    date = date or _date_in_name(file.name)
    metadata: dict[str, object] = {"path": label(file.path)}
    for name, value in (("title", front.get("title") or front.get("name")),
                        ("description", front.get("description"))):  # fmt: skip
        if label(value):
            metadata[name] = label(value)
    found = sections(body, first_line)
    for section in found:
        if reason := file.reason_to_leave(section):
            portion.leave_out(reason)
            continue
        kind, tags = _kind_and_tags(file, front, section)
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:{digest(file.path, section.text)}",
                text=section.text,
                kind=kind,
                place=f"{portion.file}, line {section.line}",
                occurred_at=section.date or date,
                tags=tags,
                metadata=metadata,
                source=NAME,
            )
        )
    if not found:
        portion.leave_out(NO_TEXT)


def _kind_and_tags(
    file: _File, front: dict[str, object], section: Section
) -> tuple[str, tuple[str, ...]]:
    tags = labels(front.get("tags") or front.get("keywords"))
    written = front.get("metadata.type") or front.get("type")
    if isinstance(written, str) and written in _KIND_BY_TYPE:
        return _KIND_BY_TYPE[written], tags
    if file.is_instructions:
        return PREFERENCE, (*tags, "instructions")
    if file.is_memory and any(map(_PREFERENCES.search, section.headings)):
        return PREFERENCE, tags
    return (FACT if file.is_memory else NOTE), tags


def _date_in_name(name: str) -> datetime | None:
    found = _DATE_IN_NAME.search(name)
    return moment("-".join(found.groups())) if found else None


def front_matter(words: str) -> tuple[dict[str, object], str, int]:
    """The fields above the text, the text, and the number of its first line.

    Read are ``key: value``, lists as ``[a, b]`` or ``- a`` lines, and one level of nesting
    as "outer.inner": what notes and memory files use. The rest of YAML is passed over.
    """
    lines = words.splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}, words, 1
    ends = (place for place, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "..."))
    end = next(ends, None)
    if end is None or end > FRONT_MATTER_LINES_MAX:
        return {}, words, 1
    fields: dict[str, object] = {}
    outer = ""
    for line in lines[1:end]:
        stripped = line.strip()
        if stripped.startswith("- ") and outer:
            fields[outer] = [*sequence(fields.get(outer)), _scalar(stripped[2:])]
            continue
        found = _KEY.match(stripped)
        if found is None:
            continue
        key, value = found.group(1).lower(), (found.group(2) or "").strip()
        nested = line[:1].isspace() and outer
        name = f"{outer}.{key}" if nested else key
        if not nested:
            outer = key
        if value:
            fields[name] = _value(value)
    return fields, "\n".join(lines[end + 1 :]), end + 2


def _value(written: str) -> object:
    if written.startswith("[") and written.endswith("]"):
        return [_scalar(item) for item in written[1:-1].split(",")]
    return _scalar(written)


def _scalar(written: str) -> str:
    stripped = written.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'":
        return stripped[1:-1]
    return stripped


def sections(words: str, first_line: int = 1) -> list[Section]:
    """The memories in a document: prose under a heading, and items of a list, in order."""
    return _Splitter(first_line).split(words)


class _Splitter:
    """One pass over the lines of a document."""

    def __init__(self, first_line: int) -> None:
        self._number = first_line - 1
        self._headings: list[tuple[int, str]] = []
        self._block: list[str] = []
        self._block_line = 0
        self._in_item = False
        self._indent = 0  # of the item; what is indented more is nested under it
        self._fence = ""
        self._found: list[Section] = []

    def split(self, words: str) -> list[Section]:
        blanked = _COMMENT.sub(lambda found: "\n" * found.group().count("\n"), words)
        for line in blanked.splitlines():
            self._number += 1
            self._take(line)
        self._close()
        return self._found

    def _take(self, line: str) -> None:
        fence = _FENCE.match(line)
        if self._fence:
            self._append(line)
            if fence and line.strip().startswith(self._fence):
                self._fence = ""
            return
        is_item = self._is_item(line)
        at_margin = bool(line) and not line[0].isspace()
        if self._in_item and at_margin and not is_item and self._after_blank():
            self._close()  # back at the margin after an empty line: the list is over
        if fence:
            self._fence = fence.group(1)
            self._append(line)
            return
        heading = _HEADING.match(line)
        bold = _BOLD_LINE.match(line)
        if heading:
            self._close()
            self._head(len(heading.group(1)), line[heading.end() :].rstrip().rstrip("#"))
        elif bold and (not self._block or self._after_blank()):
            self._close()
            self._head(_BELOW_ALL_HEADINGS, bold.group(1))
        elif self._is_underline(line):
            title = self._block.pop()
            self._close()
            self._head(1 if "=" in line else 2, title)
        elif _RULE.match(line):
            self._close()
        elif is_item:
            self._close()
            self._in_item = True
            self._indent = _indent(line)
            self._append(line)
        else:
            self._append(line)

    def _is_underline(self, line: str) -> bool:
        """Whether the line makes a heading of the one line of prose above it."""
        block = self._block
        alone = bool(block) and bool(block[-1]) and not any(block[-2:-1])
        return alone and not self._in_item and bool(_UNDERLINE.match(line))

    def _is_item(self, line: str) -> bool:
        if _DATED_LINE.match(line):
            return True
        deepest = self._indent if self._in_item else _INDENT_MAX
        return bool(_ITEM.match(line)) and _indent(line) <= deepest

    def _after_blank(self) -> bool:
        return bool(self._block) and not self._block[-1].strip()

    def _append(self, line: str) -> None:
        if not self._block:
            if not line.strip():
                return
            self._block_line = self._number
        self._block.append(line.rstrip())

    def _head(self, level: int, title: str) -> None:
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        if label(title):
            self._headings.append((level, label(title)))

    def _close(self) -> None:
        words = "\n".join(self._block).strip("\n")
        in_item, self._block, self._in_item, self._fence = self._in_item, [], False, ""
        if in_item:
            item = _ITEM.match(words)
            words = words[item.end() :] if item else words
            words = _TASK.sub("", words, count=1) if _TASK.match(words) else words
        dated = _DATED_LINE.match(words) if in_item else None
        words = (words[dated.end() :] if dated else words).strip()
        if not words:
            return
        headings = tuple(title for _, title in self._headings)[-HEADING_PATH_MAX:]
        above = " > ".join(headings)
        date = moment(dated.group(1)) if dated else self._heading_date()
        text = f"{above}\n{words}" if above else words
        self._found.append(Section(text, headings, self._block_line, date, words))

    def _heading_date(self) -> datetime | None:
        for _, title in reversed(self._headings):
            if found := _date_in_name(title):
                return found
        return None


def _indent(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


ADAPTER = Adapter(
    name=NAME,
    understands="Markdown notes and memory files (a file, a folder or a ZIP of .md files)",
    recognise=recognise,
    read=read_all,
    round=3,
)
