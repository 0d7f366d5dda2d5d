"""One conversation with a model, whichever client holds it: recalled before, remembered after.

    before a call    what the last user turn brings to mind is packed into a context
    after it         the user's turns and the answer are put into the vault's backlog

Nothing here breaks or delays the model's call: an error of the vault is a warning, and writing
happens on the backlog's thread. Only when a thousand turns wait does a call wait for room.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from haulout.errors import ErasedError, HauloutError, OperationReusedError
from haulout.operations import GetContext, Remember, app, execute
from haulout.vault import Vault
from haulout.vault.asynchronous import AsyncVault
from haulout.vault.threads import Threads

USER, ASSISTANT, ELSEWHERE = "user", "assistant", "elsewhere"
TURN = "turn"
_WINDOW = 3
_CONTEXTS_KEPT = 64
_QUERY_END = 1000
_TEXTS_KNOWN = 200
_ENVELOPE = re.compile(
    r"<haulout-memories boundary=([0-9a-f]+)>.*?</haulout-memories boundary=\1>\n?", re.DOTALL
)


class WithoutMemoryWarning(UserWarning):
    """A model was called without recalling first, or what was said could not be remembered."""


class Turn(NamedTuple):
    """What one side said. `ELSEWHERE` stands for turns that the provider keeps."""

    speaker: str
    text: str


@dataclass
class Answer:
    """What was heard of an answer: its text so far, and whether it came to its end."""

    text: str = ""
    finished: bool = False


class Conversation:
    """One session: what is said in it is remembered, and what is known comes to mind in it."""

    def __init__(
        self,
        vault: Vault | AsyncVault,
        *,
        source: str,
        namespace: str = "default",
        recall_from: str | None = None,
        session: str | None = None,
        speaker: str = USER,
        budget: int = 1000,
    ) -> None:
        """Begin or go on with a session.

        Args:
            vault: where to recall and remember; it must stay open.
            source: what the turns come from, a name as an app has one; it is who asks here.
            namespace: where turns are remembered; ``recall_from``: what is recalled, a namespace
                or a subtree such as ``work/**``, ``namespace`` alone where it is not given.
            session: the session's name. The same name later goes on with it, and turns sent
                again are not remembered twice; without one, each `Conversation` has its own.
            speaker: who the user is.
            budget: tokens that the recalled context may have.
        """
        self._vault = vault.vault if isinstance(vault, AsyncVault) else vault
        self._principal = app(source)
        self._source, self._namespace, self._speaker = source, namespace, speaker
        self._recall_from, self._budget = recall_from or namespace, budget
        self._session = session or f"{source}:{uuid.uuid4().hex}"
        self._lock = threading.Lock()
        self._contexts: OrderedDict[str, str] = OrderedDict()
        self._warned: set[str] = set()
        self._failure: HauloutError | None = None
        self._threads: Threads | None = None

    # ------------------------------------------------------------------ before a call

    def recall(self, said: Sequence[Turn]) -> str:
        """The context for the last user turn of what was said; empty where nothing is known.

        The same turn gets the same text again, so that the calls of one turn (tools, retries)
        send the provider one prefix to cache.
        """
        said = [Turn(turn.speaker, _without_envelopes(turn.text)) for turn in said]
        last = next((n for n in reversed(range(len(said))) if said[n].speaker == USER), None)
        if last is None or not said[last].text.strip():
            return ""
        identity = self._identity(said[: last + 1])
        with self._lock:
            if identity in self._contexts:
                self._contexts.move_to_end(identity)
                return self._contexts[identity]
        operation = GetContext(
            query=_query(said[last].text),
            namespace=self._recall_from,
            budget=self._budget,
            without=tuple(turn.text for turn in said[-_TEXTS_KNOWN:]),
        )
        try:
            context = str(execute(self._vault, self._principal, operation).text)
        except HauloutError as error:
            self._warn("Nothing was recalled for this call.", error)
            return ""
        with self._lock:
            self._warned.discard("Nothing was recalled for this call.")
            self._contexts[identity] = context
            if len(self._contexts) > _CONTEXTS_KEPT:
                self._contexts.popitem(last=False)
        return context

    async def recall_async(self, said: Sequence[Turn]) -> str:
        """As `recall`, on a thread."""
        return await self._own_threads().run(self.recall, said)

    def _own_threads(self) -> Threads:
        with self._lock:
            if self._threads is None:
                self._threads = Threads()
            return self._threads

    # ------------------------------------------------------------------ after it

    def remember_said(self, said: Sequence[Turn], when: datetime) -> Callable[[], None] | None:
        """The job that keeps the user's turns since the last answer, or None for none."""
        said = [Turn(turn.speaker, _without_envelopes(turn.text)) for turn in said]
        first = len(said)
        while first and said[first - 1].speaker == USER:
            first -= 1
        kept = [
            self._operation(said[: n + 1], self._speaker, when) for n in range(first, len(said))
        ]
        return self._job([operation for operation in kept if operation.text.strip()])

    def remember_answer(
        self, said: Sequence[Turn], answer: Answer, model: object
    ) -> Callable[[], None] | None:
        """The job that keeps an answer, or None where it says nothing, such as a tool's call."""
        said = [Turn(turn.speaker, _without_envelopes(turn.text)) for turn in said]
        said.append(Turn(ASSISTANT, _without_envelopes(answer.text)))
        about: dict[str, Any] = {"model": model} if isinstance(model, str) else {}
        about |= {} if answer.finished else {"unfinished": True}
        operation = self._operation(said, ASSISTANT, datetime.now(UTC), about or None)
        return self._job([operation] if operation.text.strip() else [])

    def put(self, job: Callable[[], None] | None) -> None:
        """Have a job done off this path; waits only while the backlog is full."""
        if job is not None:
            try:
                self._vault.backlog.put(job)
            except HauloutError as error:
                self._not_remembered(error)

    async def put_async(self, job: Callable[[], None] | None) -> None:
        """As `put`, without the event loop waiting."""
        if job is not None:
            try:
                if not self._vault.backlog.offer(job):
                    await self._own_threads().run(self._vault.backlog.put, job)
            except HauloutError as error:
                self._not_remembered(error)

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything said so far is on the disk.

        Raises:
            TimeoutError: it took longer than ``timeout`` seconds. HauloutError: something said
            since the last flush could not be remembered; this is the first such error.
        """
        if not self.settle(timeout):
            message = f"Not everything was remembered within {timeout} seconds; it goes on."
            raise TimeoutError(message)
        with self._lock:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def flush_async(self) -> None:
        """As `flush`, on a thread."""
        await self._own_threads().run(self.flush)

    def settle(self, timeout: float | None = None) -> bool:
        """Wait as `flush` does, and only say whether everything was dealt with."""
        return self._vault.backlog.finish(timeout)

    async def settle_async(self) -> None:
        """As `settle`, on a thread."""
        await self._own_threads().run(self.settle)

    def _job(self, operations: list[Remember]) -> Callable[[], None] | None:
        return partial(self._keep, operations) if operations else None

    def _keep(self, operations: list[Remember]) -> None:
        for operation in operations:
            try:
                execute(self._vault, self._principal, operation)
            except (OperationReusedError, ErasedError):
                continue  # it was kept when it was said first, or the owner erased it since
            except HauloutError as error:
                self._not_remembered(error)
                return
        with self._lock:
            self._warned.discard("What was said was not remembered.")

    # ------------------------------------------------------------------ in common

    def _operation(
        self,
        said: Sequence[Turn],
        speaker: str,
        when: datetime,
        metadata: dict[str, Any] | None = None,
    ) -> Remember:
        """The writing of the last turn of what was said."""
        return Remember(
            text=said[-1].text,
            namespace=self._namespace,
            kind=TURN,
            speaker=speaker,
            session=self._session,
            occurred_at=when,
            metadata=metadata,
            source=self._source,
            op_id=self._identity(said),
        )

    def _identity(self, said: Sequence[Turn]) -> str:
        """The operation ID of the last turn: the same whenever the conversation is sent again.

        Made of the turn and the two before it, not of its number: a program may send only the
        end of a long conversation. Of equal windows the number of earlier ones tells them apart.
        """
        window = said[-_WINDOW:]
        ends = range(len(window), len(said))
        before = sum(said[end - len(window) : end] == window for end in ends)
        place = [self._source, self._namespace, self._session, self._speaker, before, *window]
        digest = hashlib.blake2b(json.dumps(place).encode(), digest_size=16).hexdigest()
        return f"{self._source}:{digest}"

    def _not_remembered(self, error: HauloutError) -> None:
        with self._lock:
            self._failure = self._failure or error
        self._warn("What was said was not remembered.", error)

    def _warn(self, what: str, error: HauloutError) -> None:
        """Tell it once, and again only when it had worked in between."""
        with self._lock:
            if what in self._warned:
                return
            self._warned.add(what)
        warnings.warn(f"{what} {error}", WithoutMemoryWarning, stacklevel=5)


def _without_envelopes(text: str) -> str:
    """A text without contexts that Haulout packed: what was recalled is not remembered again."""
    return _ENVELOPE.sub("", text) if "<haulout-memories" in text else text


def _query(text: str) -> str:
    """A question short enough to be one: a long text's beginning and end."""
    if len(text) <= 2 * _QUERY_END:
        return text
    return f"{text[:_QUERY_END]} {text[-_QUERY_END:]}"
