"""JSON Lines: Haulout's own export, and chats as one message a line.

Haulout's form is an object a line with "text", and any of: id, namespace, kind, speaker,
session, occurred_at, valid_from, valid_until, tags, metadata, source. Its last line seals it
with the digest of the others. Chats are lines with "role" and "content", or with "messages",
a list of such.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from hashlib import sha256

from haulout.errors import ImportFormatError, InputError
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Source
from haulout.interchange.fields import (
    digest,
    exact_name,
    exact_names,
    identity,
    label,
    mapping,
    moment,
    plain_metadata,
    sequence,
    text,
)
from haulout.interchange.jsonstream import decode
from haulout.interchange.linestream import (
    decoded_object,
    first_objects,
    note_too_long,
    numbered_lines,
)
from haulout.interchange.records import (
    BROKEN_LINE,
    NO_TEXT,
    NOT_UNDERSTOOD,
    NOTE,
    TURN,
    ImportedMemory,
    Portion,
)

NAME = "jsonl"
SOURCE_CHARS_MAX = 500  # at most 2,000 bytes; the vault takes 2,048

_SPEAKERS = {"user": "user", "human": "user", "assistant": "assistant", "ai": "assistant"}
_SEAL = b'"haulout_export"'
_TIMES = ("timestamp", "created_at", "create_time", "time", "date")
_SESSIONS = ("session", "session_id", "conversation_id", "thread_id")
_OWN_TIMES = ("occurred_at", "valid_from", "valid_until")
_OWN_NAMES = ("kind", "namespace", "session", "speaker")
_OF_THE_VAULT = ("recorded_at", "updated_at", "version", "history")  # its own to give
_OWN_FIELDS = frozenset(
    ("text", "id", "tags", "metadata", "source", *_OWN_TIMES, *_OWN_NAMES, *_OF_THE_VAULT)
)
_CHAT_FIELDS = frozenset(("role", "content", "id", "uuid", "model", "name", *_TIMES, *_SESSIONS))


def recognise(source: Source) -> str:
    if source.kind != "file":
        return ""
    forms = [_form(given) for given in first_objects(source, source.members[0])]
    found = next((form for form in forms if form), "")
    return f"JSON Lines ({found})" if found and forms.count("") * 2 <= len(forms) else ""


def _form(given: dict[str, object]) -> str:
    if isinstance(given.get("text"), str):
        return "Haulout export"
    if isinstance(given.get("role"), str) and "content" in given:
        return "chat messages"
    if mapping(next(iter(sequence(given.get("messages"))), None)).get("role"):
        return "chats"
    return ""


def read_all(source: Source) -> Generator[Portion, None, None]:
    member = source.members[0]
    reader = _Reader()
    try:
        with source.open(member) as stream:
            for number, raw in numbered_lines(stream):
                portion = Portion(label(member.name))
                if raw is None:
                    note_too_long(number, portion)
                else:
                    reader.read(number, raw, portion)
                if raw is None or raw.strip():
                    yield portion
        portion = Portion(label(member.name))
        if reader.unsealed:
            portion.problem("", "the export's last line is missing: it may be cut short")
    except InputError as error:
        portion = Portion(label(member.name))
        portion.problem("", error.message)
    yield portion


class _Reader:
    """Reads the lines of one file, and checks the seal at the end of Haulout's own export."""

    def __init__(self) -> None:
        self._session = ""
        self._read = sha256()
        self.unsealed = False  # lines of an export were read, and no seal after them

    def read(self, number: int, raw: bytes, portion: Portion) -> None:
        place = f"{portion.file}, line {number}"
        if raw.strip() and not self._session:
            # Chats without a session of their own share the file's. It comes from the first
            # line, so that it stays the same as lines are added.
            self._session = f"{NAME}:{digest(raw.decode('utf-8', 'replace'))}"
        if _SEAL in raw and self._is_seal(number, raw, portion):
            return
        self._read.update(raw + b"\n")
        if not raw.strip():
            return
        try:
            given = mapping(decode(raw))
        except ImportFormatError as error:
            portion.leave_out(BROKEN_LINE)
            portion.problem(f"line {number}", error.message)
            return
        self._read_line(given, place, str(number), portion)

    def _is_seal(self, number: int, raw: bytes, portion: Portion) -> bool:
        """Whether the line is the last of an export; it holds the digest of those before it."""
        seal = decoded_object(raw)
        if "haulout_export" not in seal or "text" in seal:
            return False
        self.unsealed = False
        if seal.get("sha256") != self._read.hexdigest():
            portion.problem(f"line {number}", "the lines before are not those that were exported")
        return True

    def _read_line(
        self, given: dict[str, object], place: str, position: str, portion: Portion
    ) -> None:
        self.unsealed = self.unsealed or ("recorded_at" in given and "text" in given)
        form = _form(given)
        if form == "Haulout export":
            _read_own(given, place, portion)
        elif form == "chat messages":
            self._read_message(given, place, position, None, portion)
        elif form == "chats":
            messages = sequence(given.get("messages"))
            session = _first_label(given, _SESSIONS) or _first_label(given, ("id",))
            session = f"{NAME}:{identity(session or digest(json.dumps(messages[:1])))}"
            portion.conversations = 1
            for turn, message in enumerate(messages):
                self._read_message(mapping(message), place, str(turn), session, portion)
        else:
            portion.leave_out(NOT_UNDERSTOOD)
            fields = ", ".join(sorted(label(name, 32) for name in given)[:6])
            portion.not_understood[f"line with: {fields or 'no fields'}"] += 1

    def _read_message(
        self,
        given: dict[str, object],
        place: str,
        position: str,
        session: str | None,
        portion: Portion,
    ) -> None:
        role = label(given.get("role"))
        speaker = _SPEAKERS.get(role.lower())
        words = _content(given.get("content"), portion)
        if speaker is None:
            portion.leave_out(f"by the {role}" if role in ("system", "tool") else NOT_UNDERSTOOD)
            return
        if not words:
            portion.leave_out(NO_TEXT)
            return
        own_session = _first_label(given, _SESSIONS)
        session = session or (f"{NAME}:{identity(own_session)}" if own_session else self._session)
        when = next((found for name in _TIMES if (found := moment(given.get(name)))), None)
        own_id = _first_label(given, ("id", "uuid"))
        # Without an ID: words, speaker, session and time. Without a time, the place as well,
        # since a person may well say "yes" twice.
        known = (words, role, session, when.isoformat() if when else f"at {position}")
        model = label(given.get("model"))
        _note_unknown(given, _CHAT_FIELDS, portion)
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:{identity(session, own_id or digest(*known))}",
                text=words,
                kind=TURN,
                place=place,
                speaker=speaker,
                session=session,
                occurred_at=when,
                metadata={"model": model} if model else {},
                source=NAME,
            )
        )


