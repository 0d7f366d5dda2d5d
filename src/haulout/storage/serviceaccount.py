"""A token for Google Cloud Storage, signed with a service account's key.

obstore could do it, but a token in the environment would outrank the key that it was given. It is
Google's self-signed JSON Web Token for a scope (RFC 7519, RS256): no request is made for it.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final, NamedTuple

from haulout.errors import InputError

SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"
VALID_S: Final = 3600


class ServiceAccount(NamedTuple):
    """Who signs, taken from the JSON that Google hands out.

    Attributes:
        email: the account; ``key_id``: which of its keys.
        key: the private key, an RSA key of `cryptography`.
    """

    email: str
    key_id: str
    key: Any

    def token(self, now_s: int) -> str:
        """A token that is valid for an hour from ``now_s``, in seconds since 1970."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        header = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        claims = {
            "iss": self.email,
            "sub": self.email,
            "scope": SCOPE,
            "iat": now_s,
            "exp": now_s + VALID_S,
        }
        signed = f"{_part(_json(header))}.{_part(_json(claims))}"
        return f"{signed}.{_part(self.key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def service_account(text: str) -> ServiceAccount:
    """Read a service account's key file.

    Args:
        text: its JSON, with ``client_email``, ``private_key`` and ``private_key_id``.

    Raises:
        InputError: it is no such file. Nothing of it is repeated.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        file = json.loads(text)
        key = load_pem_private_key(file["private_key"].encode(), password=None)
        email, key_id = file["client_email"], file["private_key_id"]
    except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
        raise _no_key() from None
    if not isinstance(key, RSAPrivateKey) or not all(isinstance(t, str) for t in (email, key_id)):
        raise _no_key()
    return ServiceAccount(email, key_id, key)


def _no_key() -> InputError:
    return InputError(
        "The service account's key is not the JSON that Google hands out.",
        hint="Give the whole content of the key's file.",
    )


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
