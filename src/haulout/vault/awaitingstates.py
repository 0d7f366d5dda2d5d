"""The verbs of agent state, awaited.

Made from the modules of `Vault` by tools/async_vault.py: change those, then run the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from haulout.vault.threads import Threads
from haulout.vault.vault import Vault

if TYPE_CHECKING:
    from haulout.state.intents import Outcome
    from haulout.state.state import State
    from haulout.vault.statereports import (
        DocumentReport,
        IntentReport,
        RecoveryReport,
        ReservedIntent,
        StateEvent,
        StateReport,
        StatesChanged,
    )


class AwaitingStates:
    """Verbs of a vault, each run on one of its threads: a part of `AsyncVault`."""

    _vault: Vault
    _threads: Threads

    async def state(
        self, name: str, *, now: Callable[[], int] | None = None, patience: float | None = None
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
        return await self._threads.run(self._vault.state, name, now=now, patience=patience)

    async def states(self) -> list[str]:
        """The names of all states, in order.

        Raises:
            ReadOnlyError: this is a replica, which has none; StorageError: they cannot be read.
        """
        return await self._threads.run(self._vault.states)

    async def show_state(self, state: str) -> StateReport:
        """A state at a glance: documents, open intents, limits, and what forbids entries.

        Raises:
            NotFoundError: there is no such state.
        """
        return await self._threads.run(self._vault.show_state, state)

    async def state_events(
        self, state: str, *, after: int = 0, limit: int = 1000
    ) -> list[StateEvent]:
        """The journal of a state, in order: everything that happened after an event's number.

        Args:
            state: its name; after: a number, 0 for the beginning; limit: at most so many.

        Raises:
            NotFoundError: there is no such state.
        """
        return await self._threads.run(self._vault.state_events, state, after=after, limit=limit)

    async def reserve(
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
        return await self._threads.run(
            self._vault.reserve,
            action,
            payload,
            state=state,
            key=key,
            role=role,
            target=target,
            cost=cost,
            holds=holds,
            closes=closes,
            by=by,
        )

    async def settle(
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
        return await self._threads.run(
            self._vault.settle,
            intent,
            status,
            state=state,
            ref=ref,
            filled=filled,
            spent=spent,
            result=result,
            why=why,
            by=by,
        )

    async def recover(
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
        return await self._threads.run(self._vault.recover, state, max_age=max_age)

    async def get_document(self, name: str, *, state: str = "default") -> DocumentReport:
        """A document of a state with its version and age, in the form it was written in.

        Raises:
            NotFoundError: there is no such document or state.
        """
        return await self._threads.run(self._vault.get_document, name, state=state)

    async def set_document(
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
        return await self._threads.run(
            self._vault.set_document, name, value, state=state, expected=expected, by=by
        )

    async def pause_states(self, states: str, *, why: str = "") -> StatesChanged:
        """Forbid entries until `resume_states`; agents that run meet it at their next decision.

        Args:
            states: a state's name, or the beginning of several with ``*`` at its end.
            why: in words; agents are told.

        Raises:
            NotFoundError: there is no such state; StorageError: it is not kept.
        """
        return await self._threads.run(self._vault.pause_states, states, why=why)

    async def flatten_states(self, states: str, *, why: str = "") -> StatesChanged:
        """Forbid entries and ask agents to close what they hold. Arguments as `pause_states`."""
        return await self._threads.run(self._vault.flatten_states, states, why=why)

    async def resume_states(self, states: str, *, why: str = "") -> StatesChanged:
        """Allow entries again. Arguments and errors as `pause_states`."""
        return await self._threads.run(self._vault.resume_states, states, why=why)

    async def limit_states(
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
        return await self._threads.run(self._vault.limit_states, states, limit, most, create=create)
