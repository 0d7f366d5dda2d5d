"""Codex's rollouts, in the three forms they have had, and the memories beside them.

- now: a line is ``{timestamp, type, payload}``; messages are ``response_item`` of type message;
- before: a line for the session (``id``, ``timestamp``, ``instructions``), then bare items;
- the first: one JSON document, ``{"session": ..., "items": [...]}``.

What was said stands once more in ``event_msg`` lines, which are left out, as is the traffic of
tools. Messages have no IDs: the session's, the time and the words identify one. Where no time
is told, which is so in the older forms, its place in the file does, since files only grow.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import datetime

from haulout.errors import InputError
from haulout.interchange import markdown
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Member, Source, head, read
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
from haulout.interchange.jsonstream import decode
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

NAME = "codex"
DOCUMENT_BYTES_MAX = 64 * 1024 * 1024

_LINE_TYPES = frozenset(
    ("compacted", "event_msg", "response_item", "session_meta", "turn_context", "world_state")
)
_TO_TOOLS = frozenset(
    (
        "computer_call", "custom_tool_call", "function_call", "image_generation_call",
        "local_shell_call", "mcp_tool_call", "tool_search_call", "web_search_call",
    )
)  # fmt: skip
_SESSION_IN_NAME = re.compile(r"rollout-.*?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl?\Z")
_MEMORY_FILE = re.compile(r"(?:.*/)?memories/.+\.md\Z|AGENTS(?:\.override)?\.md\Z")
_ROLLOUT_DOCUMENT = re.compile(r"(?:.*/)?rollout-[^/]*\.json\Z")


def _is_line(given: dict[str, object]) -> bool:
    if label(given.get("type"), 64) in _LINE_TYPES and is_mapping(given.get("payload")):
        return True
    return _is_header(given)


def _is_header(given: dict[str, object]) -> bool:
    """The first line of the form before: a session by itself."""
    told = isinstance(given.get("id"), str) and isinstance(given.get("timestamp"), str)
    return told and "type" not in given and ("instructions" in given or "git" in given)


def recognise(source: Source) -> str:
    if has_transcript(source, _is_line):
        return "Codex rollout" if source.kind == "file" else "Codex rollouts"
    return "Codex rollouts of the first form" if _documents(source) else ""


def _documents(source: Source) -> list[Member]:
    return [
        member
        for member in source.members
        if (source.kind == "file" or _ROLLOUT_DOCUMENT.match(member.name))
        and _is_document(source, member)
    ]


def _is_document(source: Source, member: Member) -> bool:
    try:
        start = head(source, member, 4096)
        if not re.match(rb'\s*\{\s*"session"\s*:\s*\{', start):
            return False
        given = mapping(decode(read(source, member, DOCUMENT_BYTES_MAX)))
    except InputError:
        return False
    return is_sequence(given.get("items")) and "id" in mapping(given.get("session"))


def read_all(source: Source) -> Generator[Portion, None, None]:
    for member in transcripts(source, _is_line):
        yield from read_objects(source, member, _Rollout(member.name).read)
    for member in _documents(source):
        yield _read_document(source, member)
    if source.kind != "file":
        memories = [member for member in source.members if _MEMORY_FILE.match(member.name)]
        yield from markdown.read_files(source, memories)


def _read_document(source: Source, member: Member) -> Portion:
    portion = Portion(label(member.name))
    try:
        given = mapping(decode(read(source, member, DOCUMENT_BYTES_MAX)))
    except InputError as error:
        portion.problem("", error.message)
        return portion
    rollout = _Rollout(member.name)
    rollout.begin(mapping(given.get("session")))
    for number, item in enumerate(sequence(given.get("items"))):
        rollout.read_item(number, mapping(item), None, portion)
    return portion


class _Rollout:
    """Reads the lines of one file."""

    def __init__(self, file_name: str) -> None:
        named = _SESSION_IN_NAME.search(file_name)
        self._session = named.group(1) if named else ""
        self._folder = ""
        self._model = ""
        self._known: datetime | None = None
        self._told = False  # of which session it is
        self._begun = False

    def begin(self, session: dict[str, object]) -> None:
        self._told = True
        self._session = label(session.get("id")) or self._session
        self._folder = label(session.get("cwd"))
        self._known = moment(session.get("timestamp")) or self._known

    def read(self, number: int, given: dict[str, object], portion: Portion) -> None:
        kind = label(given.get("type"), 64)
        payload = mapping(given.get("payload"))
        if kind == "session_meta" or _is_header(given):
            # A session that was forked holds its origin's line too; its own comes first.
            if not self._told:
                self.begin(payload or given)
            portion.leave_out("not speech: session_meta")
        elif kind == "response_item":
            self.read_item(number, payload, moment(given.get("timestamp")), portion)
        elif kind in _LINE_TYPES:
            if kind == "turn_context":
                self._model = label(payload.get("model"))
            portion.leave_out(f"not speech: {kind}")
        elif given.get("record_type") == "state":
            portion.leave_out("not speech: state")
        else:
            self.read_item(number, given, moment(given.get("timestamp")), portion)

    def read_item(
        self, number: int, item: dict[str, object], own: datetime | None, portion: Portion
    ) -> None:
        self._known = own or self._known
        kind = label(item.get("type"), 64)
        role = label(item.get("role"), 64)
        if kind != "message":
            portion.leave_out(_reason_for(kind, portion))
            return
        if role not in ("user", "assistant"):
            known = role in ("developer", "system", "tool")
            portion.leave_out(f"by the {role}" if known else NOT_UNDERSTOOD)
            if not known:
                portion.not_understood[f"role: {role}"] += 1
            return
        words, held = _speech(role, item.get("content"), portion)
        if not words:
            portion.leave_out(BY_THE_PROGRAM if held else NO_TEXT)
            return
        told = own.isoformat() if own else f"at {number}"
        metadata: dict[str, object] = {"folder": self._folder} if self._folder else {}
        if self._model and role == "assistant":
            metadata["model"] = self._model
        portion.conversations += not self._begun
        self._begun = True
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:{identity(self._session, digest(role, words, told))}",
                text=words,
                kind=TURN,
                place=f"{portion.file}, line {number}",
                speaker=role,
                session=f"{NAME}:{identity(self._session)}" if self._session else None,
                occurred_at=self._known,
                metadata=metadata,
                source=NAME,
                time_inferred=own is None and self._known is not None,
            )
        )


def _reason_for(kind: str, portion: Portion) -> str:
    if kind in _TO_TOOLS:
        return TO_A_TOOL
    if kind.endswith(("_call_output", "_tool_output", "_search_output")):
        return BY_THE_TOOL
    if kind in ("reasoning", "ghost_snapshot", "compaction", "other"):
        return f"not speech: {kind}"
    portion.not_understood[f"item type: {kind}"] += 1
    return NOT_UNDERSTOOD


def _speech(role: str, content: object, portion: Portion) -> tuple[str, bool]:
    """The words of a message, and whether it held any before the program's were taken out."""
    parts = [text(content)] if isinstance(content, str) else []
    for block in map(mapping, sequence(content)):
        block_type = label(block.get("type"), 64)
        if block_type in ("input_text", "output_text", "text"):
            parts.append(text(block.get("text")))
        elif block_type in ("input_image", "input_file", "refusal"):
            portion.parts_dropped[block_type] += 1
        else:
            portion.not_understood[f"block type: {block_type}"] += 1
    held = any(part.strip() for part in parts)
    if role == "user":
        parts = [spoken(part) for part in parts]
    return "\n\n".join(part for part in parts if part.strip()).strip(), held


ADAPTER = Adapter(
    name=NAME,
    understands="Codex rollouts (a file, or a sessions folder with the memories beside it)",
    recognise=recognise,
    read=read_all,
)
