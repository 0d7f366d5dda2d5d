"""Recovery: what a person reads before an agent's first action after a start.

Recovery is the fold of the journal, what the venue says of every intent that had no end, and what
the venue has that the journal lacks. It sends nothing. Entries are allowed once nothing is left
open that an entry could double.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from haulout.errors import NotFoundError, OutcomeUnknownError
from haulout.state.book import Book
from haulout.state.intents import Intent, epoch_of, tag_of
from haulout.state.tape import Past

if TYPE_CHECKING:
    from haulout.state.resolving import Resolver
    from haulout.state.state import State
    from haulout.state.venue import Seen

_DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_OLDER: Final = "the journal is older than what the venue knows of it"
_RETURNED: Final = "the venue has what was given up for lost"
_TO_CONFIRM: Final = frozenset({_OLDER, _RETURNED})
"""Why a recovery forbids entries until a person has looked; an owner's `resume` says so, too."""
_TAIL = 8


def tail(intent: str) -> str:
    """The end of an intent's ID, which tells it apart: all of a state begin with its tag."""
    return f"…{intent[-_TAIL:]}"


class Restored(msgspec.Struct, frozen=True):
    """A document that came back: its name, version and age in seconds."""

    name: str
    version: int
    age_s: float


class Resolved(msgspec.Struct, frozen=True):
    """An intent that had no end: what it was, and what became of it."""

    intent: str
    action: str
    role: str
    target: str
    before: str
    after: str


class Difference(msgspec.Struct, frozen=True):
    """A position that the agent believes in and the venue does not have so."""

    target: str
    believed: str
    there: str


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What a recovery found.

    Attributes:
        state: the state's name; at: when, microseconds; events: how many the journal has.
        documents: what came back; resolved: intents that had no end.
        adopted: actions that the venue has and the journal lacked, by ID.
        unknown: intents of which the venue cannot tell; lost_exits: exits that never arrived.
        foreign: how many orders at the venue are not of this state: they are not touched.
        differs: positions that are not as believed; halted: what the owner said.
        epochs: under how many leases what the venue shows was sent, where it is more than one.
        older_than_venue: whether the venue knows more of this state than its journal.
        failures: what could not be asked; stale: documents that are too old.
        returned: intents that were given up for lost, and that the venue has after all.
        reasons: why entries are not allowed yet.
    """

    state: str
    at: int
    events: int
    documents: tuple[Restored, ...] = ()
    resolved: tuple[Resolved, ...] = ()
    adopted: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    lost_exits: tuple[str, ...] = ()
    foreign: int = 0
    differs: tuple[Difference, ...] = ()
    halted: str = ""
    epochs: tuple[int, ...] = ()
    older_than_venue: bool = False
    failures: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether entries are allowed."""
        return not self.reasons

    def text(self) -> str:
        """The report as a person reads it."""
        lines = [f"State {self.state}: {self.events} events."]
        lines += [
            f"  restored  {one.name}, version {one.version},"
            f" {timedelta(seconds=int(one.age_s))} old"
            for one in self.documents
        ]
        lines += [
            f"  {one.after:<9} {one.action} {one.target} ({tail(one.intent)}), was {one.before}"
            for one in self.resolved
        ]
        lines += [
            f"  adopted   {tail(one)}: the venue has it, the journal had not"
            for one in self.adopted
        ]
        lines += [
            f"  returned  {tail(one)}: it was given up for lost, and the venue has it"
            for one in self.returned
        ]
        lines += [f"  UNKNOWN   {tail(one)}: look at the account" for one in self.unknown]
        lines += [f"  LOST EXIT {tail(one)}: it never arrived" for one in self.lost_exits]
        lines += [
            f"  DIFFERS   {one.target}: {one.believed} here, {one.there} at the venue"
            for one in self.differs
        ]
        if self.foreign:
            lines.append(f"  {self.foreign} orders at the venue are not of this state; left alone")
        if len(self.epochs) > 1:
            lines.append(f"  Orders were sent under leases {', '.join(map(str, self.epochs))}.")
        lines += [f"  failed    {one}" for one in self.failures]
        lines += [f"No entries: {one}." for one in self.reasons] or ["Ready: entries are allowed."]
        return "\n".join(lines)


