"""Claude's data export, in the forms it has had.

- before 2026: conversations.json, users.json, perhaps projects.json; messages of text alone;
- February 2026: one ZIP with conversations.json, projects.json, memories.json;
- May and June: the same, with one file a project in projects/;
- September: a manifest that links to several ZIPs, with memories/<account>.json in one;
- October: memories hold ``memory_files`` as well, each with a path, content and a time.

Any of these as a ZIP, a ZIP of ZIPs, a folder of them, the manifest with its ZIPs beside it,
or one JSON file by itself. Accounts, logins and reflections are never read.
The rules are in docs/spec/import.md.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import unquote, urlsplit

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Member, Source, head, is_zip, read, unsafe_name
from haulout.interchange.conversations import (
    Said,
    abandoned,
    conversation_members,
    first_object,
    read_elements,
)
from haulout.interchange.fields import (
    digest,
    identity,
    is_sequence,
    label,
    mapping,
    moment,
    sequence,
    text,
)
from haulout.interchange.jsonstream import Element, decode
from haulout.interchange.markdown import sections
from haulout.interchange.records import (
    DOCUMENT,
    FACT,
    NO_TEXT,
    NOTE,
    OTHER_BRANCH,
    PREFERENCE,
    TURN,
    ImportedMemory,
    Portion,
)

NAME = "claude"
NESTED_ARCHIVES_MAX = 200
MANIFEST_BYTES_MAX = 4 * 1024 * 1024
DOCUMENT_FILE_BYTES_MAX = 64 * 1024 * 1024

STARTER_PROJECT = "an example by the maker"
UNSAFE_PATH = "its path is not safe"
SECOND_OF_PATH = "a second file of the same path"

_SENDERS = {"human": "user", "user": "user", "assistant": "assistant"}
_BLOCKS_LEFT_OUT = (
    "document",
    "flag",
    "image",
    "injected_prompt_block",
    "redacted_thinking",
    "server_tool_use",
    "thinking",
    "token_budget",
    "tool_result",
    "tool_use",
    "web_search_tool_result",
)
_RESTART = re.compile(
    rb'\{\s{0,64}"uuid"\s{0,8}:\s{0,8}"[^"\\]{0,100}"\s{0,8},\s{0,64}"name"\s{0,8}:'
)
_CATEGORY_ARCHIVE = re.compile(r"([a-z_]{1,40})-\d{1,6}(?: ?\(\d{1,3}\))?\.zip\Z")

_Role = Literal["conversations", "memory", "projects"]
_DOCUMENT_FILES: tuple[tuple[_Role, str, str], ...] = (
    ("memory", "memories.json", "memories"),
    ("projects", "projects.json", "projects"),
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One file of the export, in whichever archive it lies."""

    source: Source
    member: Member
    role: _Role
    nested: bool = False

    @property
    def name(self) -> str:
        return f"{self.source.name}/{self.member.name}" if self.nested else self.member.name


def recognise(source: Source) -> str:
    if source.kind == "file":
        if _linked_archives(source) is not None:
            return "Claude data export manifest"
        found = _role_of_object(first_object(source, source.members[0]))
        return f"Claude {found} file" if found else ""
    with ExitStack() as opened:
        parts = list(_parts(source, opened, None))
    return f"Claude data export ({len(parts)} file{'s' * (len(parts) > 1)})" if parts else ""


def read_all(source: Source) -> Generator[Portion, None, None]:
    faults = Portion(source.name)
    with ExitStack() as opened:
        parts = list(_parts(source, opened, faults))
        if not parts and source.kind == "file":
            raise ImportFormatError(
                f"{source.name} only links to the archives of the export.",
                hint="Download them (each link works once), put them beside it and try again.",
            )
        if faults.problems:
            yield faults
        for part in parts:
            if part.role == "conversations":
                yield from read_elements(
                    part.source, part.member, _RESTART, _read_conversation, part.name
                )
            else:
                yield _read_documents(part)


