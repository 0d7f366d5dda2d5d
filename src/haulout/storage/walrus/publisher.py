"""A publisher: it encodes, pays and stores for us. Source: walrus.md §6.2.

There is no delete and no extension over HTTP; the owner of the blob's object on the chain has
those. A publisher's answer is its word, not proof: `placing` looks for proof.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from haulout.errors import InputError
from haulout.redstuff.quilt import Item
from haulout.storage.walrus.config import Token, Upload, checked_epochs, checked_url
from haulout.storage.walrus.http import Answer, Http, Request, Silence, refusal
from haulout.storage.walrus.wire import (
    QuiltPatch,
    Stored,
    read_quilt_result,
    read_store_result,
)

_RESULT_BYTES: Final = 4 << 20  # of a quilt with 666 patches and long identifiers
_ADDRESS_CHARACTERS: Final = 66  # 0x and 64 hexadecimal digits
_METADATA_FIELD: Final = "_metadata"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a blob is to be kept, with the names of the publisher's query parameters.

    Attributes:
        epochs: how many ahead of the current one.
        permanent: nobody can delete it before its end; otherwise its owner can.
        force: pay even where it is certified already.
        reuse_resources: look into the publisher's wallet first, and extend or finish what
            stands there; what it has certified for as long costs nothing.
        encoding_type: ``RS2`` or None for the publisher's own choice.
        send_object_to: the address that is to own the blob's object.
        share: make a shared object of it; excludes ``send_object_to``.
    """

    epochs: int
    permanent: bool = False
    force: bool = False
    reuse_resources: bool = False
    encoding_type: str | None = None
    send_object_to: str | None = None
    share: bool | None = None

    def query(self) -> tuple[tuple[str, str | int | bool], ...]:
        """The parameters as they are sent; a publisher refuses any that it does not know.

        Raises:
            InputError: they cannot be meant together.
        """
        checked_epochs(self.epochs)
        if self.share is not None and self.send_object_to is not None:
            raise InputError("A blob's object is shared or sent to an address, not both.")
        address = self.send_object_to
        if address is not None and not _is_address(address):
            raise InputError(f"{address[:80]!r} is no address of an owner (0x and 64 digits).")
        told: list[tuple[str, str | int | bool]] = [("epochs", self.epochs)]
        told += [("permanent", True)] if self.permanent else []
        told += [("force", True)] if self.force else []
        told += [("reuse_resources", True)] if self.reuse_resources else []
        told += [("encoding_type", self.encoding_type)] if self.encoding_type else []
        told += [("send_object_to", address)] if address is not None else []
        told += [("share", self.share)] if self.share is not None else []
        return tuple(told)


def _is_address(text: str) -> bool:
    digits = text[2:]
    return (
        len(text) == _ADDRESS_CHARACTERS
        and text.startswith("0x")
        and all(c in "0123456789abcdefABCDEF" for c in digits)
    )


class Publisher:
    """One publisher. Sends each request once.

    Args:
        http: sends; url: its base; token: what it asks for, or None; seconds: for an upload.
    """

    def __init__(self, http: Http, url: str, token: Token | None, seconds: float) -> None:
        self._http = http
        self.url = checked_url(url)
        self._token = token
        self._seconds = seconds

    def send_blob(self, data: bytes, terms: Terms) -> Answer | Silence:
        """``PUT /v1/blobs``, and what came of it, which may be an unknown outcome."""
        return self._send("/v1/blobs", terms, data, {"content-type": "application/octet-stream"})

    def put_blob(self, data: bytes, terms: Terms) -> Stored:
        """``PUT /v1/blobs``: what the publisher says it stored.

        Raises:
            StoreRefusedError, LimitError: it takes none, or not this one.
            StoreUnavailableError: it did not, or it is not known whether it did.
        """
        answer = self.send_blob(data, terms)
        return read_store_result(_success(answer).body, self.url)

    def send_quilt(self, items: Sequence[Item], terms: Terms) -> Answer | Silence:
        """``PUT /v1/quilts``, as `send_blob`.

        Raises:
            InputError: an identifier cannot be the name of a form's field.
        """
        boundary = secrets.token_hex(16)
        kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
        return self._send("/v1/quilts", terms, multipart(items, boundary), kind)

    def put_quilt(
        self, items: Sequence[Item], terms: Terms
    ) -> tuple[Stored, tuple[QuiltPatch, ...]]:
        """``PUT /v1/quilts``: what the publisher says of the quilt and of its patches."""
        answer = self.send_quilt(items, terms)
        return read_quilt_result(_success(answer).body, self.url)

    def alive(self) -> bool:
        """Whether ``GET /status`` says OK."""
        answer = self._http.send(Request("GET", f"{self.url}/status", seconds=self._seconds))
        return isinstance(answer, Answer) and answer.ok

    def _send(
        self, path: str, terms: Terms, body: bytes, headers: dict[str, str]
    ) -> Answer | Silence:
        if self._token is not None:
            upload = Upload(self.url, len(body), terms.epochs, terms.send_object_to)
            token = self._token if isinstance(self._token, str) else self._token(upload)
            if not (token.isascii() and token.isprintable()):
                raise InputError("The publisher's token holds characters that cannot be sent.")
            headers["authorization"] = f"Bearer {token}"
        return self._http.send(
            Request(
                "PUT",
                f"{self.url}{path}",
                terms.query(),
                body,
                headers,
                most=_RESULT_BYTES,
                seconds=self._seconds,
                alone=True,
            )
        )


def _success(answer: Answer | Silence) -> Answer:
    if isinstance(answer, Silence):
        raise answer.raised
    if not answer.ok:
        raise refusal(answer)
    return answer


def multipart(items: Sequence[Item], boundary: str) -> bytes:
    """A form whose fields are a quilt's items, with their tags in the field ``_metadata``.

    Raises:
        InputError: an identifier would end its field's name, or is the reserved one.
    """
    parts: list[bytes] = []
    tags: list[dict[str, object]] = []
    for item in items:
        name = item.identifier
        if name == _METADATA_FIELD or not name or any(c in name for c in '\r\n"\0'):
            raise InputError(f"{name[:60]!r} cannot name an item that is sent to a publisher.")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"'
        kind = "Content-Type: application/octet-stream"
        parts.append(f"{head}\r\n{kind}\r\n\r\n".encode() + item.data + b"\r\n")
        if item.tags:
            tags.append({"identifier": name, "tags": dict(item.tags)})
    if tags:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_METADATA_FIELD}"\r\n\r\n'
        parts.append(head.encode() + msgspec.json.encode(tags) + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
