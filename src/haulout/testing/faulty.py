"""A backend that fails as places do: silent, slow, forgetful, rotten, stale or lying.

    faulty = FaultyBackend(MemoryBackend(), seed=7)
    faulty.inject(Fault("flip", prefix="blobs/"))          objects rot, the same way each time
    faulty.inject(Fault("unavailable", {"put"}, times=2))  two puts get no answer, the third does
    faulty.inject(Fault("slow", wait=event.wait))          calls block until the test lets them go
    faulty.heal()

What it does follows from the seed and the order of calls, so that a seed is a bug report. It never
sleeps: a slow fault calls what the test gives it, an event's `wait` or a virtual clock. All calls
are noted in `calls`, with the bytes that they moved.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from haulout.errors import BlobMissingError, HauloutError, StoreRefusedError, StoreUnavailableError
from haulout.storage.backend import (
    Backend,
    Object,
    Versioned,
    checked_range,
)

Method = Literal["put", "get", "size", "delete", "list", "read_head", "swap_head"]

Kind = Literal[
    "unavailable",  # StoreUnavailableError; nothing was done
    "refused",      # StoreRefusedError; nothing was done
    "lost-answer",  # StoreUnavailableError; it was done
    "forget",       # a write that answers well and does nothing
    "lose",         # what stands is not found, nor listed
    "flip",         # one bit of what is read is another, the same one each time
    "truncate",     # what stands seems to end early, the same place each time
    "giant",        # what stands seems to go on with zeros, a million bytes more
    "equivocate",   # two reads in a row get different bytes
    "stale",        # the head before the newest; None where there was none
    "slow",         # calls `wait` first, then goes on
    "crash-before", # SimulatedCrash before the call is carried out; then all calls raise it
    "crash-after",  # the same once it is carried out
]  # fmt: skip

METHODS: Final[tuple[Method, ...]] = get_args(Method)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
READS: Final = frozenset[Method]({"get", "read_head"})
WRITES: Final = frozenset[Method]({"put", "delete", "swap_head"})
GIANT_BYTES: Final = 1_000_000

_CONCERNS: Final[dict[Kind, frozenset[Method]]] = {
    "lost-answer": WRITES,
    "forget": WRITES,
    "lose": frozenset({"get", "size", "list", "read_head"}),
    "flip": READS,
    "truncate": frozenset({"get", "size", "list", "read_head"}),
    "giant": frozenset({"get", "size", "list", "read_head"}),
    "equivocate": READS,
    "stale": frozenset({"read_head"}),
}
"""The methods that a kind can show itself in; the kinds that are not named show in all."""


class SimulatedCrash(BaseException):
    """The process died here. No handler of errors takes it for one."""


class Call(NamedTuple):
    """One call that a backend got.

    Attributes:
        method: which; ``name``: of the object or head, or a listing's prefix.
        moved: bytes that went in or came out, 0 where it raised.
        raised: the name of the error's class, or None.
    """

    method: Method
    name: str
    moved: int
    raised: str | None


@dataclass(frozen=True)
class Fault:
    """One way to fail, and when.

    Args:
        kind: how.
        methods: in which methods; in all that the kind concerns where none is named.
        prefix: only names that begin so. A listing loses or alters the names it concerns.
        after: how many calls that it concerns go well first.
        times: how many fail then; all of them where none is given.
        chance: how likely each of them is to fail, by the backend's seed.
        wait: what a slow fault calls before it goes on.
    """

    kind: Kind
    methods: Collection[Method] = ()
    prefix: str = ""
    after: int = 0
    times: int | None = None
    chance: float = 1.0
    wait: Callable[[], object] | None = None

    def concerns(self, method: Method, name: str) -> bool:
        """Whether a call is one that this fault may show itself in."""
        methods = self.methods or _CONCERNS.get(self.kind, METHODS)
        return method in methods and (method == "list" or name.startswith(self.prefix))


def drawn_faults(seed: int, kinds: Sequence[Kind], most: int = 3) -> list[Fault]:
    """Draw one to ``most`` faults of some kinds, with beginnings, ends and chances, from a seed."""
    draw = random.Random(seed)  # noqa: S311 - the same faults for the same seed
    return [
        Fault(
            draw.choice(kinds),
            after=draw.choice((0, 0, 1, 3)),
            times=draw.choice((None, 1, 2, 5)),
            chance=draw.choice((1.0, 1.0, 0.5)),
        )
        for _ in range(draw.randint(1, most))
    ]


class _Injected:
    """A fault in place, with what it has met so far."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.met = 0
        self.shown = 0

    def shows(self, draw: random.Random) -> bool:
        """Whether it shows in the next call that it concerns."""
        self.met += 1
        fault = self.fault
        done = fault.times is not None and self.shown >= fault.times
        if self.met <= fault.after or done or (fault.chance < 1 and draw.random() >= fault.chance):
            return False
        self.shown += 1
        return True


