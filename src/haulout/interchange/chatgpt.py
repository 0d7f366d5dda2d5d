"""ChatGPT's data export: a ZIP, its unpacked folder, or ``conversations.json`` by itself.

A conversation is a tree of nodes. What the person last saw is the way from ``current_node``
up through the parents; every other branch was edited away or generated anew. On that way,
hidden messages, messages of weight 0, messages to a tool and messages by a tool or the
system are left out and counted. What ChatGPT itself remembered stands in some of these, and
becomes memories of its own: see ``_read_signal``. The rules are in docs/spec/import.md.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime

from haulout.errors import InputError
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Member, Source, read
from haulout.interchange.conversations import (
    conversation_members,
    first_object,
    read_elements,
)
from haulout.interchange.fields import (
    digest,
    identity,
    is_mapping,
    label,
    mapping,
    moment,
    sequence,
    text,
)
from haulout.interchange.jsonstream import Element, decode
from haulout.interchange.records import (
    FACT,
    NO_TEXT,
    NOT_UNDERSTOOD,
    OTHER_BRANCH,
    PREFERENCE,
    TURN,
    ImportedMemory,
    Portion,
)

NAME = "chatgpt"
MEMORY_FILE_BYTES_MAX = 16 * 1024 * 1024

HIDDEN = "hidden"
WEIGHT_0 = "weight 0"
DO_NOT_REMEMBER = "marked do not remember"
TO_A_TOOL = "sent to a tool"

_SPEECH = ("text", "multimodal_text")
_NOT_SPEECH = (
    "app_pairing_content",
    "citable_code_output",
    "code",
    "computer_output",
    "execution_output",
    "reasoning_recap",
    "sonic_webpage",
    "super_widget",
    "system_error",
    "system_message",
    "tether_browsing_code",
    "tether_browsing_display",
    "tether_quote",
    "thoughts",
)
_SPEAKERS = ("user", "assistant")
_RESTART = re.compile(
    rb'\{\s{0,64}"title"\s{0,8}:\s{0,8}(?:null|"(?:[^"\\]|\\.){0,2000}")\s{0,8},'
    rb'\s{0,64}"create_time"'
)
# References to search results, which only ChatGPT's own page can show.
_CITATION = re.compile("\ue200[^\ue200\ue201]{0,2000}\ue201")
_NUMBERED = re.compile(r"\s*\d{1,5}\.\s+(?:\[(\d{4}-\d{2}-\d{2})\]\.?\s*)?(.*)", re.DOTALL)
_QUOTED_PROFILE = re.compile(r"```(.+?)```", re.DOTALL)
_PREFERS = re.compile(
    r"\b(?:prefer|like|love|dislike|hate|want|enjoy|favou?rite|avoid)(?:s|d|ed|red)?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Conversation:
    identity: str
    title: str
    created: datetime | None
    place: str
    nodes: dict[str, object]


@dataclass(frozen=True, slots=True)
class _Turn:
    """One message on the way to the current node, with what its place in the tree tells."""

    node: str
    message: dict[str, object]
    when: datetime | None
    inferred: bool


def recognise(source: Source) -> str:
    members = _own_members(source)
    if not members:
        return ""
    if source.kind == "file":
        return "ChatGPT conversations file"
    return f"ChatGPT data export ({len(members)} conversation file{'s' * (len(members) > 1)})"


def _own_members(source: Source) -> list[Member]:
    return [
        member
        for member in conversation_members(source)
        if is_mapping(first_object(source, member).get("mapping"))
    ]


def read_all(source: Source) -> Generator[Portion, None, None]:
    for member in conversation_members(source):
        yield from read_elements(source, member, _RESTART, _read_conversation)
    for member in source.members:
        if source.kind != "file" and member.name.rsplit("/", 1)[-1] == "memory.json":
            yield _read_memory_file(source, member)


def _read_conversation(element: Element, portion: Portion) -> None:
    given = mapping(element.value)
    if not is_mapping(given.get("mapping")):
        portion.problem(f"element {element.index}, byte {element.offset}", "no message tree")
        return
    nodes = mapping(given.get("mapping"))
    own_id = label(given.get("conversation_id")) or label(given.get("id"))
    conversation = _Conversation(
        identity=identity(own_id) if own_id else _identity_by_roots(nodes),
        title=label(given.get("title")),
        created=moment(given.get("create_time")),
        place=f"{portion.file}, element {element.index}",
        nodes=nodes,
    )
    portion.conversations = 1
    messages = sum(1 for node in nodes.values() if mapping(mapping(node).get("message")))
    if given.get("is_do_not_remember") is True:
        portion.leave_out(DO_NOT_REMEMBER, messages)
        return
    turns = _current_turns(conversation, given.get("current_node"), portion)
    portion.leave_out(OTHER_BRANCH, messages - len(turns))
    for turn in turns:
        _read_message(conversation, turn, portion)


def _identity_by_roots(nodes: dict[str, object]) -> str:
    """For a conversation without an ID: its roots' names, which stay as it grows."""
    roots = sorted(name for name, node in nodes.items() if not mapping(node).get("parent"))
    return "digest-" + digest(*roots[:8])


