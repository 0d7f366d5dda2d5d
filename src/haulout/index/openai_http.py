"""Embeddings from a server that speaks OpenAI's ``/v1/embeddings``: Ollama, vLLM, OpenAI...

Texts leave the process, so nothing here is used unless the owner names the server. Neither a
text nor the key appears in an error: what a server answers may quote its input, so its words
are not repeated. Redirects are refused, because they would hand both to another host.
"""

from __future__ import annotations

import email.utils
import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from haulout.errors import InputError, ModelError
from haulout.index.embed import unit_rows

_BATCH: Final = 64  # texts; OpenAI takes 2,048 and 300,000 tokens, small servers far less
_MAX_CHARACTERS: Final = 8_000  # a text of more may pass the 8,192 tokens common to servers
_MAX_REPLY: Final = 64 << 20  # bytes; 64 vectors of 4,096 numbers are about 6 MB
_ATTEMPTS: Final = 4
_FIRST_PAUSE: Final = 0.5  # seconds, doubled each time
_LONGEST_PAUSE: Final = 30.0  # seconds; a server that asks for more is reported instead
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_REASONS: Final = {
    400: "did not accept the request",
    401: "refused the API key",
    403: "refused the API key",
    404: "knows no such path or model",
    413: "finds the request too large",
    422: "did not accept the request",
    429: "asks to slow down",
}
_HINT: Final = "Check the address, the model's name and the key; recall goes on by words meanwhile."


