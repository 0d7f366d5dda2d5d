"""Tokens for a publisher that wants them: JWT with HS256, one for each upload.

For whoever runs a publisher of their own and holds its secret; others are given tokens. Source:
walrus.md §6.2 and RFC 7519. A publisher takes each ``jti`` once, so a token is never used twice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from haulout.errors import InputError


def claims(
    *,
    identifier: str,
    expires: int,
    issued: int | None = None,
    epochs: int | None = None,
    max_epochs: int | None = None,
    size: int | None = None,
    max_size: int | None = None,
    send_object_to: str | None = None,
) -> dict[str, Any]:
    """The claims of a token, those without a value left out.

    Args:
        identifier: ``jti``, never used before; expires: ``exp``, Unix seconds.
        issued: ``iat``; epochs, size: exactly so many; max_epochs, max_size: at most.
        send_object_to: the address that the blob's object must go to.

    Raises:
        InputError: exact and highest figures are both given, which publishers refuse.
    """
    if (epochs is not None and max_epochs is not None) or (
        size is not None and max_size is not None
    ):
        raise InputError("A token names an exact figure or the highest, not both.")
    told = {
        "jti": identifier, "exp": expires, "iat": issued, "epochs": epochs,
        "max_epochs": max_epochs, "size": size, "max_size": max_size,
        "send_object_to": send_object_to,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def signed(told: dict[str, Any], secret: bytes) -> str:
    """A token with these claims under ``secret``."""
    head = msgspec.json.encode({"alg": "HS256", "typ": "JWT"})
    message = b".".join(_text(part) for part in (head, msgspec.json.encode(told)))
    return (message + b"." + _text(hmac.digest(secret, message, hashlib.sha256))).decode()


def _text(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
