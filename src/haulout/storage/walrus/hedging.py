"""Asking several sources for one thing: the next one when one fails, or when it takes too long.

The first answer that its source has verified wins. Slower ones go on in their own threads until
their deadlines end them, and what they bring is dropped.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from haulout.errors import (
    BlobMissingError,
    CodingError,
    HauloutError,
    InputError,
    StoreRefusedError,
    StoreUnavailableError,
    WrongBytesError,
)

T = TypeVar("T")

Kind: TypeAlias = Literal["missing", "wrong", "refused", "unavailable"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What a source did instead of giving the right bytes.

    Attributes:
        url: whose fault it is; kind: which; words: what happened, as a sentence.
    """

    url: str
    kind: Kind
    words: str


def fault_of(url: str, error: HauloutError) -> Fault:
    """The fault that an error of a source amounts to."""
    kind: Kind = "unavailable"
    if isinstance(error, BlobMissingError):
        kind = "missing"
    elif isinstance(error, WrongBytesError | CodingError):
        kind = "wrong"
    elif isinstance(error, StoreRefusedError | InputError):
        kind = "refused"
    return Fault(url, kind, error.message)


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """Where something can be had. ``read`` gives it verified, or raises a `HauloutError`."""

    url: str
    read: Callable[[], T]


@dataclass(frozen=True, slots=True)
class Won(Generic[T]):
    """The first verified answer, whose it was, and the faults met before it."""

    value: T
    url: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Told(Generic[T]):
    url: str
    value: T | None = None
    error: HauloutError | None = None
    broken: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """Verified bytes, and what went wrong on the way to them.

    Attributes:
        data: the bytes; url: who gave them, or "the storage nodes".
        faults: of the sources that were asked before; liars are among them by name.
    """

    data: bytes
    url: str
    faults: tuple[Fault, ...]


def race(sources: Sequence[Source[T]], hedge_after: float) -> Won[T] | tuple[Fault, ...]:
    """Ask the first source, and the next one after each failure and each ``hedge_after`` s.

    Args:
        sources: in the order of preference; hedge_after: seconds.

    Returns:
        What was won, or the faults of all sources: `failure` makes an error of them.
    """
    answers: queue.SimpleQueue[_Told[T]] = queue.SimpleQueue()
    waiting = list(sources)
    faults: list[Fault] = []
    running = 0
    while waiting or running:
        if waiting:
            _start(waiting.pop(0), answers)
            running += 1
        try:
            told = answers.get(timeout=hedge_after) if waiting else answers.get()
        except queue.Empty:
            continue
        running -= 1
        if told.broken is not None:
            raise told.broken
        if told.error is None:
            assert told.value is not None
            return Won(told.value, told.url, tuple(faults))
        faults.append(fault_of(told.url, told.error))
    return tuple(faults)


def _start(source: Source[T], answers: queue.SimpleQueue[_Told[T]]) -> None:
    def run() -> None:
        try:
            answers.put(_Told(source.url, value=source.read()))
        except HauloutError as error:
            answers.put(_Told(source.url, error=error))
        except BaseException as error:
            answers.put(_Told(source.url, broken=error))
            raise

    threading.Thread(target=run, name=f"walrus {source.url}", daemon=True).start()


def failure(what: str, faults: Sequence[Fault]) -> HauloutError:
    """The error for ``what`` that no source gave, naming each source with what it did.

    Args:
        what: the thing, to begin a sentence; faults: why nobody gave it.

    Returns:
        `StoreUnavailableError` where somebody may give it later; `WrongBytesError` where nobody
        will and somebody lied; `StoreRefusedError` where somebody wants something for it;
        otherwise `BlobMissingError`.
    """
    kinds = {fault.kind for fault in faults}
    words = " ".join(f"{fault.words}" for fault in faults)
    if "unavailable" in kinds or not faults:
        return StoreUnavailableError(f"{what} cannot be had. {words}".strip())
    if "wrong" in kinds:
        return WrongBytesError(f"{what} cannot be had. {words}")
    if "refused" in kinds:
        return StoreRefusedError(f"{what} cannot be had. {words}")
    return BlobMissingError(f"Nobody has {what[0].lower()}{what[1:]}. {words}")