class HttpEmbedder:
    """An embedder that asks a server. Safe to share between threads.

    Texts are sent in batches of 64 and cut after 8,000 characters. Answers that may pass (429,
    5xx, a broken connection) are asked for four times in all, after 0.5, 1 and 2 s or when
    the server's Retry-After says.

    Args:
        url: the API's base, such as ``http://localhost:11434/v1``, or the full path ending in
            ``/embeddings``.
        name: the model's name as the server knows it.
        key: API key, sent as a bearer token.
        dimensions: ask for vectors shortened to this many components; by default the server
            decides.
        timeout: seconds to wait for the server at each step.
        sleep: waits between attempts, in seconds.

    Raises:
        InputError: an argument cannot be meant.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        key: str | None = None,
        dimensions: int | None = None,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        host, self._endpoint = _endpoint(url)
        if not name:
            raise InputError("The embedding server needs to be told a model; add ?model=NAME.")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise InputError("The API key holds characters that cannot be sent.")
        if dimensions is not None and dimensions < 1:
            raise InputError(f"A vector cannot have {dimensions} dimensions.")
        self._name = name
        self._key = key
        self._asked = dimensions
        self._timeout = timeout
        self._sleep = sleep
        self._model = f"{name}@{host}" + (f"/{dimensions}" if dimensions else "")
        self._lock = threading.Lock()
        self._dimensions = dimensions
        self._opener = _opener()

    @property
    def model(self) -> str:
        """Identity of the vector space: the model's name, the host and the size asked for.

        The host is part of it: equal names on two servers need not be equal weights.
        """
        return self._model

    @property
    def dimensions(self) -> int:
        """Components per vector; if no reply has shown them yet, embeds one neutral word.

        Raises:
            ModelError: the server could not be asked.
        """
        if self._dimensions is None:
            self.embed(["dimensions"])
        assert self._dimensions is not None
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit row per text, float32 [len(texts), dimensions].

        Raises:
            ModelError: the server cannot be reached, refuses, or answers with something else
                than one usable vector per text.
        """
        if not texts:
            return np.empty((0, self._dimensions or 0), dtype=np.float32)
        starts = range(0, len(texts), _BATCH)
        return np.concatenate([self._batch(texts[at : at + _BATCH]) for at in starts])

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # An empty input is an error for some servers; lone surrogates cannot be sent at all.
        inputs = [
            text[:_MAX_CHARACTERS].encode("utf-8", "replace").decode() or " " for text in texts
        ]
        body: dict[str, object] = {
            "model": self._name,
            "input": inputs,
            "encoding_format": "float",
        }
        if self._asked is not None:
            body["dimensions"] = self._asked
        reply = self._post(msgspec.json.encode(body))
        return self._vectors(reply, len(inputs))

    def _vectors(self, reply: bytes, count: int) -> NDArray[np.float32]:
        """Return the reply's vectors in the order asked for, or raise for what is not that."""
        try:
            items = msgspec.json.decode(reply, type=_Reply).data
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._error("sent something else than embeddings") from error
        items.sort(key=lambda item: item.index)
        if [item.index for item in items] != list(range(count)):
            raise self._error(f"did not answer {count} texts with {count} vectors")
        if len({len(item.embedding) for item in items}) > 1:
            raise self._error("sent vectors of several sizes")
        try:
            rows = unit_rows(np.array([item.embedding for item in items], dtype=np.float64))
        except InputError as error:
            raise self._error("sent a vector that is zero or not finite") from error
        with self._lock:  # learnt only from a reply that is good in all else
            if self._dimensions is None:
                self._dimensions = rows.shape[1]
        if rows.shape[1] != self._dimensions:
            what = f"sent vectors of {rows.shape[1]} dimensions, not {self._dimensions}"
            raise self._error(what)
        return rows

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        pause = _FIRST_PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            # The address was held to http and https when it was given.
            request = urllib.request.Request(self._endpoint, body, headers)  # noqa: S310
            outcome = self._attempt(request)
            if isinstance(outcome, bytes):
                return outcome
            wait = pause if outcome.wait is None else outcome.wait
            if attempt == _ATTEMPTS or not outcome.passing or wait > _LONGEST_PAUSE:
                raise self._error(outcome.what) from outcome.cause
            self._sleep(wait)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, request: urllib.request.Request) -> bytes | _Failure:
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                reply: bytes = response.read(_MAX_REPLY + 1)
                missing: int = response.length or 0  # what Content-Length promised beyond it
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                what = _REASONS.get(error.code, "answered") + f" (status {error.code})"
                wait = _retry_after(error.headers.get("Retry-After"))
                return _Failure(what, passing=error.code in _PASSING, wait=wait, cause=error)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            return _Failure(f"cannot be reached: {reason}", passing=True, wait=None, cause=error)
        if len(reply) > _MAX_REPLY:
            too_much = f"sent more than {_MAX_REPLY >> 20} MiB"
            return _Failure(too_much, passing=False, wait=None, cause=None)
        if missing:
            return _Failure("broke off its reply", passing=True, wait=None, cause=None)
        return reply

    def _error(self, what: str) -> ModelError:
        return ModelError(f"The embedding server {self._endpoint} {what}.", hint=_HINT)


class _Item(msgspec.Struct):
    index: int
    embedding: list[float]


class _Reply(msgspec.Struct):
    data: list[_Item]


class _Failure(msgspec.Struct, frozen=True):
    """One attempt that brought no reply.

    Attributes:
        what: the rest of a sentence that begins with the server.
        passing: True when the same request may succeed later.
        wait: seconds the server asks to wait, if it says so.
        cause: the error behind it.
    """

    what: str
    passing: bool
    wait: float | None
    cause: Exception | None


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that leaves out what urllib adds: redirects, files, FTP, passwords."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _endpoint(url: str) -> tuple[str, str]:
    """Return the host with its port, and the address that requests go to."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError("The server's address cannot be read.") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise InputError("The server's address must begin with http:// or https://.")
    if parts.username is not None or parts.query or parts.fragment:
        raise InputError("Give the server's address without a user, a query or a fragment.")
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise InputError("The server's address holds characters that cannot be sent.")
    path = parts.path.rstrip("/")
    if not path.endswith("/embeddings"):
        path += "/embeddings"
    bracketed = f"[{host}]" if ":" in host else host
    place = bracketed if port is None else f"{bracketed}:{port}"
    return place, f"{parts.scheme}://{place}{path}"


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())
