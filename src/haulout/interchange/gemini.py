"""Gemini's history as Google Takeout gives it: My Activity (HTML or JSON), and Workspace's.

My Activity is a list of things done, newest first: what the person asked is the title, after a
verb in the language of their account ("Prompted", "Asked"); the answer is a piece of HTML. It
knows no conversations, unless a link names one: activities less than half an hour apart are
taken for one session. So the file is read twice, first for its times and verbs.

In Workspace each conversation is a file of its own, ``conversation_<n>.txt``, and is JSON.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from haulout.errors import InputError
from haulout.interchange.activities import (
    Activity,
    html_activities,
    is_activity,
    is_html_activity,
    json_activities,
)
from haulout.interchange.adapter import Adapter
from haulout.interchange.archive import Member, Source, read
from haulout.interchange.conversations import first_object
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
from haulout.interchange.jsonstream import decode
from haulout.interchange.records import NO_TEXT, NOT_UNDERSTOOD, TURN, ImportedMemory, Portion

NAME = "gemini"
CONVERSATION_BYTES_MAX = 64 * 1024 * 1024
SESSION_GAP = timedelta(minutes=30)
NOT_A_PROMPT = "not a prompt"
OTHER_PRODUCT = "of another product"
DELETED = "deleted by the person"

_SAMPLED_TITLES = 500
_VERB_WORDS_MAX = 4
_VERB_CHARS_MAX = 40
_VERB_SHARE = 0.6  # of the titles that have an answer
_VERB_TITLES_MIN = 3
_TIMES_MAX = 2_000_000

_ACTIVITY_PATH = re.compile(r"(?:.*/)?[^/]*\.(json|html?)\Z", re.IGNORECASE)
_ABOUT_GEMINI = re.compile(r"gemini|bard", re.IGNORECASE)
_CONVERSATION_PATH = re.compile(r"(?:.*/)?conversation_\d{1,9}\.(?:txt|json)\Z")
_PROMPT = re.compile(
    r"(?:Prompted with:|Asked (?:Gemini|Bard):|Prompted|Asked|Said|Branched|Answered)\s+"
)
_NO_PROMPT = re.compile(r"(?:Created|Used|Added|Gave|Removed|Deleted|Visited|Viewed)\b")


@dataclass(frozen=True, slots=True)
class _Part:
    """One file with a form of its own."""

    member: Member
    form: str  # "json", "html" or "conversation"


def recognise(source: Source) -> str:
    parts = _parts(source)
    if not parts:
        return ""
    if all(part.form == "conversation" for part in parts):
        return f"Gemini conversations of Workspace ({len(parts)} file{'s' * (len(parts) > 1)})"
    forms = " and ".join(sorted({part.form.upper() for part in parts}))
    return f"Gemini activity of Google Takeout ({forms})"


def _parts(source: Source) -> list[_Part]:
    found: list[_Part] = []
    for member in source.members:
        alone = source.kind == "file"
        if (alone or _CONVERSATION_PATH.match(member.name)) and is_sequence(
            first_object(source, member).get("conversation_turns")
        ):
            found.append(_Part(member, "conversation"))
        elif alone or _ACTIVITY_PATH.match(member.name):
            sure = not alone and _ABOUT_GEMINI.search(member.name) is not None
            if is_html_activity(source, member, sure=sure):
                found.append(_Part(member, "html"))
            elif is_activity(first_object(source, member), sure=sure):
                found.append(_Part(member, "json"))
    return found


def read_all(source: Source) -> Generator[Portion, None, None]:
    for part in _parts(source):
        if part.form == "conversation":
            yield _read_conversation(source, part.member)
            continue
        survey = _Survey()
        for item in _activities(source, part):
            if isinstance(item, Activity):
                survey.note(item)
        survey.close()
        for item in _activities(source, part):
            portion = Portion(label(part.member.name))
            if isinstance(item, Activity):
                _read_activity(item, survey, portion)
            else:
                portion.problem(*item)
            yield portion


def _activities(source: Source, part: _Part) -> Iterator[Activity | tuple[str, str]]:
    reader = html_activities if part.form == "html" else json_activities
    try:
        yield from reader(source, part.member)
    except InputError as error:
        yield "", error.message


# --- what the whole file says about each activity -----------------------------------------


@dataclass(slots=True)
class _Survey:
    """The sessions of a file, and the verb that its prompts begin with."""

    verbs: Counter[str] = field(default_factory=Counter[str])
    starts: list[datetime] = field(default_factory=list[datetime])
    titles: list[str] = field(default_factory=list[str])
    learned: str = ""

    def note(self, activity: Activity) -> None:
        counts = not activity.conversation and len(self.starts) < _TIMES_MAX
        if activity.when is not None and counts:
            self.starts.append(activity.when)
        if not activity.answer or activity.request:
            return
        verb, _ = _apart(activity.title)
        if verb:
            self.verbs[verb] += 1
        elif len(self.titles) < _SAMPLED_TITLES:
            self.titles.append(activity.title)

    def close(self) -> None:
        """From all times, keep those that begin a session."""
        self.learned = _common_beginning(self.titles)
        times, self.starts = sorted(self.starts), []
        before: datetime | None = None
        for when in times:
            if before is None or when - before >= SESSION_GAP:
                self.starts.append(when)
            before = when

    def session(self, activity: Activity) -> str | None:
        if activity.conversation:
            return f"{NAME}:{identity(activity.conversation)}"
        at = 0 if activity.when is None else bisect_right(self.starts, activity.when)
        if not at:
            return None
        return f"{NAME}:activity-{self.starts[at - 1].astimezone(UTC):%Y%m%dT%H%M%S}"

    def prompt(self, activity: Activity, portion: Portion) -> str | None:
        """What the person asked, without the verb; None when the activity is no prompt."""
        if activity.request:
            return activity.title
        if _NO_PROMPT.match(activity.title):
            return None
        verb, words = _apart(activity.title)
        if verb and (activity.answer or verb in self.verbs or _PROMPT.match(activity.title)):
            return words
        if self.learned and activity.title.startswith(self.learned):
            return activity.title.removeprefix(self.learned).strip()
        if activity.answer:
            portion.not_understood["verb of a prompt"] += 1
            return activity.title
        return None


def _apart(title: str) -> tuple[str, str]:
    """The verb and the rest: a known verb, or what stands before the first no-break space."""
    if known := _PROMPT.match(title):
        return known.group().strip(), title[known.end() :].strip()
    verb, mark, rest = title[: _VERB_CHARS_MAX + 1].partition("\xa0")
    if mark and verb.strip():
        return verb.strip(), (rest + title[_VERB_CHARS_MAX + 1 :]).strip()
    return "", title


def _common_beginning(titles: list[str]) -> str:
    """The words most titles begin with, which in a language unknown here are the verb."""
    common: list[str] = []
    if len(titles) < _VERB_TITLES_MIN:
        return ""
    split = [title.split(maxsplit=_VERB_WORDS_MAX) for title in titles]
    for place in range(_VERB_WORDS_MAX):
        nexts = Counter(
            words[place] for words in split if words[:place] == common and words[place:]
        )
        word, count = max(nexts.items(), key=lambda pair: pair[1], default=("", 0))
        if count < max(_VERB_TITLES_MIN, _VERB_SHARE * len(titles)):
            break
        common.append(word)
    return " ".join(common)


# --- activities and conversations ---------------------------------------------------------


def _read_activity(activity: Activity, survey: _Survey, portion: Portion) -> None:
    if not activity.gemini:
        portion.leave_out(OTHER_PRODUCT)
        return
    for what in activity.not_understood:
        portion.not_understood[what] += 1
    words = survey.prompt(activity, portion)
    if words is None:
        portion.leave_out(NOT_A_PROMPT)
        return
    portion.parts_dropped["file"] += activity.files
    # To the second, and without the shape of spaces: what HTML and JSON tell alike.
    told = f"{activity.when.astimezone(UTC):%Y%m%dT%H%M%S}" if activity.when else ""
    own = digest(told, " ".join(activity.title.split()))
    turns = (("user", words.strip(), own), ("assistant", activity.answer, f"{own}/response"))
    for speaker, said, own_id in turns:
        if not said:
            portion.leave_out(NO_TEXT)
            continue
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:{own_id}",
                text=said,
                kind=TURN,
                place=f"{portion.file}, {activity.place}, {speaker}",
                speaker=speaker,
                session=survey.session(activity),
                occurred_at=activity.when,
                source=NAME,
            )
        )


def _read_conversation(source: Source, member: Member) -> Portion:
    """One conversation of Workspace. Turns have numbers, which an edited turn shares."""
    portion = Portion(label(member.name))
    try:
        given = mapping(decode(read(source, member, CONVERSATION_BYTES_MAX)))
    except InputError as error:
        portion.problem("", error.message)
        return portion
    turns = [mapping(turn) for turn in sequence(given.get("conversation_turns"))]
    created = moment(given.get("creation_time"))
    first = text(mapping(turns[0].get("user_turn")).get("prompt")) if turns else ""
    own = digest(created.isoformat() if created else "", first)
    title = label(given.get("title"))
    portion.conversations = 1
    known = created
    for number, turn in enumerate(turns):
        speaker = "user" if "user_turn" in turn else "assistant"
        held = mapping(turn.get("user_turn" if speaker == "user" else "system_turn"))
        words = text(held.get("prompt")) if speaker == "user" else _answer(held, portion)
        told = moment(held.get("turn_last_modified"))
        known = told or known
        reason = _reason_to_leave(turn, held, words)
        if reason:
            portion.leave_out(reason)
            if reason == NOT_UNDERSTOOD:
                portion.not_understood["turn of no known kind"] += 1
            continue
        portion.take(
            ImportedMemory(
                op_id=f"import:{NAME}:{identity(own, f'{number}-{digest(speaker, words)}')}",
                text=words.strip(),
                kind=TURN,
                place=f"{portion.file}, turn {number}",
                speaker=speaker,
                session=f"{NAME}:{own}",
                occurred_at=known,
                metadata={"title": title} if title else {},
                source=NAME,
                time_inferred=told is None and known is not None,
            )
        )
    return portion


def _reason_to_leave(turn: dict[str, object], held: dict[str, object], words: str) -> str:
    if not turn.keys() & {"user_turn", "system_turn"}:
        return NOT_UNDERSTOOD
    if held.get("turn_deleted_time"):
        return DELETED
    return "" if words.strip() else NO_TEXT


def _answer(held: dict[str, object], portion: Portion) -> str:
    parts: list[str] = []
    for item in sequence(held.get("text")):
        cards = sequence(mapping(item).get("cards"))
        parts.append(text(item) or text(mapping(item).get("data")))
        parts.extend(text(mapping(card).get("content")) for card in cards)
    for name in ("images", "model_thoughts"):
        portion.parts_dropped[name] += len(sequence(held.get(name)))
    return "\n\n".join(part for part in parts if part.strip())


ADAPTER = Adapter(
    name=NAME,
    understands="Gemini's history from Google Takeout (ZIP, folder, or MyActivity.html or .json)",
    recognise=recognise,
    read=read_all,
)
