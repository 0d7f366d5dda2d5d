"""A state of the vault as a bot state, and a bot state into a state: docs/spec/bot-state.md.

An import is decided on the newest book and appended in one transaction: all of it or nothing.
Times are kept, so that what is old stays old; nothing that is newer here is overwritten, and
nothing that was forbidden here is allowed by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, Literal, cast

import msgspec

from haulout.errors import ConflictError, ImportFormatError
from haulout.interchange.botstate import (
    BotState,
    BotTrade,
    Halt,
    KeptIntent,
    KeptNote,
    KeptValue,
    Lock,
    builtins_of,
    part_of,
    plain_bytes,
    plain_value,
    repeated,
)
from haulout.state import book as books
from haulout.state import reserving
from haulout.state.book import Book
from haulout.state.events import Event, Kind, amount, json_text, name_text
from haulout.state.intents import Intent
from haulout.state.limits import MINUTE_US, limit
from haulout.state.secrets import refuse_secrets
from haulout.state.state import State
from haulout.state.tape import Past, named

TRADES: Final = "trades/"
LOCKS: Final = "locks"
EXTENSIONS: Final = "extensions/"
"""Documents in which a state keeps the parts of a bot state that have no events of their own."""
_PIECE: Final = 200_000
"""Characters of an extension in one document: at most 4 bytes each, under a document's 1 MiB."""
How = Literal["add", "change", "same", "kept", "refused"]


class Change(msgspec.Struct, frozen=True):
    """What an import does with one part of a state: which, what, and why where it is not plain.

    ``kept``: what stands here stays. ``refused``: nothing is imported; what is newer or set
    otherwise gives way where an import may overwrite, all else never does.
    """

    part: str
    how: How
    why: str = ""


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did, or would do: its changes, and how many events it wrote or would."""

    state: str
    changes: tuple[Change, ...]
    events: int

    @property
    def refused(self) -> tuple[Change, ...]:
        """What stands in its way."""
        return tuple(one for one in self.changes if one.how == "refused")


# ---------------------------------------------------------------------- out


def exported(state: State) -> BotState:
    """A state, written down: all that decides what its agent does next.

    Left out are leases, which are a process's, and intents that ended, hold nothing and were
    decided by no key. Reads the whole journal.
    """
    book, intents = Book(), dict[bytes, Intent]()
    notes: dict[str, list[KeptNote]] = {}
    for number, event in state.events():
        book.fold(number, event)
        if event.kind in {Kind.INTENT, Kind.SETTLE}:
            found = book.intent(event.body["id"])
            if found is not None:
                intents[found.id] = found
        elif event.kind == Kind.NOTE:
            value = json.loads(event.body["value"])
            notes.setdefault(event.body["journal"], []).append(KeptNote(at=event.at, value=value))
    kept = [
        _told(one, book)
        for one in intents.values()
        if one.key is not None or not one.is_final or one.id in book.held
    ]
    bot = BotState(
        name=state.name,
        at=state.now(),
        source="haulout",
        tag=book.tag.hex(),
        limits={name: one.most for name, one in sorted(book.limits.items())},
        owner_limits={name: one and one.most for name, one in sorted(book.owner_limits.items())},
        halt=_halt(book),
        spent={
            unit: {str(minute): cost for minute, cost in sorted(minutes.items())}
            for unit, minutes in sorted(book.spent.items())
            if minutes
        },
        journals=notes,
        intents=kept,
    )
    _take_documents(bot, book)
    return bot


def _halt(book: Book) -> Halt | None:
    if not book.halted:
        return None
    return Halt(action=cast("Any", book.halted), at=book.halted_at, why=book.halted_why)


def _told(one: Intent, book: Book) -> KeptIntent:
    return KeptIntent(
        id=one.text, key=one.key, action=one.action, role=one.role, target=one.target,
        payload=json.loads(one.payload), cost=one.cost, holds=list(one.holds),
        closes=[closed.hex() for closed in one.closes], at=one.at, epoch=one.epoch,
        status=one.status, ref=one.ref, filled=one.filled, spent=one.spent,
        result=msgspec.UNSET if one.result is None else json.loads(one.result), why=one.why,
        adopted=one.adopted, by=one.by, held=one.id in book.held,
    )  # fmt: skip


def _take_documents(bot: BotState, book: Book) -> None:
    """Documents of the common schema where they have its form, all others as the strategy's."""
    pieces: dict[str, dict[int, str]] = {}
    for name, kept in sorted(book.documents.items()):
        if kept.value is None:
            continue
        value = json.loads(kept.value)  # exact, where msgspec rounds integers past 64 bits
        if kept.schema == 1 and name.startswith(TRADES):
            trade = _trade(name, value, kept.at)
            if trade is not None:
                bot.trades.append(trade)
                continue
        if kept.schema == 1 and name == LOCKS and (locks := _locks(value)) is not None:
            bot.locks = locks
            continue
        of, _, place = name.removeprefix(EXTENSIONS).rpartition("/")
        if name.startswith(EXTENSIONS) and of and place.isdigit() and isinstance(value, str):
            pieces.setdefault(of, {})[int(place)] = value
            continue
        bot.values[name] = KeptValue(
            value=value, version=kept.version, schema=kept.schema, at=kept.at
        )
    for of, found in pieces.items():
        text = "".join(found[place] for place in sorted(found))
        bot.extensions[of] = plain_value(text.encode())


