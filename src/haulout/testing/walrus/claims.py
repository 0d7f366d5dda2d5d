"""A publisher's check of tokens: JWT with HS256, each ``jti`` once. Source: walrus.md §6.2."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from haulout.testing.walrus.answers import AUTH, Refusal, refuse


class _Claims(msgspec.Struct, kw_only=True):
    exp: int
    jti: str
    iat: int | None = None
    send_object_to: str | None = None
    epochs: int | None = None
    max_epochs: int | None = None
    size: int | None = None
    max_size: int | None = None


class Doorkeeper:
    """Checks tokens.

    Args:
        secret: of the publisher; now: Unix seconds.
    """

    def __init__(self, secret: bytes, now: Callable[[], float]) -> None:
        self._secret = secret
        self._now = now
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def check(self, header: str, size: int, epochs: int, send_object_to: str | None) -> None:
        """Let an upload pass, or refuse it.

        Args:
            header: ``Authorization``; size: bytes of the body; epochs, send_object_to: as asked.
        """
        claims = self._claims(header)
        with self._lock:
            if claims.jti in self._used:
                raise _no("RESOURCE_EXHAUSTED", "TOKEN_ALREADY_USED", "was already used")
            self._used.add(claims.jti)
        try:
            _fits(claims, size, epochs, send_object_to)
        except Refusal:
            with self._lock:
                self._used.discard(claims.jti)  # a token that opened nothing can still be used
            raise

    def _claims(self, header: str) -> _Claims:
        scheme, _, token = header.partition(" ")
        parts = token.strip().split(".")
        if scheme.lower() != "bearer" or len(parts) != len("abc"):
            raise _no("UNAUTHENTICATED", "INVALID_SIGNATURE", "is missing")
        try:
            head = msgspec.json.decode(_bytes(parts[0]), type=dict[str, Any])
            claims = msgspec.json.decode(_bytes(parts[1]), type=_Claims)
            signature = _bytes(parts[2])
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as error:
            raise _no("FAILED_PRECONDITION", "INVALID_TOKEN", "is invalid") from error
        if head.get("alg") != "HS256":
            raise _no("FAILED_PRECONDITION", "INVALID_TOKEN", "is of another algorithm")
        right = hmac.digest(self._secret, f"{parts[0]}.{parts[1]}".encode(), hashlib.sha256)
        if not hmac.compare_digest(right, signature):
            raise _no("UNAUTHENTICATED", "INVALID_SIGNATURE", "has an invalid signature")
        if claims.exp < self._now():
            raise _no("DEADLINE_EXCEEDED", "EXPIRED_SIGNATURE", "has expired")
        return claims


def _fits(claims: _Claims, size: int, epochs: int, send_object_to: str | None) -> None:
    both = claims.epochs is not None and claims.max_epochs is not None
    if both or epochs not in _allowed(claims.epochs, claims.max_epochs, epochs):
        raise _no("FAILED_PRECONDITION", "INVALID_EPOCHS", "is for other epochs")
    both = claims.size is not None and claims.max_size is not None
    if both or size not in _allowed(claims.size, claims.max_size, size):
        raise _no("FAILED_PRECONDITION", "INVALID_SIZE", "is for another size")
    if claims.send_object_to is not None and claims.send_object_to != send_object_to:
        raise _no("FAILED_PRECONDITION", "INVALID_SEND_OBJECT_TO", "is for another owner")


def _allowed(exact: int | None, most: int | None, asked: int) -> range:
    if exact is not None:
        return range(exact, exact + 1)
    return range(most + 1) if most is not None else range(asked, asked + 1)


def _no(status: str, reason: str, words: str) -> Refusal:
    return refuse(status, reason, f"the JWT token {words}", AUTH)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