def _read_own(given: dict[str, object], place: str, portion: Portion) -> None:
    words = text(given.get("text"))
    if not words.strip():
        portion.leave_out(NO_TEXT)
        return
    times = {name: moment(given.get(name)) for name in _OWN_TIMES}
    metadata = plain_metadata(given.get("metadata"))
    for name, when in times.items():
        if given.get(name) is not None and when is None:
            portion.not_understood[f"value of {name}"] += 1
    if metadata is None:
        portion.not_understood["metadata past the limits"] += 1
    own_id = label(given.get("id"))
    known = [words, *(str(times[name]) for name in sorted(times))]
    known += [text(given.get(name)) for name in _OWN_NAMES]
    _note_unknown(given, _OWN_FIELDS, portion)
    portion.parts_dropped["earlier version"] += len(sequence(given.get("history")))
    portion.take(
        ImportedMemory(
            op_id=f"import:{NAME}:{identity(own_id) if own_id else digest(*known)}",
            text=words,
            kind=exact_name(given.get("kind")) or NOTE,
            place=place,
            namespace=text(given.get("namespace")) or None,
            speaker=exact_name(given.get("speaker")),
            session=exact_name(given.get("session")),
            occurred_at=times["occurred_at"],
            valid_from=times["valid_from"],
            valid_until=times["valid_until"],
            tags=exact_names(given.get("tags")),
            metadata=metadata or {},
            source=text(given.get("source"))[:SOURCE_CHARS_MAX] or None,
        )
    )


def _content(value: object, portion: Portion) -> str:
    """A message's words: a string, or blocks of which those with text count."""
    if isinstance(value, str):
        return text(value).strip()
    spoken: list[str] = []
    for block in sequence(value):
        words = text(block) or text(mapping(block).get("text"))
        if words:
            spoken.append(words)
        else:
            portion.parts_dropped[label(mapping(block).get("type"), 64) or "part"] += 1
    return "\n\n".join(spoken).strip()


def _first_label(given: dict[str, object], names: tuple[str, ...]) -> str:
    return next((found for name in names if (found := label(given.get(name)))), "")


def _note_unknown(given: dict[str, object], known: frozenset[str], portion: Portion) -> None:
    for name in given.keys() - known:
        portion.not_understood[f"field: {label(name, 64)}"] += 1


ADAPTER = Adapter(
    name=NAME,
    understands='JSON Lines (Haulout\'s export, or lines of {"role", "content"})',
    recognise=recognise,
    read=read_all,
    round=2,
)
