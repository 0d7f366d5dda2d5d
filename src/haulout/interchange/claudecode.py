"""Claude Code's transcripts, and the memory it keeps beside them.

A transcript is a file of lines, ``<session>.jsonl`` in the folder of a project. Turns are the
lines by the person and by Claude that hold words; most lines are something else: results of
tools, sidechains in which agents talk among themselves, lines the program writes in the
person's name. A session that was resumed begins with a copy of the one before, so a line's own
``uuid`` alone says which message it is.

A projects folder holds each project's memory as well, in ``<project>/memory/``. These files are
read as Markdown, with the identities that they have when their folder is imported by itself.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import datetime

from haulout.interchange import markdown
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Member, Source
from haulout.interchange.fields import (
    digest,
    identity,
    is_mapping,
    is_sequence,
    label,
    mapping,
    moment,
    sequence,
    text,
)
from haulout.interchange.linestream import read_objects
from haulout.interchange.records import NO_TEXT, NOT_UNDERSTOOD, TURN, ImportedMemory, Portion
from haulout.interchange.transcripts import (
    BY_THE_PROGRAM,
    BY_THE_TOOL,
    TO_A_TOOL,
    has_transcript,
    spoken,
    transcripts,
)

NAME = "claude-code"
BY_A_SUBAGENT = "by a subagent"

_NOT_SPEECH = frozenset(
    (
        "agent-name", "ai-title", "attachment", "custom-title", "file-history-snapshot",
        "last-prompt", "mode", "permission-mode", "pr-link", "progress", "queue-operation",
        "summary", "system", "tag",
    )
)  # fmt: skip
_BLOCKS_LEFT_OUT = ("document", "image", "redacted_thinking", "thinking", "tool_result", "tool_use")
_ASKED_TO_REMEMBER = re.compile(r"<user-memory-input>(.*?)</user-memory-input>\Z", re.DOTALL)
_MEMORY_FILE = re.compile(r"(?:.*/)?(?:memory|agent-memory)/.+\.md\Z")
_INSTRUCTIONS = re.compile(r"CLAUDE(?:\.local)?\.md\Z|rules/.+\.md\Z")


def _is_line(given: dict[str, object]) -> bool:
    kind = label(given.get("type"), 64)
    if kind == "summary":
        return isinstance(given.get("leafUuid"), str)
    known = kind in ("user", "assistant") and is_mapping(given.get("message"))
    return isinstance(given.get("sessionId"), str) and (known or kind in _NOT_SPEECH)


def recognise(source: Source) -> str:
    if not has_transcript(source, _is_line):
        return ""
    if source.kind == "file":
        return "Claude Code transcript"
    beside = len(_memory_members(source))
    return "Claude Code transcripts" + (f" and {beside} memory files" if beside else "")


def _memory_members(source: Source) -> list[Member]:
    """Each project's memory, and the person's own instructions at the top of ``.claude``."""
    return [
        member
        for member in source.members
        if _MEMORY_FILE.match(member.name) or _INSTRUCTIONS.match(member.name)
    ]


def read_all(source: Source) -> Generator[Portion, None, None]:
    for member in transcripts(source, _is_line):
        yield from read_objects(source, member, _Transcript().read)
    if source.kind != "file":
        yield from markdown.read_files(source, _memory_members(source))


class _Transcript:
    """Reads the lines of one file."""

    def __init__(self) -> None:
        self._known: datetime | None = None  # the newest time told so far
        self._begun = False

    def read(self, number: int, given: dict[str, object], portion: Portion) -> None:
        kind = label(given.get("type"), 64)
        if kind not in ("user", "assistant"):
            known = kind in _NOT_SPEECH
            portion.leave_out(f"not speech: {kind}" if known else NOT_UNDERSTOOD)
            if not known:
                portion.not_understood[f"line type: {kind}"] += 1
            return
        own = moment(given.get("timestamp"))
        self._known = own or self._known
        message = mapping(given.get("message"))
        reason = _reason_to_leave(given, message)
        words = "" if reason else _speech(kind, message, portion)
        if not words:
            portion.leave_out(reason or _why_silent(kind, message))
            return
        portion.conversations = 0 if self._begun else 1
        self._begun = True
        portion.take(self._turn(number, given, words, portion, own))

    def _turn(
        self,
        number: int,
        given: dict[str, object],
        words: str,
        portion: Portion,
        own: datetime | None,
    ) -> ImportedMemory:
        speaker = label(given.get("type"))
        session, line_id = label(given.get("sessionId")), label(given.get("uuid"))
        when = self._known
        if not line_id:
            told = own.isoformat() if own else f"line {number}"
            line_id = digest(session, speaker, words, told)
        metadata: dict[str, object] = {}
        if folder := label(given.get("cwd")):
            metadata["folder"] = folder
        if model := label(mapping(given.get("message")).get("model")):
            metadata["model"] = model
        return ImportedMemory(
            op_id=f"import:{NAME}:{identity(line_id)}",
            text=words,
            kind=TURN,
            place=f"{portion.file}, line {number}",
            speaker=speaker,
            session=f"{NAME}:{identity(session)}" if session else None,
            occurred_at=when,
            metadata=metadata,
            source=NAME,
            time_inferred=own is None and when is not None,
        )


def _reason_to_leave(given: dict[str, object], message: dict[str, object]) -> str:
    """Why a line is nothing that the two said to each other; "" when it may be."""
    content = message.get("content")
    rules = (
        (given.get("isSidechain") is True, BY_A_SUBAGENT),
        (given.get("isMeta") is True, BY_THE_PROGRAM),
        (given.get("isCompactSummary") is True, BY_THE_PROGRAM),
        (given.get("isApiErrorMessage") is True, BY_THE_PROGRAM),
        (message.get("model") == "<synthetic>", BY_THE_PROGRAM),
        ("toolUseResult" in given and not is_sequence(content), BY_THE_TOOL),
    )
    return next((reason for applies, reason in rules if applies), "")


def _speech(kind: str, message: dict[str, object], portion: Portion) -> str:
    """The words of a line; what tools and thoughts hold is counted by its type."""
    content = message.get("content")
    parts = [text(content)] if isinstance(content, str) else []
    for block in map(mapping, sequence(content)):
        block_type = label(block.get("type"), 64)
        if block_type == "text":
            parts.append(text(block.get("text")))
        elif block_type in _BLOCKS_LEFT_OUT:
            portion.parts_dropped[block_type] += 1
        else:
            portion.not_understood[f"block type: {block_type}"] += 1
    if kind == "user":
        parts = [_persons(part) for part in parts]
    return "\n\n".join(part for part in parts if part.strip()).strip()


def _persons(words: str) -> str:
    """What the person typed; "#" before a line asked to remember it, and stands in a tag."""
    remembered = _ASKED_TO_REMEMBER.match(words)
    return remembered.group(1).strip() if remembered else spoken(words)


def _why_silent(kind: str, message: dict[str, object]) -> str:
    content = message.get("content")
    types = {label(mapping(block).get("type"), 64) for block in sequence(content)}
    if "tool_result" in types:
        return BY_THE_TOOL
    if "tool_use" in types:
        return TO_A_TOOL
    if types and types <= {"thinking", "redacted_thinking"}:
        return "not speech: thinking"
    held = text(content) or any(text(mapping(block).get("text")) for block in sequence(content))
    return BY_THE_PROGRAM if kind == "user" and held else NO_TEXT


ADAPTER = Adapter(
    name=NAME,
    understands="Claude Code transcripts (a .jsonl file, or a projects folder with its memory)",
    recognise=recognise,
    read=read_all,
)