def recover(
    resolver: Resolver,
    *,
    believed: Mapping[str, str] | None = None,
    max_age: timedelta | None = None,
    confirmed: bool = False,
) -> Recovery:
    """Find out where an agent stands. Nothing is sent.

    Args:
        resolver: its journal and its venue.
        believed: positions as the agent has them, decimal text by target.
        max_age: documents older than this make the state stale, and entries wait.
        confirmed: a person looked at a journal that is older than the venue, or at stale
            documents, and says that entries may go on.
    """
    state = resolver.state
    now = state.now()
    open_ones = state.open_intents()
    # A journal that came back from a backup ends before what it lacks, however long ago that was.
    newest = state.tape.read(lambda book, _past: book.at)
    since = max(min([one.at for one in open_ones] + [newest - _HOUR_US, now - _DAY_US]), 0)
    failures: list[str] = []
    listed = _listed(resolver, since, failures)
    resolved, unknown, lost = _resolve(resolver, open_ones)
    if confirmed and state.tape.read(lambda book, _past: book.halted_why) in _TO_CONFIRM:
        state.resume("looked at, and confirmed")
    found = _adopt(resolver, listed, confirmed=confirmed)
    differs = _differences(resolver, believed, failures)
    documents = _documents(state.tape.read(_book_of), now)
    stale = [one.name for one in documents if max_age and one.age_s > max_age.total_seconds()]
    reasons = [f"nobody knows what became of {tail(one)}" for one in unknown]
    reasons += [f"the venue could not be asked ({one})" for one in failures]
    halted, why = state.tape.read(lambda book, _past: (book.halted, book.halted_why))
    if halted and why in _TO_CONFIRM:
        reasons.append(f"{why}; confirm once looked at")
    elif halted:
        reasons.append(f"the owner said {halted}")
    if stale and not confirmed:
        reasons.append(f"too old: {', '.join(stale)}")
    return Recovery(
        state=state.name, at=now, events=state.tape.read(lambda book, _past: book.events),
        documents=tuple(documents), resolved=tuple(resolved), adopted=tuple(found.adopted),
        unknown=tuple(unknown), lost_exits=tuple(lost), foreign=found.foreign,
        differs=tuple(differs), halted=halted, epochs=tuple(sorted(found.epochs)),
        older_than_venue=bool(found.adopted), returned=tuple(found.returned),
        failures=tuple(failures), stale=tuple(stale), reasons=tuple(reasons),
    )  # fmt: skip


def _book_of(book: Book, _past: Past) -> dict[str, tuple[int, int]]:
    return {
        name: (one.version, one.at)
        for name, one in sorted(book.documents.items())
        if one.value is not None
    }


def _documents(found: Mapping[str, tuple[int, int]], now: int) -> list[Restored]:
    return [
        Restored(name, version, max(0, now - at) / 1e6) for name, (version, at) in found.items()
    ]


def _listed(resolver: Resolver, since: int, failures: list[str]) -> list[Seen]:
    try:
        return list(resolver.venue.listed(since))
    except OutcomeUnknownError as error:
        failures.append(error.message)
        return []


def _resolve(
    resolver: Resolver, intents: list[Intent]
) -> tuple[list[Resolved], list[str], list[str]]:
    """Ask after every intent without an end: what became of each, the unknown, the lost exits."""
    found: list[Resolved] = []
    unknown: list[str] = []
    lost: list[str] = []
    for one in intents:
        try:
            after = one if one.status == "absent" else resolver.resolve(one)
        except OutcomeUnknownError:
            unknown.append(one.text)  # one that was accepted, too: a venue shows old orders no more
            found.append(_resolved(one, one))
            continue
        if after.status == "absent":
            # An entry is decided anew or not at all; an exit is for the agent to arm again.
            if one.role == "exit":
                lost.append(one.text)
            after = resolver.state.settle(one, "dropped", why="it never arrived")
        found.append(_resolved(one, after))
    return found, unknown, lost


def _resolved(before: Intent, after: Intent) -> Resolved:
    return Resolved(
        before.text, before.action, before.role, before.target, before.status, after.status
    )


def _adopt(resolver: Resolver, listed: list[Seen], *, confirmed: bool) -> _Found:
    """Write down what the venue has of this state and the journal lacks, or gave up for lost.

    Entries are forbidden first, and durably: once it is written down a second start, or one after
    a crash here, would find nothing amiss.
    """
    state = resolver.state
    tag = state.tag()
    found = _Found([], [], 0, set())
    for seen in listed:
        if seen.intent is None or tag_of(seen.intent) != tag:
            found = found._replace(foreign=found.foreign + 1)
            continue
        found.epochs.add(epoch_of(seen.intent))
        try:
            known = state.intent(seen.intent)
        except NotFoundError:
            _forbid(state, _OLDER, confirmed=confirmed)
            found.adopted.append(resolver.adopt(seen).text)
            continue
        if known.status in {"dropped", "refused"} and seen.status != "refused":
            _forbid(state, _RETURNED, confirmed=confirmed)
            found.returned.append(resolver.note(known, seen).text)
        elif known.is_final:
            resolver.note(known, seen)  # more may have been filled than was known
    return found


def _forbid(state: State, why: str, *, confirmed: bool) -> None:
    if not confirmed and not state.halted:
        state.pause(why, by="recovery")


class _Found(NamedTuple):
    """What of this state a venue shows."""

    adopted: list[str]
    returned: list[str]
    foreign: int
    epochs: set[int]


def _differences(
    resolver: Resolver, believed: Mapping[str, str] | None, failures: list[str]
) -> list[Difference]:
    if believed is None:
        return []
    try:
        there = resolver.venue.positions()
    except OutcomeUnknownError as error:
        failures.append(error.message)
        return []
    return [
        Difference(target, believed.get(target, "0"), there.get(target, "0"))
        for target in sorted({*believed, *there})
        if Decimal(believed.get(target, "0")) != Decimal(there.get(target, "0"))
    ]
