"""The verbs of agent state: open one, look at it, act through it, and what only the owner says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from haulout.errors import InputError, NotFoundError
from haulout.log.memory import checked_namespace
from haulout.vault.openvault import OpenVault

if TYPE_CHECKING:
    from haulout.state.book import Book
    from haulout.state.intents import Outcome
    from haulout.state.state import State
    from haulout.state.tape import Past
    from haulout.vault.statereports import (
        DocumentReport,
        IntentReport,
        RecoveryReport,
        ReservedIntent,
        StateEvent,
        StateReport,
        StatesChanged,
    )

_Answer = TypeVar("_Answer")


class Stating(OpenVault):
    """States: what agents must not forget between two runs. See docs/acting.md."""

    def state(
        self,
        name: str,
        *,
        now: Callable[[], int] | None = None,
        patience: float | None = None,
    ) -> State:
        """One agent's state, made with its first event.

        Args:
            name: a path such as ``bots/btc``.
            now: the agent's clock, microseconds since 1970 UTC; the vault's where none is given.
            patience: seconds to wait for the disk before an entry is refused.

        Raises:
            InputError: the name is none; DamagedError: the lane is not what was acknowledged;
            ReadOnlyError: this is a replica without one; StorageError: as it says.
        """
        return self._lane.state(name, now, patience)

    def states(self) -> list[str]:
        """The names of all states, in order.

        Raises:
            ReadOnlyError: this is a replica, which has none; StorageError: they cannot be read.
        """
        return self._lane.names()

    def show_state(self, state: str) -> StateReport:
        """A state at a glance: documents, open intents, limits, and what forbids entries.

        Raises:
            NotFoundError: there is no such state.
        """
        from haulout.vault.statereports import state_report

        found = self._known(state)
        return self._looked(found, lambda book: state_report(found.name, book, found.now()))

    def state_events(self, state: str, *, after: int = 0, limit: int = 1000) -> list[StateEvent]:
        """The journal of a state, in order: everything that happened after an event's number.

        Args:
            state: its name; after: a number, 0 for the beginning; limit: at most so many.

        Raises:
            NotFoundError: there is no such state.
        """
        from itertools import islice

        from haulout.vault.statereports import event_report

        found = self._known(state)
        return [event_report(one) for one in islice(found.events(max(0, after)), max(0, limit))]

    # ------------------------------------------------------------------ reserve, act, settle

    def reserve(
        self,
        action: str,
        payload: Any = None,
        *,
        state: str = "default",
        key: str | None = None,
        role: Literal["entry", "exit"] = "entry",
        target: str = "",
        cost: Mapping[str, Any] | None = None,
        holds: Sequence[str] = (),
        closes: Sequence[str] = (),
        by: str = "",
    ) -> ReservedIntent:
        """Write an action down before it is done; durable when this returns.

        Args:
            action: what is done, such as ``send email``; payload: what is sent.
            state: whose journal it stands in; made with its first event.
            key: what decided it. The same key gives the first intent again, ``fresh`` False.
            role, target, cost, holds, closes: as for `State.reserve`.
            by: the app that asks; what it writes carries its name.

        Raises:
            ActionRefusedError: a limit, a halt, a lease or an open question forbids it.
            OperationReusedError: the key decided another action. InputError: as it says.
            StorageError: it is not written down; nothing may be sent.
        """
        from haulout.vault.statereports import ReservedIntent, intent_report

        reserved = self._lane.state(state, by=by).reserve(
            action, payload, key=key, role=role, target=target, cost=cost, holds=holds,
            closes=closes,
        )  # fmt: skip
        return ReservedIntent(fresh=reserved.fresh, intent=intent_report(reserved.intent))

    def settle(
        self,
        intent: str,
        status: Outcome,
        *,
        state: str = "default",
        ref: str | None = None,
        filled: str | None = None,
        spent: Mapping[str, Any] | None = None,
        result: Any = None,
        why: str = "",
        by: str = "",
    ) -> IntentReport:
        """Say what became of an intent. Saying the same twice changes nothing.

        Args:
            intent: its ID; status: what became of it; state: whose journal it stands in.
            ref, filled, spent, result, why: as for `State.settle`; by: the app that says so.

        Raises:
            NotFoundError: there is no such intent or state; ConflictError: it ended otherwise;
            StorageError: it is not kept.
        """
        from haulout.vault.statereports import intent_report

        settled = self._known(state, by).settle(
            intent, status, ref=ref, filled=filled, spent=spent, result=result, why=why
        )
        return intent_report(settled)

    def recover(
        self, state: str = "default", *, max_age: timedelta | None = None
    ) -> RecoveryReport:
        """What to read before the first action after a start: what is open, what documents say.

        Nothing is written, and no venue is asked; `Actor.recover` asks one. Of a state that is not
        there yet it says that nothing was begun, and which others there are.

        Args:
            state: its name; max_age: older documents forbid entries.

        Raises:
            InputError: the name is none; ReadOnlyError: this is a replica, which has no states;
            StorageError: it cannot be read.
        """
        from haulout.state.book import Book
        from haulout.vault.statereports import recovery_report

        names = self._lane.names()
        if state not in names:
            name = checked_namespace(state)
            return recovery_report(name, Book(), self._journal.now(), others=tuple(names))
        found = self._known(state)
        return self._looked(
            found, lambda book: recovery_report(found.name, book, found.now(), max_age)
        )

    # ------------------------------------------------------------------ documents

    def get_document(self, name: str, *, state: str = "default") -> DocumentReport:
        """A document of a state with its version and age, in the form it was written in.

        Raises:
            NotFoundError: there is no such document or state.
        """
        from haulout.vault.statereports import document_report

        found = self._known(state)
        kept = self._looked(found, lambda book: book.documents.get(name))
        if kept is None or kept.value is None:
            message = f"There is no document {name[:60]!r} in {found.name}."
            raise NotFoundError(message)
        return document_report(name, kept, found.now())

    def set_document(
        self,
        name: str,
        value: Any,
        *,
        state: str = "default",
        expected: int | None = None,
        by: str = "",
    ) -> int:
        """Set a document of a state; durable when this returns. The answer is its version.

        Args:
            name: its name; value: JSON's kinds of values; state: whose; made with its first event.
            expected: the version that must stand; 0 where there must be none.
            by: the app that sets it.

        Raises:
            ConflictError: another version stands; InputError: no JSON, or a secret;
            ActionRefusedError: another holds the lease; StorageError: it is not kept.
        """
        found = self._lane.state(state, by=by)
        kept = self._looked(found, lambda book: book.documents.get(name))
        schema = kept.schema if kept else 1  # a value in the form that its agent reads
        return found.document(name, schema=schema).set(value, expected=expected)

    # ------------------------------------------------------------------ what only the owner says

    def pause_states(self, states: str, *, why: str = "") -> StatesChanged:
        """Forbid entries until `resume_states`; agents that run meet it at their next decision.

        Args:
            states: a state's name, or the beginning of several with ``*`` at its end.
            why: in words; agents are told.

        Raises:
            NotFoundError: there is no such state; StorageError: it is not kept.
        """
        return self._overridden("pause", states, lambda state: state.pause(why))

    def flatten_states(self, states: str, *, why: str = "") -> StatesChanged:
        """Forbid entries and ask agents to close what they hold. Arguments as `pause_states`."""
        return self._overridden("flatten", states, lambda state: state.flatten(why))

    def resume_states(self, states: str, *, why: str = "") -> StatesChanged:
        """Allow entries again. Arguments and errors as `pause_states`."""
        return self._overridden("resume", states, lambda state: state.resume(why))

    def limit_states(
        self, states: str, limit: str, most: Any, *, create: bool = False
    ) -> StatesChanged:
        """Bound what entries cost, before any limit that the agent has set for itself.

        Args:
            states: a state's name, or the beginning of several with ``*`` at its end.
            limit: unit and time, such as ``usd/day``; most: how much; None: as much as it wants.
            create: make a state of this name where there is none, for an agent still to start.

        Raises:
            InputError: there is no such limit; NotFoundError: there is no such state.
        """
        if create and not states.endswith("*"):
            self._lane.state(states).limit(limit, most, by_owner=True)
            return self._changed("limit", [states])
        return self._overridden(
            "limit", states, lambda state: state.limit(limit, most, by_owner=True)
        )

    # ------------------------------------------------------------------ what the verbs share

    def _known(self, name: str, by: str = "") -> State:
        if name not in self._lane.names():
            message = f"There is no state {name[:60]!r}."
            raise NotFoundError(message, hint="`haulout state list` shows those there are.")
        return self._lane.state(name, by=by)

    @staticmethod
    def _looked(state: State, look: Callable[[Book], _Answer]) -> _Answer:
        def at_book(book: Book, _past: Past) -> _Answer:
            return look(book)

        return state.tape.read(at_book)

    def _overridden(self, action: str, states: str, say: Callable[[State], None]) -> StatesChanged:
        names = self._matching(states)
        for name in names:
            say(self._lane.state(name))
        return self._changed(action, names)

    @staticmethod
    def _changed(action: str, names: Sequence[str]) -> StatesChanged:
        from haulout.vault.statereports import StatesChanged

        return StatesChanged(action=action, states=tuple(names))

    def _matching(self, states: str) -> list[str]:
        """The states that a name or its beginning means."""
        beginning = states.rstrip("*")
        if "*" in beginning:
            message = f"{states[:60]!r} has a * that is not at its end."
            raise InputError(message, hint="`bots/*` means every state whose name begins so.")
        if beginning == states:
            return [self._known(states).name]
        found = [name for name in self._lane.names() if name.startswith(beginning)]
        if not found:
            message = f"There is no state whose name begins with {beginning[:60]!r}."
            raise NotFoundError(message, hint="`haulout state list` shows those there are.")
        return found
