"""One exchange over HTTP, bounded in time and bytes, and what a failed one may have done.

Nothing is repeated and no redirect is followed here: who pays for a repetition decides about it.
No more is read than the caller expects, whatever the other side announces.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from haulout.errors import (
    BlobMissingError,
    HauloutError,
    InputError,
    LimitError,
    StoreRefusedError,
    StoreUnavailableError,
)
from haulout.storage.walrus.config import Timeouts
from haulout.storage.walrus.wire import ApiError, read_error

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_PIECE: Final = 1 << 16  # bytes sent or read at a time; the deadline is looked at between two
_MOST_ERROR: Final = 1 << 16  # bytes of an answer that is no success
_CONNECTIONS: Final = 16  # kept open for each host
JSON_BYTES: Final = 1 << 20  # more than any small answer of Walrus's

_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_PAYMENT: Final = 402
_FAILING: Final = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    Attributes:
        method: such as GET; url: without the query.
        query: parameters in order; a value of True or False is written in lower case.
        body: bytes to send, or None.
        headers: beside those that HTTP itself needs.
        most: bytes that a successful answer may have.
        seconds: for the whole exchange.
        alone: on a connection of its own, so that a connection which the other side has just
            closed is never mistaken for an upload of unknown outcome.
    """

    method: str
    url: str
    query: tuple[tuple[str, str | int | bool], ...] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    most: int = JSON_BYTES
    seconds: float = 120.0
    alone: bool = False

    @property
    def target(self) -> str:
        """The URL with its query."""
        if not self.query:
            return self.url
        return f"{self.url}?{urlencode([(k, _written(v)) for k, v in self.query])}"

    @property
    def who(self) -> str:
        """The service, as a message names it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def _written(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    who: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return self.status in _OK

    @property
    def error(self) -> ApiError:
        """The refusal that it is, where it is no success."""
        return read_error(self.status, self.body)


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer, or only a part of one.

    Attributes:
        who: the service; words: what happened, to end a sentence that begins with ``who``.
        sent: whether the other side may have the whole request, and may have acted on it.
    """

    who: str
    words: str
    sent: bool

    @property
    def raised(self) -> StoreUnavailableError:
        """The error that it amounts to for a read."""
        return StoreUnavailableError(f"{self.who} {self.words}.")


class _Body:
    """Gives a body piece by piece, within a deadline, and remembers whether all was given."""

    def __init__(self, data: bytes, overdue: Callable[[], bool]) -> None:
        self._data = memoryview(data)
        self._overdue = overdue
        self.given = not data

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), _PIECE):
            if self._overdue():
                raise TimeoutError
            self.given = start + _PIECE >= len(self._data)
            yield bytes(self._data[start : start + _PIECE])