def _trade(name: str, value: Any, at: int) -> BotTrade | None:
    try:
        trade: BotTrade = part_of(value, BotTrade)
    except ImportFormatError:
        return None
    if TRADES + trade.id != name:
        return None
    trade.at = at
    return trade


def _locks(value: Any) -> list[Lock] | None:
    try:
        return cast("list[Lock]", part_of(value, cast("Any", list[Lock])))
    except ImportFormatError:
        return None


# ---------------------------------------------------------------------- in


def preview(state: State, bot: BotState, *, overwrite: bool = False) -> Brought:
    """What `bring_in` would do; nothing is written. Arguments and errors as there."""
    now = state.now()

    def look(book: Book, past: Past) -> Brought:
        return _Import(book, past, bot, now, state.name, overwrite=overwrite).brought()

    return state.tape.read(look)


def bring_in(state: State, bot: BotState, *, overwrite: bool = False) -> Brought:
    """Take a bot state into a state, in one transaction.

    Args:
        state: a new one, or one that the same bot had before.
        bot: what comes in. The bot it comes from is stopped: two that act on one state act twice.
        overwrite: what is newer here, or otherwise set, gives way.

    Raises:
        ConflictError: something here is newer, or an agent is at work here; nothing was written.
        InputError: a value is a secret, or too large; StorageError: it is not kept.
    """
    now = state.now()

    def decide(book: Book, past: Past) -> tuple[list[Event], Brought]:
        work = _Import(book, past, bot, now, state.name, overwrite=overwrite)
        found = work.brought()
        if found.refused:
            first = found.refused[0]
            message = f"{first.part} was not imported: {first.why}."
            if len(found.refused) > 1:
                message += f" So were {len(found.refused) - 1} more."
            raise ConflictError(message, hint="Nothing was written; `--dry-run` shows all of it.")
        return work.events, found

    return state.append(decide)