# --- finding the files ------------------------------------------------------------------


def _linked_archives(source: Source) -> set[str] | None:
    """The names of the ZIPs a manifest links to; None when the file is no manifest."""
    try:
        if not head(source, source.members[0], 16).lstrip().startswith(b"{"):
            return None
        content = head(source, source.members[0], MANIFEST_BYTES_MAX)
        if b'"data_files"' not in content:
            return None
        manifest = mapping(decode(content))
    except InputError:
        return None
    if not is_sequence(manifest.get("data_files")):
        return None
    linked: set[str] = set()
    for entry in sequence(manifest["data_files"]):
        values = list(mapping(entry).values()) or [entry]
        for value in values:
            path = _url_path(text(value))
            if path.endswith(".zip"):
                linked.add(path.rsplit("/", 1)[-1])
            elif re.fullmatch(r"[a-z_]{1,40}", path):
                linked.add(f"{path}-*")  # the category, for links whose path names no file
    return linked


def _url_path(value: str) -> str:
    try:
        return unquote(urlsplit(value).path)
    except ValueError:
        return ""


def _parts(source: Source, opened: ExitStack, faults: Portion | None) -> Iterator[_Part]:
    """Every file with a role; what cannot be opened is noted in ``faults``."""
    if source.kind != "file":
        yield from _parts_of_one(source)
        yield from _parts_of_nested(source, opened, faults)
        return
    linked = _linked_archives(source)
    if linked is None:
        found = _role_of_object(first_object(source, source.members[0]))
        if found:
            yield _Part(source, source.members[0], found)
        return

    def wanted(name: str) -> bool:
        category = _CATEGORY_ARCHIVE.match(name)
        return name in linked or (category is not None and f"{category.group(1)}-*" in linked)

    folder = opened.enter_context(source.beside(wanted))
    there = {member.name for member in folder.members}
    for name in sorted(linked):
        if faults is not None and name not in there and not name.endswith("-*"):
            faults.problem(label(name), "linked by the manifest, but not beside it")
    yield from _parts_of_nested(folder, opened, faults)


def _parts_of_nested(source: Source, opened: ExitStack, faults: Portion | None) -> Iterator[_Part]:
    names = [member for member in source.members if member.name.endswith(".zip")]
    for member in names[:NESTED_ARCHIVES_MAX]:
        try:
            if not is_zip(source, member):
                continue
            inner = opened.enter_context(source.inside(member))
        except InputError as error:
            if faults is not None:
                faults.problem(label(member.name), error.message)
            continue
        if faults is not None:
            faults.problems.extend(inner.problems)
        for part in _parts_of_one(inner):
            yield replace(part, nested=True)


def _parts_of_one(source: Source) -> Iterator[_Part]:
    for member in conversation_members(source):
        if _role_of_object(first_object(source, member)) == "conversations":
            yield _Part(source, member, "conversations")
    for member in source.members:
        path = member.name.split("/")
        if not path[-1].endswith(".json"):
            continue
        folder = path[-2] if len(path) > 1 else ""
        for role, single, folder_name in _DOCUMENT_FILES:
            named = path[-1] == single or folder == folder_name
            if named and _role_of_object(first_object(source, member)) == role:
                yield _Part(source, member, role)


def _role_of_object(found: dict[str, object]) -> _Role | None:
    if is_sequence(found.get("chat_messages")):
        return "conversations"
    if any(name in found for name in ("conversations_memory", "project_memories", "memory_files")):
        return "memory"
    if "uuid" in found and "name" in found and ("prompt_template" in found or "docs" in found):
        return "projects"
    return None


# --- conversations ----------------------------------------------------------------------