class Http:
    """Sends requests. Safe to share between threads.

    Args:
        timeouts: see `Timeouts`; clock: seconds that only go forward.

    Raises:
        InputError: urllib3 is not installed.
    """

    def __init__(self, timeouts: Timeouts, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            import urllib3
        except ModuleNotFoundError as error:
            message = "Walrus needs urllib3, which is not installed."
            raise InputError(message, hint='Run `pip install "haulout[walrus]"`.') from error
        self._timeouts = timeouts
        self._clock = clock
        self._failures = (urllib3.exceptions.HTTPError, OSError)
        self._unconnected = (
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.ConnectTimeoutError,
        )
        self._waited = (urllib3.exceptions.TimeoutError, TimeoutError)
        self._pool: PoolManager = urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            timeout=urllib3.Timeout(connect=timeouts.connect, read=timeouts.silence),
            retries=False,
        )

    def close(self) -> None:
        """Close idle connections; exchanges under way end by themselves."""
        self._pool.clear()

    def send(self, request: Request) -> Answer | Silence:
        """Send once, and give what came of it; never raises for what the other side does."""
        end = self._clock() + request.seconds
        body = None
        headers = {"accept-encoding": "identity", "user-agent": "haulout", **request.headers}
        if request.body is not None:
            body = _Body(request.body, lambda: self._clock() > end)
            headers["content-length"] = str(len(request.body))
        if request.alone:
            headers["connection"] = "close"
        silence = min(self._timeouts.silence, request.seconds)
        if request.alone:
            silence = request.seconds  # a publisher says nothing while it works
        try:
            response = self._open(request, body, headers, silence)
            try:
                read = self._read(response, request, end)
            finally:
                response.close()
                response.release_conn()
        except self._unconnected:
            return Silence(request.who, "cannot be reached", sent=False)
        except self._failures as error:
            sent = body is None or body.given
            late = isinstance(error, self._waited)
            words = "does not answer in time" if late else "breaks the connection off"
            return Silence(request.who, words, sent=sent)
        if isinstance(read, str):
            return Silence(request.who, read, sent=True)
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(request.who, response.status, found, read)

    def ask(self, request: Request) -> Answer:
        """Send a request that changes nothing, and give its success.

        Raises:
            HauloutError: as `refusal` says; StoreUnavailableError where nothing comes back.
        """
        answer = self.send(request)
        if isinstance(answer, Silence):
            raise answer.raised
        if not answer.ok:
            raise refusal(answer)
        return answer

    def _open(
        self, request: Request, body: _Body | None, headers: dict[str, str], silence: float
    ) -> BaseHTTPResponse:
        import urllib3

        timeout = urllib3.Timeout(
            connect=min(self._timeouts.connect, request.seconds), read=silence
        )
        return self._pool.urlopen(
            request.method, request.target, body=body, headers=headers, redirect=False,
            preload_content=False, decode_content=False, timeout=timeout,
        )  # fmt: skip

    def _read(self, response: BaseHTTPResponse, request: Request, end: float) -> bytes | str:
        """The body, or words for what is wrong with it."""
        most = request.most if response.status in _OK else _MOST_ERROR
        announced = response.headers.get("content-length", "")
        if response.status in _OK:
            if response.headers.get("content-encoding", "identity") != "identity":
                return "sends a body in an encoding that was not asked for"
            if announced.isdigit() and int(announced) > most and request.method != "HEAD":
                return f"sends {announced} bytes where at most {most} can be right"
            chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
            if not announced and not chunked and request.method != "HEAD":
                return "does not tell how long its answer is, so that a part could pass for it"
        parts: list[bytes] = []
        total = 0
        while piece := response.read1(min(_PIECE, most + 1 - total)):
            parts.append(piece)
            total += len(piece)
            if total > most:
                break
            if self._clock() > end:
                raise TimeoutError
        if total > most and response.status in _OK:
            return f"sends more than the {most} bytes that can be right"
        return b"".join(parts)


def refusal(answer: Answer) -> HauloutError:
    """The error for an answer that is no success.

    404 `BlobMissingError`; 401, 402, 403, 451 and words about money `StoreRefusedError`; 413
    and a blob above an aggregator's own limit `LimitError`; a range that does not fit
    `InputError`; other 4xx `StoreRefusedError`; 429, 5xx and redirects `StoreUnavailableError`.
    """
    told, who, status = answer.error, answer.who, answer.status
    said = f" ({told.reason or told.message})" if told.reason or told.message else ""
    if told.money or status == _PAYMENT:
        return StoreRefusedError(
            f"{who} cannot pay for storage, or was not paid{said}.",
            hint="Fill its wallet, or use another; what waits to be sent is kept here.",
        )
    known = _BY_REASON.get(told.reason) or _BY_STATUS.get(status)
    if known is not None:
        kind, words = known
        return kind(f"{who} {words}{said}.")
    if status >= _FAILING:
        return StoreUnavailableError(f"{who} fails with status {status}{said}.")
    if status in _REDIRECTS:
        return StoreUnavailableError(f"{who} wants to send the request elsewhere ({status}).")
    return StoreRefusedError(f"{who} does not accept the request ({status}){said}.", hint="")


_TOO_LARGE: Final = (LimitError, "takes or gives no blob of this size")
_NO_RANGE: Final = (InputError, "finds no such range in the blob")
_NO_TOKEN: Final = (StoreRefusedError, "wants a token, or another one")
_BY_REASON: Final[dict[str, tuple[type[HauloutError], str]]] = {
    "BLOB_TOO_LARGE": _TOO_LARGE,
    "INVALID_BYTE_RANGE": _NO_RANGE,
    "EXPIRED_SIGNATURE": _NO_TOKEN,
}
_BY_STATUS: Final[dict[int, tuple[type[HauloutError], str]]] = {
    401: _NO_TOKEN,
    403: _NO_TOKEN,
    404: (BlobMissingError, "does not have it"),
    413: _TOO_LARGE,
    416: _NO_RANGE,
    429: (StoreUnavailableError, "is busy"),
    451: (StoreRefusedError, "withholds the blob for legal reasons"),
}
