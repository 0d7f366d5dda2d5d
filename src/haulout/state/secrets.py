"""Secrets are refused as values: a state leaves the machine when the vault does, and is shown.

A venue's API keys belong into the program's own configuration. They are told by the name of
their field and by the forms that issuers give theirs; a secret under another name and without a
form is not seen.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, cast

from haulout.errors import InputError

_NAMES: Final = re.compile(
    r"^(api|access|auth|bearer|client|private|refresh|secret|session|signing|webhook)?[-_]?"
    r"(key|secret|token|pass(word|phrase)?|pwd|mnemonic|seed[-_]?phrase|credentials?)$"
    # with whose it is in front, such as BINANCE_API_KEY, walletPrivateKey or X-MBX-APIKEY
    r"|(api|access|private|secret|signing)[-_]?key$|(api|client|webhook|[-_])[-_]?secret$"
    r"|(access|auth|bearer|refresh)[-_]?token$|pass(word|phrase|wd)$|[-_]mnemonic$"
    r"|seed[-_]?phrase$|^authorization$",
    re.IGNORECASE,
)
_HARMLESS: Final = frozenset({"key", "token", "seed"})
"""Alone they name keys of a map and coins as often as secrets."""
_LEFT_OUT: Final = "[left out: a secret]"
_FORMS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b"
    r"|\b(sk|pk|rk)[-_](live|test|proj|ant)[-_][\w-]{16,}|\bsk-[A-Za-z0-9]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bxox[abprs]-[\w-]{10,}"
    r"|\bAIza[\w-]{35}\b|^Bearer [\w.~+/-]{16,}=*$|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"
)


def refuse_secrets(value: Any, what: str) -> None:
    """Refuse a value that holds a secret.

    Args:
        value: JSON's kinds of values; what: what it is, for the message.

    Raises:
        InputError: it does; the message names the field and not the secret.
    """
    found = _secret_in(value, "")
    if found is not None:
        message = f"{what} holds what looks like a secret{found}."
        hint = "Keep keys in the program's own configuration; a state may leave this machine."
        raise InputError(message, hint=hint)


def redacted(value: Any) -> Any:
    """A value with its secrets left out: an answer that came is kept, and not refused.

    Args:
        value: JSON's kinds of values; what else it holds stays as it is.
    """
    if isinstance(value, str):
        return _LEFT_OUT if _FORMS.search(value) else value
    if isinstance(value, dict):
        return {
            key: None if isinstance(one, str) and _is_named(str(key)) else redacted(one)
            for key, one in cast("dict[Any, Any]", value).items()
        }
    if isinstance(value, list | tuple):
        return [redacted(one) for one in cast("list[Any]", value)]
    return value


@lru_cache(maxsize=1024)
def _is_named(name: str) -> bool:
    return bool(_NAMES.search(name)) and name.lower() not in _HARMLESS


def _secret_in(value: Any, path: str) -> str | None:
    if isinstance(value, str):
        return (f" at {path}" if path else "") if _FORMS.search(value) else None
    if isinstance(value, dict):
        for key, one in cast("dict[Any, Any]", value).items():
            name = str(key)
            under = f"{path}.{name}" if path else name
            if isinstance(one, str) and one and _is_named(name):
                return f" at {under}"
            if (found := _secret_in(one, under)) is not None:
                return found
    if isinstance(value, list | tuple):
        for place, one in enumerate(cast("list[Any]", value)):
            if (found := _secret_in(one, f"{path}[{place}]")) is not None:
                return found
    return None