def _read_conversation(element: Element, portion: Portion) -> None:
    given = mapping(element.value)
    position = f"element {element.index}, byte {element.offset}"
    if not is_sequence(given.get("chat_messages")):
        portion.problem(position, "no messages in it")
        return
    messages = [mapping(message) for message in sequence(given.get("chat_messages"))]
    portion.conversations = 1
    own_id = label(given.get("uuid"))
    first_id = label(messages[0].get("uuid")) if messages else ""
    conversation = _Conversation(
        identity=identity(own_id) if own_id else "digest-" + digest("untitled", first_id),
        title=label(given.get("name")),
        place=f"{portion.file}, element {element.index}",
    )
    left_behind = abandoned(
        [
            Said(
                label(message.get("uuid")),
                label(message.get("parent_message_uuid")),
                moment(message.get("created_at")),
            )
            for message in messages
        ],
        label(given.get("current_leaf_message_uuid")),
    )
    known = moment(given.get("created_at"))
    for number, message in enumerate(messages):
        if number in left_behind:
            portion.leave_out(OTHER_BRANCH)
            continue
        own = moment(message.get("created_at"))
        known = own or known
        _read_message(conversation, number, message, (known, own is None), portion)


@dataclass(frozen=True, slots=True)
class _Conversation:
    identity: str
    title: str
    place: str


def _read_message(
    conversation: _Conversation,
    number: int,
    message: dict[str, object],
    time: tuple[datetime | None, bool],
    portion: Portion,
) -> None:
    when, inferred = time
    sender = label(message.get("sender")) or label(message.get("role"))
    speaker = _SENDERS.get(sender.lower())
    message_id = label(message.get("uuid"))
    words = _speech(message, portion)
    if not message_id:  # no ID: the place in the conversation and a digest of the words
        message_id = f"{number}-{digest(sender, words)}"
    base = ImportedMemory(
        op_id=f"import:{NAME}:{identity(conversation.identity, message_id)}",
        text=words,
        kind=TURN,
        place=f"{conversation.place}, message {message_id}",
        speaker=speaker,
        session=f"{NAME}:{conversation.identity}",
        occurred_at=when,
        metadata={"title": conversation.title} if conversation.title else {},
        source=NAME,
        time_inferred=inferred and when is not None,
    )
    if speaker is None:
        portion.not_understood[f"sender: {sender}"] += 1
        portion.leave_out("not a message")
    elif words:
        portion.take(base)
    else:
        portion.leave_out(NO_TEXT)
    portion.parts_dropped["file"] += len(sequence(message.get("files")))
    for place, given in enumerate(sequence(message.get("attachments"))):
        _read_attachment(base, place, mapping(given), portion)


def _speech(message: dict[str, object], portion: Portion) -> str:
    """The text blocks; what an agent thought, did or was told unseen is counted by its type."""
    blocks = sequence(message.get("content"))
    spoken: list[str] = []
    for block in map(mapping, blocks):
        kind = label(block.get("type"), 64)
        if kind == "text":
            spoken.append(text(block.get("text")))
        elif kind in _BLOCKS_LEFT_OUT:
            portion.parts_dropped[kind] += 1
        else:
            portion.not_understood[f"block type: {kind}"] += 1
    if not blocks:  # before blocks there was only this
        spoken.append(text(message.get("content")) or text(message.get("text")))
    return "\n\n".join(part for part in spoken if part.strip()).strip()


def _read_attachment(
    base: ImportedMemory, place: int, given: dict[str, object], portion: Portion
) -> None:
    """The text Claude took from an attached file. It has no ID: its words are its identity."""
    words = text(given.get("extracted_content")).strip()
    if not words:
        portion.leave_out("an attachment without text")
        return
    name = label(given.get("file_name"))
    metadata = dict(base.metadata) | ({"file_name": name} if name else {})
    portion.take(
        ImportedMemory(
            op_id=f"{base.op_id}/attachment-{digest(name, words)}",
            text=words,
            kind=DOCUMENT,
            place=f"{base.place}, attachment {place}",
            speaker=base.speaker,
            session=base.session,
            occurred_at=base.occurred_at,
            tags=("attachment",),
            metadata=metadata,
            source=NAME,
            time_inferred=base.time_inferred,
        )
    )