def _current_turns(conversation: _Conversation, given: object, portion: Portion) -> list[_Turn]:
    """The messages from the root to the current node.

    A time that is missing is taken from the nearest message before, else from the
    conversation: both stay as they are in later exports, which a later time would not.
    """
    nodes = conversation.nodes
    current = given if isinstance(given, str) else ""
    if current not in nodes and nodes:
        current = _newest_node(nodes)
        portion.problem(conversation.place, "its current message is not told; the newest is taken")
    way: list[tuple[str, dict[str, object]]] = []
    passed: set[str] = set()
    while current in nodes and current not in passed:  # a parent may point into a circle
        passed.add(current)
        node = mapping(nodes[current])
        if message := mapping(node.get("message")):
            way.append((current, message))
        parent = node.get("parent")
        current = parent if isinstance(parent, str) else ""
    turns: list[_Turn] = []
    known = conversation.created
    for name, message in reversed(way):
        own = moment(message.get("create_time"))
        known = own or known
        turns.append(_Turn(name, message, known, own is None and known is not None))
    return turns


def _newest_node(nodes: dict[str, object]) -> str:
    def when(name: str) -> tuple[float, str]:
        found = moment(mapping(mapping(nodes[name]).get("message")).get("create_time"))
        return (found.timestamp() if found else 0.0, name)

    return max(nodes, key=when)


def _read_message(conversation: _Conversation, turn: _Turn, portion: Portion) -> None:
    if _read_signal(conversation, turn, portion):
        return
    reason = _reason_to_leave(turn.message, portion)
    if reason:
        portion.leave_out(reason)
        return
    words = _speech(mapping(turn.message.get("content")), portion)
    if not words:
        portion.leave_out(NO_TEXT)
        return
    portion.take(_memory(conversation, turn, words, TURN))


def _reason_to_leave(message: dict[str, object], portion: Portion) -> str:
    """Why a message is no part of what the two said to each other; "" when it is."""
    role = _role(message)
    content_type = label(mapping(message.get("content")).get("content_type"), 64)
    weight = message.get("weight")
    hidden = mapping(message.get("metadata")).get("is_visually_hidden_from_conversation") is True
    rules = (
        (hidden, HIDDEN),
        (isinstance(weight, (int, float)) and weight == 0, WEIGHT_0),
        (role in ("system", "tool"), f"by the {role}"),
        (label(message.get("recipient")) not in ("", "all"), TO_A_TOOL),
        (role not in _SPEAKERS, f"role: {role}"),
        (content_type in _NOT_SPEECH, f"not speech: {content_type}"),
        (content_type not in _SPEECH, f"content type: {content_type}"),
    )
    reason = next((reason for applies, reason in rules if applies), "")
    if reason.startswith(("role: ", "content type: ")):
        portion.not_understood[reason] += 1
        return NOT_UNDERSTOOD
    return reason


def _role(message: dict[str, object]) -> str:
    return label(mapping(message.get("author")).get("role"), 64)


def _speech(content: dict[str, object], portion: Portion) -> str:
    """The words of a message: its strings, and what was said aloud; pictures are counted."""
    spoken: list[str] = []
    for part in sequence(content.get("parts")):
        if isinstance(part, str):
            spoken.append(text(part))
        elif is_mapping(part):
            held = mapping(part)
            words = text(held.get("text"))
            if words:
                spoken.append(words)
            else:
                portion.parts_dropped[label(held.get("content_type"), 64) or "object"] += 1
    if not spoken and isinstance(content.get("text"), str):
        spoken.append(text(content.get("text")))
    words = "\n".join(part for part in spoken if part.strip())
    return _CITATION.sub("", words).strip()


def _memory(
    conversation: _Conversation, turn: _Turn, words: str, kind: str, signal: str = ""
) -> ImportedMemory:
    metadata: dict[str, object] = {"title": conversation.title} if conversation.title else {}
    model = label(mapping(turn.message.get("metadata")).get("model_slug"))
    if model:
        metadata["model"] = model
    if signal:
        metadata["signal"] = signal
    message_id = label(turn.message.get("id")) or label(turn.node)
    return ImportedMemory(
        op_id=f"import:{NAME}:{identity(conversation.identity, message_id)}",
        text=words,
        kind=kind,
        place=f"{conversation.place}, message {message_id}",
        speaker=_role(turn.message) or None,
        session=f"{NAME}:{conversation.identity}",
        occurred_at=turn.when,
        tags=("saved-memory",) if signal else (),
        metadata=metadata,
        source=NAME,
        time_inferred=turn.inferred,
    )