class _Moved:
    """What a call moved, told by its body."""

    bytes = 0


class FaultyBackend:
    """A backend around another, with faults that come and go.

    Args:
        inner: the backend that does what is done.
        faults: how it fails from the start.
        seed: what chances and damaged bits follow from.

    Attributes:
        calls: every call in the order of their ends.
        crashed: whether a crash has happened, after which every call raises `SimulatedCrash`.
    """

    def __init__(self, inner: Backend, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self.inner = inner
        self.calls: list[Call] = []
        self.crashed = False
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - the same faults for the same seed
        self._faults = [_Injected(fault) for fault in faults]
        self._heads: dict[str, Versioned | None] = {}
        self._reads: dict[str, int] = {}
        self._lock = threading.Lock()

    def inject(self, *faults: Fault) -> None:
        """Fail in these ways, too, from the next call on."""
        with self._lock:
            self._faults += [_Injected(fault) for fault in faults]

    def heal(self) -> None:
        """Fail no more. What faults did stays done: forgotten writes do not come back."""
        with self._lock:
            self._faults = []

    def restart(self) -> None:
        """Be the process after a crash: answer again, without faults, with what stands."""
        self.heal()
        self.crashed = False

    def moved(self, *methods: Method) -> int:
        """How many bytes went through these methods, or through all."""
        return sum(call.moved for call in self.calls if not methods or call.method in methods)

    @property
    def url(self) -> str:
        """Where it is."""
        return self.inner.url

    def put(self, name: str, data: bytes) -> None:
        """As the inner backend's, with faults."""
        with self._called("put", name) as (faults, moved):
            if "forget" not in _kinds(faults):
                self.inner.put(name, data)
            moved.bytes = len(data)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """As the inner backend's, with faults. What is damaged is so in every range alike."""
        with self._called("get", name) as (faults, moved):
            checked_range(start, length)
            if kinds := _kinds(faults):
                self._lose(name, kinds)
                data = self._damaged(name, self.inner.get(name), kinds)
                data = data[start:] if length is None else data[start : start + length]
            else:
                data = self.inner.get(name, start, length)
            moved.bytes = len(data)
            return data

    def size(self, name: str) -> int:
        """As the inner backend's, with faults."""
        with self._called("size", name) as (faults, _):
            self._lose(name, _kinds(faults))
            return self._damaged_size(name, self.inner.size(name), _kinds(faults))

    def delete(self, name: str) -> None:
        """As the inner backend's, with faults."""
        with self._called("delete", name) as (faults, _):
            if "forget" not in _kinds(faults):
                self.inner.delete(name)

    def list(self, prefix: str = "") -> Iterator[Object]:
        """As the inner backend's, with faults, and complete before the first name is given."""
        found: list[Object] = []
        with self._called("list", prefix) as (faults, _):
            for name, size in self.inner.list(prefix):
                kinds = _kinds(fault for fault in faults if name.startswith(fault.prefix))
                if "lose" not in kinds:
                    found.append(Object(name, self._damaged_size(name, size, kinds)))
        return iter(found)

    def read_head(self, name: str) -> Versioned | None:
        """As the inner backend's, with faults. A stale head comes with the version it had."""
        with self._called("read_head", name) as (faults, moved):
            kinds = _kinds(faults)
            head = self.inner.read_head(name)
            if "stale" in kinds:
                head = self._heads.get(name, head)
            if head is None or "lose" in kinds:
                return None
            data = self._damaged(name, head.data, kinds)
            moved.bytes = len(data)
            return Versioned(data, head.version)

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """As the inner backend's, with faults."""
        with self._called("swap_head", name) as (faults, moved):
            if "forget" in _kinds(faults):
                answer = f"forgotten-{len(self.calls)}"
            else:
                before = self.inner.read_head(name)
                answer = self.inner.swap_head(name, data, version)
                self._heads[name] = before
            moved.bytes = len(data)
            return answer

    def close(self) -> None:
        """Close the inner backend."""
        self.inner.close()

    # ------------------------------------------------------------------ faults

    @contextmanager
    def _called(self, method: Method, name: str) -> Generator[tuple[list[Fault], _Moved]]:
        """Run one call with the faults that show in it, and note it."""
        moved, raised = _Moved(), "SimulatedCrash"
        try:
            faults = self._shown(method, name)
            kinds = _kinds(faults)
            self._before(kinds, faults)
            try:
                yield faults, moved
            except HauloutError:
                self._after(kinds)
                raise
            self._after(kinds)
            raised = None
        except HauloutError as error:
            raised = type(error).__name__
            raise
        finally:
            with self._lock:
                self.calls.append(Call(method, name, 0 if raised else moved.bytes, raised))

    def _shown(self, method: Method, name: str) -> list[Fault]:
        if self.crashed:
            raise SimulatedCrash
        with self._lock:
            return [
                injected.fault
                for injected in self._faults
                if injected.fault.concerns(method, name) and injected.shows(self._random)
            ]

    def _before(self, kinds: Collection[Kind], faults: Iterable[Fault]) -> None:
        for fault in faults:
            if fault.kind == "slow" and fault.wait:
                fault.wait()
        if "crash-before" in kinds:
            self.crashed = True
            raise SimulatedCrash
        if "unavailable" in kinds:
            raise self._no_answer()
        if "refused" in kinds:
            message = f"{self.url} wants a token."
            raise StoreRefusedError(message)

    def _after(self, kinds: Collection[Kind]) -> None:
        """Keep the answer, be it an error, from the caller."""
        if "crash-after" in kinds:
            self.crashed = True
            raise SimulatedCrash
        if "lost-answer" in kinds:
            raise self._no_answer()

    def _no_answer(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"{self.url} does not answer.")

    def _lose(self, name: str, kinds: Collection[Kind]) -> None:
        if "lose" in kinds:
            message = f"{name} does not stand in {self.url}."
            raise BlobMissingError(message)

    def _damaged(self, name: str, data: bytes, kinds: Collection[Kind]) -> bytes:
        if "flip" in kinds and data:
            data = _flipped(data, self._place(name, 8 * len(data)))
        if "equivocate" in kinds and data:
            with self._lock:
                read = self._reads[name] = self._reads.get(name, -1) + 1
            if read:  # the first is right; each later one is wrong elsewhere
                data = _flipped(data, (self._place(name, 8 * len(data)) + read) % (8 * len(data)))
        if "truncate" in kinds and data:
            data = data[: self._place(name, len(data))]
        return data + bytes(GIANT_BYTES) if "giant" in kinds else data

    def _damaged_size(self, name: str, size: int, kinds: Collection[Kind]) -> int:
        if "truncate" in kinds and size:
            size = self._place(name, size)
        return size + GIANT_BYTES if "giant" in kinds else size

    def _place(self, name: str, places: int) -> int:
        """A number below ``places`` that follows from the seed and a name."""
        digest = hashlib.sha256(f"{self._seed} {name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % places


def _kinds(faults: Iterable[Fault]) -> frozenset[Kind]:
    return frozenset(fault.kind for fault in faults)


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
