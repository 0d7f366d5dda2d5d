"""What a library's error means for an action: refused for good, or nobody knows.

By the names of its classes, so that no library is imported. An error is never "not done": only
what a venue says of an order itself, or what its adapter refuses before anything is sent, is a
refusal for good. Everything else is looked up: a timeout, a lost connection, a 5xx, an answer that
cannot be read, an error without a class of its own, and also a 429, because a proxy that repeats
a request for its client may answer so to the second copy of one that was accepted.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import sys
from functools import cache
from types import TracebackType
from typing import Final, Self

from haulout.errors import (
    ActionRefusedError,
    HauloutError,
    OutcomeUnknownError,
    VenueRefusedError,
)

REFUSALS: Final = frozenset(
    {
        "ArgumentsRequired", "AuthenticationError", "BadRequest", "InsufficientFunds",
        "InvalidAddress", "InvalidOrder", "InvalidProxySettings", "NotSupported",
        "OperationRejected",
    }
)  # fmt: skip
"""Errors of ccxt that are definitive, with what derives from them, but for `DOUBTS`."""
DOUBTS: Final = frozenset({"DuplicateOrderId", "OrderNotFound", "OrderNotCached"})
"""Derived from a refusal, and none where an order is created: there is one, or it was not seen."""
_DUPLICATE: Final = re.compile(
    r"duplicat|already (exists?|used|been used)|must be unique|(is|not) (repeated|unique)",
    re.IGNORECASE,
)
_MISSING: Final = re.compile(
    r"order.{0,20}(not exist|not found|n.t exist|cannot be found)|unknown order|NotFound",
    re.IGNORECASE,
)
_INTERRUPTS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)


def kinds(error: BaseException) -> set[str]:
    """The names of an error's class and of those it derives from."""
    return {one.__name__ for one in type(error).__mro__}


def says_duplicate(error: BaseException) -> bool:
    """Whether a venue says that it has an order of this ID: venues' adapters name it many ways."""
    found = kinds(error)
    return "DuplicateOrderId" in found or (
        bool({"InvalidOrder", "BadRequest"} & found) and bool(_DUPLICATE.search(str(error)))
    )


def says_missing(error: BaseException) -> bool:
    """Whether a venue says, when asked for an order, that it has none: not all adapters name it."""
    found = kinds(error)
    return "OrderNotFound" in found or (
        "ExchangeError" in found and bool(_MISSING.search(str(error)))
    )


def is_refusal(error: BaseException) -> bool:
    """Whether nothing happened, for good."""
    found = kinds(error)
    return bool(REFUSALS & found) and not DOUBTS & found and not says_duplicate(error)


def is_told(error: BaseException | None) -> bool:
    """Whether an exchange says something of the call itself: no connection failed, no 5xx came."""
    return error is not None and "ExchangeError" in kinds(error)


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


class Telling:
    """A block in which every error of a library becomes one of ours; `asked` knows which.

    Args:
        venue: its name; sends: whether an action is sent in it. What is only read is never
            refused: then an error says that the venue does not answer.
    """

    def __init__(self, venue: str, *, sends: bool) -> None:
        self._venue, self._sends = venue, sends

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, HauloutError):
            return
        # concurrent.futures has a class of its own for a call that was cancelled elsewhere.
        cancelled = isinstance(error, concurrent.futures.CancelledError)
        if isinstance(error, _INTERRUPTS) and not cancelled:
            return
        if self._sends and is_refusal(error):
            message = f"{self._venue} refused it: {_in_words(error)}"
            raise VenueRefusedError(message) from error
        what = "may have done it" if self._sends else "does not say"
        message = f"{self._venue} {what}: {_in_words(error)}"
        raise OutcomeUnknownError(message) from error


# ---------------------------------------------------------------------- what a program sees


@cache
def _both(ours: type[HauloutError], theirs: type[BaseException]) -> type[HauloutError]:
    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__})


_FALLBACKS: Final[dict[type[HauloutError], str]] = {
    OutcomeUnknownError: "RequestTimeout",
    VenueRefusedError: "InvalidOrder",
    ActionRefusedError: "OperationRejected",
}


def original(error: BaseException) -> BaseException | None:
    """The library's own error behind one of ours."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if not isinstance(found, HauloutError):
            return found
        found = found.__cause__ or found.__context__
    return None


def for_program(error: HauloutError, library: str, name: str | None = None) -> BaseException:
    """The error that a program written for a library gets.

    A refusal is the library's own error, untouched. Any other is both: ours, and of the library's
    class that stands behind it, so that a program that knows only the library goes on as it would.

    Args:
        error: ours; library: the module of the library's errors, such as ``ccxt.base.errors``.
        name: which of its errors, where not the usual one.
    """
    if "BaseError" in kinds(error):
        return error  # it is both
    if isinstance(error, VenueRefusedError) and not isinstance(
        error.__cause__, HauloutError | None
    ):
        return error.__cause__
    cause = original(error)
    for ours, usual in _FALLBACKS.items():
        if isinstance(error, ours):
            # Of a class that says "not sure": a program takes an InvalidOrder for a refusal.
            known = cause is not None and "OperationFailed" in kinds(cause)
            theirs = type(cause) if known and ours is OutcomeUnknownError else None
            if theirs is None:
                theirs = getattr(sys.modules.get(library), name or usual, None)
            if theirs is None:
                return error
            told = _both(type(error), theirs)(error.message, hint=error.hint)
            told.__cause__ = cause
            return told
    return error