def _read_signal(conversation: _Conversation, turn: _Turn, portion: Portion) -> bool:
    """What ChatGPT had saved about the person, where this message holds some of it.

    - a message to ``bio`` is one memory being saved;
    - ``model_editable_context`` is the list of saved memories, numbered and dated;
    - ``user_editable_context`` is the profile and the custom instructions.

    These are hidden or sent to a tool, and so come before the rules that leave such out.
    """
    message = turn.message
    content = mapping(message.get("content"))
    content_type = content.get("content_type")
    if label(message.get("recipient")) == "bio":
        words = _speech(content, portion)
        if words:
            kind = PREFERENCE if _PREFERS.search(words) else FACT
            portion.take(_memory(conversation, turn, words, kind, "bio"))
        else:
            portion.leave_out(NO_TEXT)
        return True
    if content_type == "model_editable_context":
        saved = _saved_lines(text(content.get("model_set_context")))
    elif content_type == "user_editable_context":
        saved = _profile(message, content)
    else:
        return False
    for kind, words, when in saved:
        portion.take(_context_memory(conversation.place, str(content_type), kind, words, when))
    if not saved:
        portion.leave_out(NO_TEXT)
    return True


def _saved_lines(context: str) -> list[tuple[str, str, datetime | None]]:
    """Entries of a numbered list; a line without a number goes on with the one above it."""
    entries: list[list[str]] = []
    for line in context.splitlines():
        if _NUMBERED.match(line):
            entries.append([line])
        elif entries and line.strip():
            entries[-1].append(line)
    saved: list[tuple[str, str, datetime | None]] = []
    for entry in entries:
        found = _NUMBERED.match("\n".join(entry))
        assert found is not None
        words = found.group(2).strip()
        if words:
            kind = PREFERENCE if _PREFERS.search(words) else FACT
            saved.append((kind, words, moment(found.group(1))))
    return saved


def _profile(
    message: dict[str, object], content: dict[str, object]
) -> list[tuple[str, str, datetime | None]]:
    plain = mapping(mapping(message.get("metadata")).get("user_context_message_data"))
    about_user = text(plain.get("about_user_message")) or _unquoted(content.get("user_profile"))
    about_model = text(plain.get("about_model_message")) or _unquoted(
        content.get("user_instructions")
    )
    both = ((FACT, about_user.strip()), (PREFERENCE, about_model.strip()))
    return [(kind, words, None) for kind, words in both if words]


def _unquoted(value: object) -> str:
    """The person's own words, which ChatGPT wraps in a preamble and a fence."""
    whole = text(value)
    quoted = _QUOTED_PROFILE.search(whole)
    return quoted.group(1) if quoted else whole


def _context_memory(
    place: str, signal: str, kind: str, words: str, when: datetime | None
) -> ImportedMemory:
    """The same list stands in many conversations: words and date alone identify an entry."""
    dated = when.date().isoformat() if when else ""
    return ImportedMemory(
        op_id=f"import:{NAME}:saved/{digest(kind, words, dated)}",
        text=words,
        kind=kind,
        place=f"{place}, {signal}",
        occurred_at=when,
        tags=("saved-memory",),
        metadata={"signal": signal},
        source=NAME,
    )


def _read_memory_file(source: Source, member: Member) -> Portion:
    """``memory.json``, which some exports are said to hold; read if there, never promised.

    Taken are a list of strings or of objects, bare or under "memories".
    """
    portion = Portion(label(member.name))
    try:
        value = decode(read(source, member, MEMORY_FILE_BYTES_MAX))
    except InputError as error:
        portion.problem("", error.message)
        return portion
    entries = sequence(mapping(value).get("memories")) or sequence(value)
    for place, entry in enumerate(entries):
        held = mapping(entry)
        words = text(entry) or next(
            (text(held[name]) for name in ("content", "text", "memory") if text(held.get(name))), ""
        )
        when = moment(held.get("created_at")) or moment(held.get("updated_at"))
        if words.strip():
            kind = PREFERENCE if _PREFERS.search(words) else FACT
            position = f"{portion.file}, entry {place}"
            portion.take(_context_memory(position, "memory.json", kind, words.strip(), when))
        else:
            portion.leave_out(NO_TEXT)
    return portion


ADAPTER = Adapter(
    name=NAME,
    understands="ChatGPT's data export (ZIP, folder, or conversations.json)",
    recognise=recognise,
    read=read_all,
)
