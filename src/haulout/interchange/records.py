"""What an import is made of: memories to be, what was left out and why, and the report.

An adapter reads one unit of its source at a time (a conversation, a file, a document) and
gives a ``Portion`` for it. In every portion, and so in every report,

    seen = taken + everything left out

holds exactly: no message can go missing without a line that says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

PROBLEMS_LISTED_MAX = 200  # a broken file can hold a problem per line; past this they are counted
SECRETS_LISTED_MAX = 1_000
NAMES_LISTED_MAX = 50
DISTINCT_MAX = 200  # distinct speakers, or things not understood, named in one report

BROKEN_LINE = "a broken line"
NOT_UNDERSTOOD = "not understood"
NO_TEXT = "no text"
OTHER_BRANCH = "on another branch"

TURN = "turn"
FACT = "fact"
PREFERENCE = "preference"
DOCUMENT = "document"
NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedMemory:
    """One memory as its source tells it.

    ``place``, ``time_inferred`` and ``part`` are for the report and are not kept.
    """

    op_id: str
    text: str
    kind: str
    place: str
    namespace: str | None = None
    speaker: str | None = None
    session: str | None = None
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    source: str | None = None
    time_inferred: bool = False
    part: int = 1  # of a text too long for one memory

    def to_item(self, namespace: str) -> dict[str, object]:
        """The form ``Vault.remember_many`` takes; what is not known is left out."""
        item: dict[str, object] = {
            "text": self.text,
            "namespace": namespace if self.namespace is None else self.namespace,
            "kind": self.kind,
            "op_id": self.op_id,
        }
        optional: dict[str, object] = {
            "speaker": self.speaker,
            "session": self.session,
            "occurred_at": self.occurred_at,
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "tags": self.tags or None,
            "metadata": dict(self.metadata) or None,
            "source": self.source,
        }
        item.update((name, value) for name, value in optional.items() if value is not None)
        return item


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read, and where; never the words that stood there."""

    file: str
    position: str
    what: str

    def to_builtins(self) -> dict[str, str]:
        return {"file": self.file, "position": self.position, "what": self.what}


@dataclass(frozen=True, slots=True)
class SecretNotice:
    """A secret stood at this place. The secret itself is not here and nowhere in a report."""

    kind: str
    place: str

    def to_builtins(self) -> dict[str, str]:
        return {"kind": self.kind, "place": self.place}


@dataclass(slots=True)
class Portion:
    """One unit of the source, read: what it held, what is taken, what is left out and why."""

    file: str
    conversations: int = 0
    seen: int = 0
    memories: list[ImportedMemory] = field(default_factory=list[ImportedMemory])
    left_out: Counter[str] = field(default_factory=Counter[str])
    parts_dropped: Counter[str] = field(default_factory=Counter[str])
    not_understood: Counter[str] = field(default_factory=Counter[str])
    problems: list[Problem] = field(default_factory=list[Problem])

    def take(self, memory: ImportedMemory) -> None:
        self.seen += 1
        self.memories.append(memory)

    def leave_out(self, reason: str, count: int = 1) -> None:
        if count:
            self.seen += count
            self.left_out[reason] += count

    def problem(self, position: str, what: str) -> None:
        self.problems.append(Problem(self.file, position, what))


@dataclass(slots=True)
class Report:
    """What an import found and did, complete enough to be shown instead of the import itself."""

    format: str
    form: str
    dry_run: bool
    conversations: int = 0
    seen: int = 0
    taken: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])
    parts_dropped: Counter[str] = field(default_factory=Counter[str])
    not_understood: Counter[str] = field(default_factory=Counter[str])
    sent: int = 0
    added: int = 0
    already_there: int = 0
    differing: int = 0
    erased: int = 0
    refused: int = 0
    times_inferred: int = 0
    times_missing: int = 0
    first: datetime | None = None
    last: datetime | None = None
    speakers: Counter[str] = field(default_factory=Counter[str])
    secrets: Counter[str] = field(default_factory=Counter[str])
    secret_notices: list[SecretNotice] = field(default_factory=list[SecretNotice])
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])
    files_used: dict[str, None] = field(default_factory=dict[str, None])  # in order, once each
    files_unused_count: int = 0
    files_unused: list[str] = field(default_factory=list[str])

    def note_portion(self, portion: Portion) -> None:
        """Take in a portion's counts; its memories are counted one by one as they are sent."""
        assert portion.seen == len(portion.memories) + portion.left_out.total()
        self.conversations += portion.conversations
        self.seen += portion.seen
        self.left_out.update(portion.left_out)
        self.parts_dropped.update(+portion.parts_dropped)  # without what was dropped zero times
        _update_bounded(self.not_understood, portion.not_understood)
        for problem in portion.problems:
            self.note_problem(problem)
        self.files_used[portion.file] = None

    def note_taken(self, memory: ImportedMemory) -> None:
        self.taken += 1
        if memory.speaker is not None:
            _update_bounded(self.speakers, {memory.speaker: 1})
        self.times_inferred += memory.time_inferred
        when = memory.occurred_at
        if when is None:
            self.times_missing += 1
        else:
            self.first = when if self.first is None else min(self.first, when)
            self.last = when if self.last is None else max(self.last, when)

    def note_problem(self, problem: Problem) -> None:
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_LISTED_MAX:
            self.problems.append(problem)

    def note_secret(self, notice: SecretNotice) -> None:
        self.secrets[notice.kind] += 1
        if len(self.secret_notices) < SECRETS_LISTED_MAX:
            self.secret_notices.append(notice)

    def note_unused(self, names: list[str]) -> None:
        self.files_unused_count = len(names)
        self.files_unused = names[:NAMES_LISTED_MAX]

    def balanced(self) -> bool:
        """Whether every message seen is accounted for."""
        return self.seen == self.taken + self.left_out.total()

    def to_builtins(self) -> dict[str, object]:
        """Plain values for ``--json``; counts first, then the lists they summarise."""
        return {
            "format": self.format,
            "form": self.form,
            "dry_run": self.dry_run,
            "conversations": self.conversations,
            "seen": self.seen,
            "taken": self.taken,
            "left_out": _sorted(self.left_out),
            "parts_dropped": _sorted(self.parts_dropped),
            "not_understood": _sorted(self.not_understood),
            "sent": self.sent,
            "added": self.added,
            "already_there": self.already_there,
            "differing": self.differing,
            "erased": self.erased,
            "refused": self.refused,
            "times": {
                "first": None if self.first is None else self.first.isoformat(),
                "last": None if self.last is None else self.last.isoformat(),
                "inferred": self.times_inferred,
                "missing": self.times_missing,
            },
            "speakers": _sorted(self.speakers),
            "secrets": {
                "count": self.secrets.total(),
                "kinds": _sorted(self.secrets),
                "places": [notice.to_builtins() for notice in self.secret_notices],
            },
            "problems": {
                "count": self.problem_count,
                "listed": [problem.to_builtins() for problem in self.problems],
            },
            "files": {
                "used": list(self.files_used)[:NAMES_LISTED_MAX],
                "unused_count": self.files_unused_count,
                "unused": list(self.files_unused),
            },
        }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _update_bounded(counts: Counter[str], more: Mapping[str, int]) -> None:
    """Add counts; names past the limit, which only a hostile file has, are counted as one."""
    for name, count in more.items():
        known = name in counts or len(counts) < DISTINCT_MAX
        counts[name if known else "(others)"] += count
