"""The verbs that read: recall, context, get, list, history and the figures.

What a recall does is in `haulout.index.search`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from haulout.database.transaction import Transaction
from haulout.errors import InputError
from haulout.index import memories
from haulout.index.columns import Scope
from haulout.index.context import Context, pack
from haulout.index.search import Query, Recalled
from haulout.log.memory import Memory
from haulout.log.record import id_bytes
from haulout.vault import history, inspection, writing
from haulout.vault.arguments import (
    checked_count,
    checked_query,
    conditions,
    floats,
    time_argument,
)
from haulout.vault.openvault import OpenVault
from haulout.vault.replica import note as replica
from haulout.vault.stores.standing import published_through, told_remote
from haulout.vault.values import Event, Page, Stats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RECALL_LIMIT = 1000
CONTEXT_BUDGET = 1_000_000
_CONTEXT_CANDIDATES = 60


class Recalling(OpenVault):
    """What asks a vault."""

    def recall(
        self,
        query: str | None = None,
        *,
        vector: ArrayLike | None = None,
        namespace: str | None = None,
        limit: int = 10,
        as_of: datetime | str | None = None,
        valid_at: datetime | str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        tags: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word callers know
        explain: bool = False,
    ) -> list[Recalled]:
        """Find what answers a question, best first; without one, the newest memories.

        Args:
            query: the question, in words.
            vector: the question's embedding, where memories were kept with vectors of yours.
            namespace: a namespace, a subtree such as ``work/**``, or None for everything.
            limit: at most so many, 1 to 1,000.
            as_of: answer with what was recorded by then; valid_at: with what was true then.
            since, until: only what happened in [since, until).
            tags: only memories with all of these; filter: docs/spec/filter.md.
            explain: fill in `.why`, the addends of each score.

        Raises:
            InputError, LimitError, FilterError: an argument is wrong.
        """
        checked_count(limit, "limit", RECALL_LIMIT)
        query = checked_query(query)
        given, model = (None, None) if vector is None else (floats(vector), None)
        if given is None and query:
            given, model = self._meaning.of_query(query)

        def asked(connection: Transaction) -> Query:
            moment = time_argument(as_of, "as_of")
            return Query(
                scope=Scope(
                    namespaces=tuple(memories.namespaces(connection, self._parts.vault, namespace)),
                    as_of=moment,
                    valid_at=time_argument(valid_at, "valid_at"),
                ),
                text=query,
                vector=given,
                model=model,
                now=self._journal.now() if moment is None else moment,
                limit=limit,
                since=time_argument(since, "since"),
                until=time_argument(until, "until"),
                conditions=conditions(filter, tags),
            )

        with self._database.read() as connection:
            found = self._searcher.search(connection, asked)
        return found if explain else [msgspec.structs.replace(one, why={}) for one in found]

    def context(
        self,
        query: str,
        *,
        namespace: str | None = None,
        budget: int = 1000,
        without: Sequence[str] = (),
    ) -> Context:
        """Recall, packed for a prompt: cited lines inside an envelope, in at most so many tokens.

        Args:
            query, namespace: as for `recall`; ``budget``: tokens, estimated, 1 to 1,000,000.
            without: texts that the prompt holds already; memories that say no more are left out.
        """
        checked_count(budget, "budget", CONTEXT_BUDGET)
        found = self.recall(query, namespace=namespace, limit=_CONTEXT_CANDIDATES)
        return pack(found, budget, secrets.token_hex(8), without)

    def get(self, id: str) -> Memory:  # noqa: A002 - the word callers know
        """The newest version of one memory.

        Raises:
            NotFoundError: none, or it was forgotten; ErasedError: it was erased.
        """
        memory_id = id_bytes(id)
        with self._database.read() as connection:
            _, now = writing.visible_place(connection, self._journal, memory_id)
            through = published_through(connection, self._parts.vault)
            return told_remote(memories.read(connection, [now.num])[0], now.num, through)

    def resolve(self, prefix: str, *, of: Literal["memory", "operation"] = "memory") -> str:
        """The whole ID of the one memory (or operation) whose ID begins so.

        Args:
            prefix: at least 6 of the ID's 26 characters; ``of``: what the ID is of.

        Raises:
            NotFoundError: there is none; ConflictError: there are several. InputError: too short.
        """
        with self._database.read() as connection:
            return history.resolve(connection, self._journal, prefix, of)

    def list(
        self,
        *,
        namespace: str | None = None,
        limit: int = 50,
        after: str | None = None,
        tags: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the word callers know
    ) -> Page:
        """Memories by age, newest first, a page at a time.

        Args:
            namespace, tags, filter: as for `recall`; ``limit``: 1 to 1,000 a page.
            after: the `next` of the page before.
        """
        checked_count(limit, "limit", RECALL_LIMIT)
        with self._database.read() as connection:
            before = None
            if after is not None and (before := self._journal.find(connection, id_bytes(after))) is None:  # fmt: skip  # noqa: E501
                message = f"{after!r} is not the `next` of a page."
                raise InputError(message)
            nums = memories.matching(
                connection,
                self._parts.vault,
                memories.namespaces(connection, self._parts.vault, namespace),
                conditions(filter, tags),
                before=before,
                limit=limit + 1,
            )
            through = published_through(connection, self._parts.vault)
            pairs = zip(memories.read(connection, nums[:limit]), nums[:limit], strict=True)
            found = [told_remote(memory, num, through) for memory, num in pairs]
        following = found[-1].id if len(nums) > limit else None
        return Page(memories=tuple(found), next=following)

    def history(self, id: str) -> list[Event]:  # noqa: A002 - the word callers know
        """Everything that happened to a memory, oldest first, erased ones included.

        Raises:
            NotFoundError: there never was such a memory.
        """
        with self._database.read() as connection:
            return history.events(connection, self._journal, id_bytes(id))

    def namespaces(self) -> list[str]:
        """The names of the namespaces that hold something, sorted."""
        with self._database.read() as connection:
            return sorted(inspection.stats(connection, self._parts, None).namespaces)

    def stats(self) -> Stats:
        """The vault in figures."""
        model = self._meaning.model
        with self._database.read() as connection:
            found = inspection.stats(connection, self._parts, model)
            age = replica.age(connection, self._parts.vault)
        if age is not None:
            return msgspec.structs.replace(found, **age._asdict(), durability="remote")
        # The stores are looked at after the records: then what is remote is all that was counted.
        stores = self._remote.status().stores
        if stores and not any(one.failure or one.waiting for one in stores):
            found = msgspec.structs.replace(found, durability="remote")
        lane, failure = self._lane_or_why()
        if lane is None:
            return msgspec.structs.replace(found, states_failure=failure)
        from haulout.vault import statekeeping

        states = statekeeping.count(lane)
        return msgspec.structs.replace(
            found, states=states.states, state_records=states.records,
            bytes=found.bytes + states.bytes,
        )  # fmt: skip