class _Import:
    """One import, decided on a book: what changes, and the events that do it."""

    def __init__(
        self, book: Book, past: Past, bot: BotState, now: int, name: str, *, overwrite: bool
    ) -> None:
        self._book, self._past, self._bot, self._now = book, past, bot, now
        self._name, self._overwrite = name, overwrite
        self.events: list[Event] = []
        self._changes: list[Change] = []

    def brought(self) -> Brought:
        self._require_no_agent()
        if twice := repeated(self._bot):
            self._note(twice, "refused", "it stands there twice")
        self._tag()
        self._documents()
        for name, notes in sorted(self._bot.journals.items()):
            self._journal(name, notes)
        self._limits()
        self._halt()
        for one in sorted(self._bot.intents, key=lambda one: (one.at, one.id)):
            self._intent(one)
        self._spent()
        return Brought(state=self._name, changes=tuple(self._changes), events=len(self.events))

    def _note(self, part: str, how: How, why: str = "") -> None:
        self._changes.append(Change(part, how, why))

    def _write(self, kind: Kind, at: int, body: dict[str, Any], epoch: int = 0) -> None:
        # Nothing comes from the future: it would look fresh for as long.
        self.events.append(Event(kind, max(0, min(at, self._now)), epoch, body))

    def _require_no_agent(self) -> None:
        for why in reserving.lost_lease(self._book, 0, self._now):
            self._note("lease", "refused", f"{why}; stop the agent first")

    def _tag(self) -> None:
        tag = bytes.fromhex(self._bot.tag)
        if not tag or tag == self._book.tag:
            return
        if not self._book.tag:
            self._write(Kind.TAG, self._now, {"tag": tag})
            self._note("tag", "add")
        elif any(one.held or one.status in _OPEN for one in self._bot.intents):
            why = "orders that are open in the file would be foreign here; import into a new state"
            self._note("tag", "refused", why)
        else:
            self._note("tag", "kept")

    # ------------------------------------------------------------------ documents

    def _documents(self) -> None:
        for trade in self._bot.trades:
            at = trade.at or self._bot.at
            told = {name: one for name, one in builtins_of(trade).items() if name != "at"}
            self._document(TRADES + trade.id, told, at, 1)
        if self._bot.locks:
            self._document(LOCKS, [builtins_of(one) for one in self._bot.locks], self._bot.at, 1)
        for name, one in sorted(self._bot.values.items()):
            self._document(name, one.value, one.at or self._bot.at, one.schema)
        for name, value in sorted(self._bot.extensions.items()):
            refuse_secrets(value, f"The extension {name}")
            pieces = list(_pieces(value, name))
            for place, piece in enumerate(pieces):
                self._document(f"{EXTENSIONS}{name}/{place}", piece, self._bot.at, 1)
            place = len(pieces)  # a longer one before leaves more of them
            while (kept := self._book.documents.get(f"{EXTENSIONS}{name}/{place}")) is not None:
                if kept.value is not None:
                    self._document(f"{EXTENSIONS}{name}/{place}", None, self._bot.at, 1)
                place += 1

    def _document(self, name: str, value: Any, at: int, schema: int) -> None:
        """Set a document; ``value`` None of an extension's piece takes it away."""
        gone = value is None and name.startswith(EXTENSIONS)
        refuse_secrets(value, name)
        text = None if gone else json_text(value, name)
        part = f"document {name_text(name, 'A document')}"
        kept = self._book.documents.get(name)
        stands = kept.version if kept else 0
        if kept is not None and (kept.value, kept.schema) == (text, schema):
            self._note(part, "same")
            return
        if kept is not None and kept.at > at and not self._overwrite:
            newer = (kept.at - at) / 1e6
            self._note(part, "refused", f"what stands here is {newer:.0f} seconds newer")
            return
        told = {"name": name, "version": stands + 1, "schema": schema}
        self._write(Kind.DOCUMENT, at, told if text is None else {**told, "value": text})
        self._note(part, "change" if kept is not None and kept.value is not None else "add")

    def _journal(self, name: str, notes: list[KeptNote]) -> None:
        part = f"journal {name_text(name, 'A journal')}"
        texts = [json_text(one.value, f"A note of {name}") for one in notes]
        here = [
            event.body["value"]
            for _, event in self._past.of(named(Kind.NOTE, name))
            if event.kind == Kind.NOTE
        ]
        shared = min(len(here), len(texts))
        if here[:shared] != texts[:shared]:
            # Notes are what happened: neither side's may be taken away, told to overwrite or not.
            self._note(part, "refused", "its notes here are others than those in the file")
            return
        for one, text in zip(notes[shared:], texts[shared:], strict=True):
            refuse_secrets(one.value, name)
            self._write(Kind.NOTE, one.at, {"journal": name, "value": text})
        new = len(texts) - shared
        self._note(part, "add" if new else "same", f"{new} notes" if new else "")

    # ------------------------------------------------------------------ what forbids

    def _limits(self) -> None:
        for by, given, here in (
            ("agent", self._bot.limits, self._book.limits),
            ("owner", self._bot.owner_limits, self._book.owner_limits),
        ):
            for name, most in sorted(given.items()):
                part = f"{by}'s limit {name}"
                limit(name, 0)
                new = None if most is None else limit(name, most)
                old = here.get(name)
                if name in here and old == new:
                    self._note(part, "same")
                elif name in here and not self._overwrite:
                    stands = "none" if old is None else old.most
                    self._note(part, "refused", f"it is {stands} here and {most or 'none'} there")
                else:
                    body = {"by": by, "limits": {name: new and new.most}}
                    self._write(Kind.LIMITS, self._now, body)
                    self._note(part, "change" if name in here else "add")

    def _halt(self) -> None:
        there, here = self._bot.halt, self._book.halted
        if there is None:
            if here:
                self._note(here, "kept", "the owner said so here; only `resume` lifts it")
            return
        if here in {there.action, "flatten"}:
            self._note(here, "same" if here == there.action else "kept")
            return
        body = {"action": there.action}
        body |= {"why": there.why[:1000]} if there.why else {}
        self._write(Kind.OVERRIDE, there.at or self._bot.at, body)
        self._note(there.action, "add")

    # ------------------------------------------------------------------ intents

    def _intent(self, one: KeptIntent) -> None:
        part = f"intent {one.id}"
        found = bytes.fromhex(one.id)
        if next(self._past.of(found), None) is not None:
            here = reserving.folded(self._book, self._past, found)
            same = here.status == one.status
            why = "" if same else f"the journal here says {here.status}"
            self._note(part, "same" if same else "kept", why)
            return
        if one.key is not None and self._past.keyed(one.key) is not None:
            why = f"its key {one.key!r:.60} decided another action here"
            self._note(part, "refused", why)
            return
        refuse_secrets(one.payload, "The payload")
        intent = Intent(
            id=found, key=one.key, action=name_text(one.action, "An action"), role=one.role,
            target=one.target, payload=json_text(one.payload, "The payload"),
            cost=_amounts(one.cost), holds=tuple(one.holds),
            closes=tuple(map(bytes.fromhex, one.closes)), at=one.at, epoch=one.epoch,
            adopted=one.adopted, by=one.by,
        )  # fmt: skip
        self._write(Kind.INTENT, one.at, intent.body(), one.epoch)
        # What was reserved may have been sent since the file was written.
        status = "unknown" if one.status == "reserved" else one.status
        body: dict[str, Any] = {"id": found, "status": status}
        body |= {"ref": one.ref} if one.ref is not None else {}
        body |= {"filled": amount(one.filled, "filled")} if one.filled is not None else {}
        body |= {"spent": _amounts(one.spent)} if one.spent else {}
        if one.result is not msgspec.UNSET:
            refuse_secrets(one.result, "The result")
            body["result"] = json_text(one.result, "The result")
        body |= {"why": one.why[:1000]} if one.why else {}
        self._write(Kind.SETTLE, one.at, body, one.epoch)
        if one.status == "done" and one.holds and not one.held:
            self._write(Kind.SETTLE, one.at, {"id": found, "status": "closed"}, one.epoch)
        self._note(part, "add", status)

    def _spent(self) -> None:
        """Charge what limits counted there and, after all of the above, do not count here."""
        if not self._bot.spent or any(one.how == "refused" for one in self._changes):
            return
        after = books.opened(self._book.snapshot()) or Book()
        for event in self.events:
            after.fold(after.through + 1, event)
        for unit, minutes in sorted(self._bot.spent.items()):
            for minute, cost in sorted(minutes.items(), key=lambda one: int(one[0])):
                counted = Decimal(after.spent.get(unit, {}).get(int(minute), "0"))
                more = Decimal(amount(cost, unit)) - counted
                if more > 0:
                    at = int(minute) * MINUTE_US
                    body = {"unit": name_text(unit, "A unit"), "amount": amount(more, unit)}
                    self._write(Kind.CHARGE, at, {**body, "why": "imported"})
                    self._note(f"spent {unit}", "add", f"{more:f} at minute {minute}")


_OPEN: Final = frozenset({"reserved", "accepted", "unknown", "absent"})


def _amounts(given: dict[str, str]) -> dict[str, str]:
    return {name_text(unit, "A unit"): amount(one, unit) for unit, one in given.items()}


def _pieces(value: Any, name: str) -> Iterator[str]:
    text = plain_bytes(value).decode()
    name_text(name, "An extension's name")
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE]
