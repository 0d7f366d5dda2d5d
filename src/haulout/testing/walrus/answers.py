"""Answers as Walrus's services write them: JSON errors, plain-text refusals, strict queries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from haulout.errors import InputError
from haulout.redstuff import blob_id_bytes, blob_id_text

DAEMON: Final = "daemon.walrus.space"
STORAGE: Final = "storage.walrus.space"
AUTH: Final = "auth.publisher.walrus.space"

BUSY: Final = PlainTextResponse("the server is overloaded, try again later", 429)

_CODES: Final = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "SIZE_EXCEEDED": 403, "NOT_FOUND": 404,
    "RANGE_NOT_SATISFIABLE": 416, "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE_FOR_LEGAL_REASONS": 451, "INTERNAL": 500, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}  # fmt: skip


class Refusal(Exception):  # noqa: N818 - it is an answer, no error of Haulout's
    """Leaves a handler with an answer that is no success."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def json(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def success(data: Any, status: int = 200) -> Response:
    """A storage node's JSON success."""
    return json({"success": {"code": status, "data": data}}, status)


def octets(data: bytes) -> Response:
    """Bytes, such as BCS."""
    return Response(data, media_type="application/octet-stream")


def refuse(
    status: str, reason: str, message: str, domain: str = DAEMON, debug: str | None = None
) -> Refusal:
    """A JSON refusal to raise.

    Args:
        status: such as ``NOT_FOUND``; reason: such as ``BLOB_NOT_FOUND``; message: for people.
        domain: which service; debug: what internal errors add.
    """
    code = _CODES[status]
    details: list[dict[str, Any]] = []
    if reason:
        info: dict[str, Any] = {
            "@type": "ErrorInfo",
            "reason": reason,
            "domain": domain,
            "metadata": {},
        }
        details.append(info)
    if debug is not None:
        details.append({"@type": "DebugInfo", "stackEntries": [], "detail": debug})
    error = {"status": status, "code": code, "message": message, "details": details}
    return Refusal(json({"error": error}, code))


def plain(status: int, words: str) -> Refusal:
    """A refusal in plain text to raise."""
    return Refusal(PlainTextResponse(words, status))


def internal(debug: str) -> Refusal:
    """A 500, whose cause stands in the debugging detail alone."""
    return refuse("INTERNAL", "", "an internal server error has occurred", debug=debug)


# --- queries -------------------------------------------------------------------------------


def boolean(text: str) -> bool:
    """``true`` or ``false``; anything else is a `ValueError`."""
    if text not in {"true", "false"}:
        raise ValueError("provided string was not `true` or `false`")
    return text == "true"


def unsigned(bits: int) -> Callable[[str], int]:
    """A parser of decimal numbers of so many bits."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) >= 1 << bits:
            raise ValueError("invalid digit found in string")
        return int(text)

    return parse


def query(request: Request, known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """The query's parameters; one that is not known, doubled or malformed is a plain 400."""
    found: dict[str, Any] = {}
    for name, text in parse_qsl(request.url.query, keep_blank_values=True):
        what = None
        if name not in known:
            names = ", ".join(f"`{one}`" for one in known)
            what = f"unknown field `{name}`, expected one of {names}"
        elif name in found:
            what = f"duplicate field `{name}`"
        else:
            try:
                found[name] = known[name](text)
            except ValueError as error:
                what = f"{name}: {error}"
        if what is not None:
            raise plain(400, f"Failed to deserialize query string: {what}")
    return found


def repeated(request: Request, name: str) -> list[str]:
    """All values of a parameter that may stand several times."""
    return [text for key, text in parse_qsl(request.url.query) if key == name]


def path_blob_id(request: Request, name: str = "blob_id") -> str:
    """The blob ID in the path; a plain 400 where it is none."""
    text = request.path_params[name]
    try:
        return blob_id_text(blob_id_bytes(text))
    except InputError as error:
        words = f"Invalid URL: Cannot parse `{name}` with value `{text}`"
        raise plain(400, words) from error


async def body(request: Request, most: int) -> bytes:
    """The request's body; a plain 413 where it is longer than ``most``."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise plain(413, "length limit exceeded")
    data = bytearray()
    try:
        async for piece in request.stream():
            data += piece
            if len(data) > most:
                raise plain(413, "length limit exceeded")
    except ClientDisconnect as error:
        raise plain(400, "the body ended early") from error
    return bytes(data)


def answering(
    handle: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose refusals become answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(request)
        except Refusal as refusal:
            return refusal.response

    return answer
