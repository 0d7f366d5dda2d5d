"""`State`: what one agent must not forget, behind the words of docs/acting.md."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from haulout.errors import HauloutError, InputError, StorageError, VaultClosedError
from haulout.state import reserving
from haulout.state.book import Book, settled
from haulout.state.documents import Document, Migrate
from haulout.state.events import (
    TAG_BYTES,
    Event,
    Kind,
    amount,
    json_text,
    name_text,
    require_form,
)
from haulout.state.intents import Entropy, Intent, Role, Status, mint
from haulout.state.journals import Journal
from haulout.state.leases import HeldLease
from haulout.state.limits import limit
from haulout.state.refs import intent_id
from haulout.state.reserving import Reserved
from haulout.state.secrets import refuse_secrets
from haulout.state.tape import MemoryTape, Numbered, Past
from haulout.state.writing import Writing

Value = TypeVar("Value")
Sum = TypeVar("Sum")
_UNITS = 32
"""Units that one intent may cost."""


class State(Writing):
    """What one agent must not forget between two runs.

    Any number of threads and processes may hold the same state; what is decided is decided on
    the newest. `Vault.state` opens one that is durable, `in_memory` its twin.

    Args:
        tape: where events are kept; now: microseconds since 1970 UTC, the agent's clock.
        entropy: random bytes; monotonic: seconds that only grow, for leases.
        patience: seconds to wait for the disk; None waits as long as it takes.
        by: the app that writes, named in what it writes; empty for the state's own agent.
    """

    @classmethod
    def in_memory(
        cls,
        name: str = "backtest",
        *,
        now: Callable[[], int],
        entropy: Entropy = secrets.token_bytes,
        events: Sequence[Event] = (),
    ) -> State:
        """A state without a vault: the same books and answers, gone with the process.

        Args:
            name: its name; now: the backtest's clock; entropy: random bytes.
            events: what happened before, such as those of another state.
        """
        tape = MemoryTape(name, events)
        return cls(tape, now=now, entropy=entropy, monotonic=lambda: now() / 1e6)

    def __repr__(self) -> str:
        return f"<State {self.name}>"

    # ------------------------------------------------------------------ documents and journals

    def document(
        self,
        name: str,
        type: type[Value] | Any = Any,  # noqa: A002 - the word for it
        *,
        schema: int = 1,
        migrate: Mapping[int, Migrate] | None = None,
    ) -> Document[Any]:
        """A typed document; see `Document` for the arguments."""
        return Document(self, name, type, schema=schema, migrate=migrate)

    def get(self, name: str, default: Any = None, *, max_age: timedelta | None = None) -> Any:
        """What a document says, or ``default``.

        Raises:
            StaleStateError: it is older than ``max_age``.
        """
        return self.document(name).get(default, max_age=max_age)

    def set(self, name: str, value: Any, *, expected: int | None = None) -> int:
        """Set a document and return its version; see `Document.set`."""
        return self.document(name).set(value, expected=expected)

    def journal(
        self,
        name: str,
        reducer: Callable[[Sum, Any], Sum],
        initial: Sum,
        *,
        schema: int = 1,
        every: int = 100,
    ) -> Journal[Sum]:
        """A journal and what it adds up to; see `Journal` for the arguments."""
        return Journal(self, name, reducer, initial, schema=schema, every=every)

    # ------------------------------------------------------------------ intents

    def reserve(
        self,
        action: str,
        payload: Any = None,
        *,
        key: str | None = None,
        role: Role = "entry",
        target: str = "",
        cost: Mapping[str, Any] | None = None,
        holds: Sequence[str] = (),
        closes: Sequence[str | bytes] = (),
    ) -> Reserved:
        """Write an action down before it is done; durable when this returns.

        Args:
            action: what is done, such as ``order``; payload: what is sent, JSON's kinds of values.
            key: what decided it, such as a signal's ID. The same key gives the first intent again.
            role: an entry costs or risks something and is bound by limits; an exit is not.
            target: on what, such as ``binance/main/BTC-USDT``.
            cost: amounts by unit; holds: units that stay held once it is done.
            closes: intents whose held costs are given back once this one is done.

        Raises:
            ActionRefusedError: a limit, a halt, a lost lease or an open question forbids it.
            OperationReusedError: the key decided another action. InputError: as it says.
            StorageError: it is not written down; nothing may be sent.
        """
        with self.tape.way:
            wanted = self.intended(
                action, payload, key=key, role=role, target=target, cost=cost, holds=holds,
                closes=closes,
            )  # fmt: skip
            return self.reserve_intent(wanted)

    def intended(
        self,
        action: str,
        payload: Any = None,
        *,
        key: str | None = None,
        role: Role = "entry",
        target: str = "",
        cost: Mapping[str, Any] | None = None,
        holds: Sequence[str] = (),
        closes: Sequence[str | bytes] = (),
    ) -> Intent:
        """An intent with an ID of its own, not written down yet. Arguments as for `reserve`."""
        if role not in {"entry", "exit"}:
            message = f"A role is 'entry' or 'exit', not {str(role)[:40]!r}."
            raise InputError(message)
        costs = {name_text(unit, "A unit"): amount(one, unit) for unit, one in (cost or {}).items()}
        unknown = set(holds) - set(costs)
        if unknown or len(costs) > _UNITS:
            message = (
                f"`holds` names units of `cost`, which has at most {_UNITS}; not {sorted(unknown)}."
            )
            raise InputError(message)
        refuse_secrets(payload, "The payload")
        try:
            tag = self.tag()
        except (StorageError, VaultClosedError):
            if role == "entry":
                raise
            tag = self.entropy(TAG_BYTES)  # an exit goes out, though no recovery knows it by this
        return Intent(
            id=mint(tag, self.epoch, self.entropy),
            key=None if key is None else name_text(key, "A key"),
            action=name_text(action, "An action"),
            role=role,
            target=name_text(target, "A target") if target else "",
            payload=json_text(payload, "The payload"),
            cost=costs,
            holds=tuple(holds),
            closes=tuple(intent_id(one) for one in closes),
            at=self.now(),
            epoch=self.epoch,
            by=self.by,
        )

    def reserve_intent(self, wanted: Intent, *, asked: Container[bytes] | None = None) -> Reserved:
        """Write a prepared intent down; once, however often it is asked for. Raises as `reserve`.

        Args:
            wanted: as `intended` made it.
            asked: where given, intents on the same target whose outcome is unknown, but these,
                are answered with (`Reserved.pending`), and nothing is written.
        """
        now = self.now()
        try:
            return self.append(lambda book, past: reserving.reserve(book, past, wanted, now, asked))
        except StorageError:
            if wanted.role == "entry":
                self._drop_later(wanted)
            raise

    def _drop_later(self, wanted: Intent) -> None:
        """An entry that was refused because the disk hung may be written yet: it was not sent."""
        now = self.now()

        def decide(book: Book, _past: Past) -> tuple[list[Event], None]:
            if wanted.id not in book.intents:
                return [], None
            body = {"id": wanted.id, "status": "dropped", "why": "the disk did not answer in time"}
            return [Event(Kind.SETTLE, now, wanted.epoch, body)], None

        try:
            self.tape.post(decide)
        except HauloutError:
            return  # the database takes nothing more: the intent was not written either

    def settle(
        self,
        intent: Intent | str | bytes,
        status: Status,
        *,
        ref: str | None = None,
        filled: Any = None,
        spent: Mapping[str, Any] | None = None,
        result: Any = None,
        why: str = "",
        wait: bool = True,
    ) -> Intent:
        """Say what became of an intent. Saying the same twice changes nothing.

        One that ended still takes in that more was filled or spent than was known.

        Args:
            intent: it, or its ID; status: what became of it.
            ref: the venue's own ID; filled: how much of it is done; spent: what it cost.
            result: the answer, JSON's kinds of values; why: in words.
            wait: until it is durable; a crash may lose what is not, and a recovery asks again.

        Raises:
            NotFoundError: there is no such intent; ConflictError: it ended otherwise;
            ActionRefusedError: nothing happened, says who has lost the lease;
            StorageError: it is not kept.
        """
        found = intent.id if isinstance(intent, Intent) else intent_id(intent)
        body: dict[str, Any] = {"id": found, "status": status}
        if self.by:
            body["by"] = self.by
        if status not in {
            "accepted", "unknown", "absent", "refused", "dropped", "cancelled", "done",
        }:  # fmt: skip
            message = f"An intent does not become {str(status)[:40]!r}."
            raise InputError(message)
        if ref is not None:
            body["ref"] = str(ref)[:255]
        if filled is not None:
            body["filled"] = amount(filled, "filled")
        if spent:
            body["spent"] = {unit: amount(one, unit) for unit, one in spent.items()}
        if result is not None:
            refuse_secrets(result, "The result")
            body["result"] = json_text(result, "The result")
        if why:
            body["why"] = why[:1000]
        now, epoch = self.now(), self.epoch

        def decide(book: Book, past: Past) -> tuple[list[Event], Intent]:
            return reserving.settle(book, past, found, body, now, epoch)

        if wait:
            return self.append(decide)
        before = self.intent(found)  # what was posted before this may not be in it yet
        require_form(Event(Kind.SETTLE, now, epoch, body))  # nobody hears of it later
        self.tape.post(lambda book, past: (decide(book, past)[0], None))
        return before if before.is_final else settled(before, body)

    def close_held(self, intent: Intent | str | bytes) -> None:
        """Give back what a done intent still holds, such as a position that was closed by hand."""
        found = intent.id if isinstance(intent, Intent) else intent_id(intent)
        now, epoch = self.now(), self.epoch

        def decide(book: Book, _past: Past) -> tuple[list[Event], None]:
            if found not in book.held:
                return [], None
            return [Event(Kind.SETTLE, now, epoch, {"id": found, "status": "closed"})], None

        self.append(decide)

    def send_again(self, intent: Intent) -> list[str]:
        """Write down, before it is sent once more, that an intent is unknown again.

        Returns:
            Why it may not be sent any more, such as an owner's halt since; it was dropped then.
        """
        now, epoch = self.now(), self.epoch
        return self.append(
            lambda book, past: reserving.send_again(book, past, intent.id, now, epoch)
        )

    def adopt(self, intent: Intent, body: Mapping[str, Any]) -> Intent:
        """Write an action down that a venue has and the journal lacks, with what became of it.

        One that the journal gave up for lost (dropped, refused) is open again. Any other that it
        has is answered with, and not changed.
        """
        now = self.now()

        def decide(book: Book, past: Past) -> tuple[list[Event], Intent]:
            for _ in past.of(intent.id):
                known = reserving.folded(book, past, intent.id)
                if known.status not in {"dropped", "refused"}:
                    return [], known
                break
            written = Event(Kind.INTENT, intent.at, self.epoch, intent.body())
            settled = Event(Kind.SETTLE, now, self.epoch, {"id": intent.id, **body})
            return [written, settled], intent

        self.append(decide)
        return self.intent(intent.id)

    def intent(self, intent: str | bytes) -> Intent:
        """An intent, however old.

        Raises:
            NotFoundError: there is no such intent.
        """
        found = intent_id(intent)
        return self.tape.read(lambda book, past: reserving.folded(book, past, found))

    def open_intents(self) -> list[Intent]:
        """Intents that are not final, oldest first."""
        return self.tape.read(lambda book, _past: book.open_intents())

    # ------------------------------------------------------------------ limits and the owner

    def limit(self, name: str, most: Any, *, by_owner: bool = False) -> None:
        """Bound what entries cost; see docs/spec/state.md for names such as ``usd/day``.

        Args:
            name: unit and time; most: how much; None lifts it.
            by_owner: the owner's limit holds before the agent's own, also where it is lifted.

        Raises:
            InputError: there is no such limit; StorageError: it is not kept.
        """
        text = None if most is None else limit(name, most).most
        limit(name, 0)
        body = {"by": "owner" if by_owner else "agent", "limits": {name: text}}
        self._say(Kind.LIMITS, body, by_owner=by_owner)

    def charge(self, unit: str, cost: Any, why: str = "") -> None:
        """Count a cost that no intent named, such as a loss, against the limits of its unit.

        Raises:
            InputError: it is no amount; StorageError: it is not kept.
        """
        body = {"unit": name_text(unit, "A unit"), "amount": amount(cost, unit)}
        if why:
            body["why"] = why[:1000]
        self._say(Kind.CHARGE, body, by_owner=False)

    def pause(self, why: str = "", *, by: str = "owner") -> None:
        """The owner, or a recovery that found something amiss, forbids entries until `resume`."""
        self._override("pause", why, by)

    def flatten(self, why: str = "") -> None:
        """The owner forbids entries and asks the agent to close everything, until `resume`."""
        self._override("flatten", why)

    def resume(self, why: str = "") -> None:
        """The owner allows entries again."""
        self._override("resume", why)

    def _override(self, action: str, why: str, by: str = "owner") -> None:
        body = {"action": action}
        if by != "owner":
            body["by"] = by
        if why:
            body["why"] = why[:1000]
        self._say(Kind.OVERRIDE, body, by_owner=True)

    @property
    def halted(self) -> str:
        """``"pause"`` or ``"flatten"`` where the owner said so, otherwise empty."""
        return self.tape.read(lambda book, _past: book.halted)

    def _say(self, kind: Kind, body: Mapping[str, Any], *, by_owner: bool) -> None:
        now, epoch = self.now(), 0 if by_owner else self.epoch

        def decide(book: Book, _past: Past) -> tuple[list[Event], None]:
            if not by_owner:
                self.require_lease(book, now)
            return [Event(kind, now, epoch, body)], None

        self.append(decide)

    # ------------------------------------------------------------------ the lease

    def lease(self, holder: str, seconds: float) -> HeldLease:
        """Take the right to act, for a time; whoever writes under an older one is refused.

        Args:
            holder: who acts. The same holder takes it over at once, as after a crash.
            seconds: how long; renew it well before.

        Raises:
            ConflictError: another holds it; StorageError: it is not written.
        """
        if not 0 < seconds <= 86_400:  # noqa: PLR2004 - a day
            message = f"A lease lasts more than 0 and at most 86400 seconds, not {seconds}."
            raise InputError(message)
        held = HeldLease(self, holder, seconds)
        held.take()
        return held

    def events(self, after: int = 0) -> Iterator[Numbered]:
        """Everything that happened, in order, after a number."""
        return self.tape.history(after)