# --- memories and projects --------------------------------------------------------------


def _read_documents(part: _Part) -> Portion:
    portion = Portion(label(part.name))
    try:
        value = decode(read(part.source, part.member, DOCUMENT_FILE_BYTES_MAX))
    except InputError as error:
        portion.problem("", error.message)
        return portion
    given = sequence(value) if is_sequence(value) else [value]
    for held in map(mapping, given):
        if part.role == "memory":
            _read_memory(held, portion)
        else:
            _read_project(held, portion)
    return portion


def _read_memory(given: dict[str, object], portion: Portion) -> None:
    """What Claude remembers: one text, one text a project, and files. Sections become facts."""
    whole = text(given.get("conversations_memory"))
    _take_sections("conversations", whole, None, portion)
    for project, words in mapping(given.get("project_memories")).items():
        _take_sections(f"project {label(project)}", text(words), None, portion)
    passed: set[str] = set()
    for place, held in enumerate(map(mapping, sequence(given.get("memory_files")))):
        written = text(held.get("path"))
        path = written.lstrip("/")  # Claude's own memory tool roots its paths at /memories
        if unsafe_name(path):
            portion.leave_out(UNSAFE_PATH)
            portion.problem(f"memory file {place}", f"left out: {unsafe_name(path)}")
        elif path in passed:
            portion.leave_out(SECOND_OF_PATH)
            portion.problem(f"memory file {place}", f"left out: {SECOND_OF_PATH}")
        else:
            when = moment(held.get("updated_at"))
            _take_sections(label(path), text(held.get("content")), when, portion)
        passed.add(path)


def _take_sections(path: str, words: str, when: datetime | None, portion: Portion) -> None:
    """An unchanged section is the same memory in every export; a changed one is a new memory."""
    found = sections(words)
    for section in found:
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:memory/{digest(path, section.text)}",
                text=section.text,
                kind=FACT,
                place=f"{portion.file}, {path}, line {section.line}",
                occurred_at=when,
                tags=("saved-memory",),
                metadata={"path": path},
                source=NAME,
            )
        )
    if not found:
        portion.leave_out(NO_TEXT)


def _read_project(given: dict[str, object], portion: Portion) -> None:
    """A project's description, its instructions and its documents."""
    docs = [mapping(doc) for doc in sequence(given.get("docs"))]
    project_id, name = label(given.get("uuid")), label(given.get("name"))
    if given.get("is_starter_project") is True:
        portion.leave_out(STARTER_PROJECT, 2 + len(docs))
        return
    when = moment(given.get("created_at"))
    pieces: list[tuple[str, str, str, str, datetime | None]] = [
        ("description", NOTE, "", text(given.get("description")), when),
        ("instructions", PREFERENCE, "", text(given.get("prompt_template")), when),
    ]
    for doc in docs:
        words = text(doc.get("content"))
        file_name = label(doc.get("filename")) or label(doc.get("file_name"))
        doc_id = label(doc.get("uuid")) or digest(file_name, words)
        time = moment(doc.get("created_at"))
        pieces.append((doc_id, DOCUMENT, file_name, words, time))
    for piece_id, kind, file_name, words, time in pieces:
        if not words.strip():
            portion.leave_out(NO_TEXT)
            continue
        # Descriptions and instructions are edited in place: their words are part of who they are.
        edited = () if kind == DOCUMENT else (digest(words),)
        metadata: dict[str, object] = {"project": name} if name else {}
        if file_name:
            metadata["file_name"] = file_name
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:{identity('project', project_id, piece_id, *edited)}",
                text=words.strip(),
                kind=kind,
                place=f"{portion.file}, project {project_id}, {piece_id}",
                occurred_at=time,
                tags=("project",),
                metadata=metadata,
                source=NAME,
            )
        )


ADAPTER = Adapter(
    name=NAME,
    understands="Claude's data export (ZIP, folder of ZIPs, manifest, or one JSON file of it)",
    recognise=recognise,
    read=read_all,
)
