"""Questions to several volumes at once, and their answers as they come.

Each volume has a few threads of its own, its *line*, so that one that hangs keeps nobody else
waiting. A `Round` is one caller's conversation with the lines: it asks, takes answers in the
order in which they come, is told of questions that are late, and at its end cancels what has not
begun. What has begun ends by itself; backends bound every call.

`Pace` remembers how fast each volume answered and which failed lately.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition, Lock
from types import TracebackType
from typing import Final, Generic, NamedTuple, TypeVar

from haulout.errors import HauloutError, InputError
from haulout.storage.backend import Backend
from haulout.storage.volumes.clock import Clock

AVOIDED_FOR: Final = 30.0  # seconds: a volume that failed is asked last for so long
_WEIGHT_OF_NEWEST: Final = 0.3  # of the moving mean of latencies

T = TypeVar("T")


class Pace:
    """How fast each volume answered lately, and which of them failed. Safe between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._latency: dict[str, float] = {}
        self._avoided: dict[str, float] = {}
        self._last_fault: dict[str, str] = {}

    def answered(self, volume: str, seconds: float) -> None:
        """Take an answer's time into the volume's moving mean."""
        with self._lock:
            before = self._latency.get(volume, seconds)
            self._latency[volume] = before + _WEIGHT_OF_NEWEST * (seconds - before)

    def failed(self, volume: str, words: str) -> None:
        """Ask this volume last for a while."""
        with self._lock:
            self._avoided[volume] = self._clock.now() + AVOIDED_FOR
            self._last_fault[volume] = words

    def latency(self, volume: str) -> float | None:
        """Seconds for one answer, a moving mean; None where it never answered."""
        with self._lock:
            return self._latency.get(volume)

    def last_fault(self, volume: str) -> str | None:
        """What went wrong last with the volume, in words."""
        with self._lock:
            return self._last_fault.get(volume)

    def rank(self, volume: str) -> tuple[bool, float]:
        """A sort key: those that failed lately last, then the fastest known first.

        One that never answered counts as fast, so that it gets to be known.
        """
        with self._lock:
            avoided = self._avoided.get(volume, float("-inf")) > self._clock.now()
            return avoided, self._latency.get(volume, 0.0)

    def avoided(self, volume: str) -> bool:
        """Whether the volume failed lately."""
        return self.rank(volume)[0]


def no_pause() -> None:
    """Between two calls to volumes: go on at once."""


class Lines:
    """The backends of a set, each with its few threads.

    Args:
        backends: by volume ID; ``workers``: threads of each; ``clock``: what time it is.
        between: called before each call to a volume is handed over, and before it is made.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        workers: int,
        clock: Clock,
        between: Callable[[], None] = no_pause,
    ) -> None:
        self.clock, self.between = clock, between
        self.pace = Pace(clock)
        self._closed = False
        self._backends = dict(backends)
        self._pools = {
            name: ThreadPoolExecutor(workers, f"volume-{name}") for name in self._backends
        }

    def submit(self, volume: str, call: Callable[[Backend], T]) -> Future[T]:
        """Have one of the volume's threads make a call.

        Raises:
            InputError: the set was closed.
        """
        if self._closed:
            raise InputError("This set of volumes was closed.", hint="Open it again.")
        self.between()
        return self._pools[volume].submit(self._timed, volume, call)

    def _timed(self, volume: str, call: Callable[[Backend], T]) -> T:
        self.between()
        begun = self.clock.now()
        answer = call(self._backends[volume])
        self.pace.answered(volume, self.clock.now() - begun)
        return answer

    def close(self) -> None:
        """Cancel what has not begun, and give the threads back as their calls end."""
        self._closed = True
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


class Question(NamedTuple, Generic[T]):
    """One call to make on one volume; ``shard`` is what it is about, None for the volume."""

    volume: str
    shard: int | None
    call: Callable[[Backend], T]


class Answer(NamedTuple, Generic[T]):
    """What a call gave: a value or one of our errors. Late where it was asked for too long ago."""

    question: Question[T]
    value: T | None
    error: HauloutError | None


class Round(Generic[T]):
    """One caller's questions and their answers; use it in a ``with`` statement.

    Args:
        lines: the volumes; ``hedge_after``: seconds after which a question counts as late.
    """

    def __init__(self, lines: Lines, hedge_after: float) -> None:
        self._lines = lines
        self._hedge_after = hedge_after
        self._condition = Condition()
        self._done: deque[tuple[Question[T], Future[T]]] = deque()
        self._due: dict[int, tuple[Question[T], Future[T], float]] = {}
        self._late: dict[int, tuple[Question[T], Future[T], float]] = {}

    def __enter__(self) -> Round[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def on_time(self) -> int:
        """How many questions are unanswered and not late."""
        return len(self._due)

    @property
    def outstanding(self) -> int:
        """How many questions are unanswered."""
        return len(self._due) + len(self._late)

    def unanswered(self) -> list[Question[T]]:
        """The questions that have no answer yet."""
        return [question for question, *_ in (*self._due.values(), *self._late.values())]

    def ask(self, question: Question[T]) -> None:
        """Start one call."""
        future = self._lines.submit(question.volume, question.call)
        self._due[id(future)] = (question, future, self._lines.clock.now() + self._hedge_after)
        future.add_done_callback(lambda done: self._arrived(question, done))

    def next(self, until: float | None = None) -> Answer[T] | Question[T] | None:
        """The next answer; or a question that has become late; or None when it is ``until``.

        Args:
            until: a moment of the clock; None to wait for as long as it takes.
        """
        clock = self._lines.clock
        while True:
            with self._condition:
                if not self._done:
                    now = clock.now()
                    late = next((key for key, due in self._due.items() if due[2] <= now), None)
                    if late is not None:
                        self._late[late] = self._due.pop(late)
                        return self._late[late][0]
                    if (until is not None and until <= now) or not self.outstanding:
                        return None
                    moments = [due[2] for due in self._due.values()]
                    moments += [] if until is None else [until]
                    seconds = min(moments) - now if moments else None
                    names = {question.volume for question in self.unanswered()}
                    clock.wait(self._condition, seconds, names)
                    continue
                question, future = self._done.popleft()
            self._due.pop(id(future), None)
            self._late.pop(id(future), None)
            self._lines.between()
            return self._answer(question, future)

    def end(self) -> list[Future[T]]:
        """Cancel what has not begun; return the calls that still run."""
        with self._condition:
            left = [future for _, future, _ in (*self._due.values(), *self._late.values())]
        running = [future for future in left if not future.cancel() and not future.done()]
        self._due.clear()
        self._late.clear()
        return running

    def _answer(self, question: Question[T], future: Future[T]) -> Answer[T]:
        try:
            return Answer(question, future.result(), None)
        except HauloutError as error:
            return Answer(question, None, error)

    def _arrived(self, question: Question[T], future: Future[T]) -> None:
        if future.cancelled():
            return
        with self._condition:
            self._done.append((question, future))
            self._condition.notify_all()


def ask_all(lines: Lines, hedge_after: float, questions: Iterable[Question[T]]) -> list[Answer[T]]:
    """Ask everything at once, and wait for every answer."""
    answers: list[Answer[T]] = []
    with Round[T](lines, hedge_after) as talk:
        for question in questions:
            talk.ask(question)
        while talk.outstanding:
            found = talk.next()
            if isinstance(found, Answer):
                answers.append(found)
    return answers
