"""Locators: where a vault's bytes are, as a text that a person can keep (docs/spec/head.md).

    haulout:1:<base64url of canonical CBOR || the first 4 bytes of its SHA-256>

A locator stands beside the recovery kit and is renewed when stores change. It holds no secret
and proves nothing: whoever alters one leads a reader to other bytes, and what a reader believes
is a head that the owner's device signed. The checksum finds slips of the hand.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, NamedTuple, cast

import cbor2

from haulout.errors import InputError, LimitError
from haulout.log.canonical import read_canonical
from haulout.log.head import Ref
from haulout.log.record import HASH_BYTES, ID_BYTES, canonical

LOCATOR_VERSION = 1
MOST_CHARACTERS = 256 * 1024
MOST_URLS = 2000
MOST_URL_CHARACTERS = 1000
LINE = 64
_LEAST_SHARDS = 4
_DOMAIN = b"haulout/1/locator\0"
_CHECKSUM_BYTES = 4
_TEXT = re.compile(r"haulout:([0-9]{1,9}):(.*)", re.DOTALL)
_STRANGE = re.compile(r"[^A-Za-z0-9_-]")
_URL = re.compile(r"(http|https|file|s3|gs|az|memory):(//[^/?#]*)?(.*)", re.DOTALL)
_NO_URL = re.compile(r"[^!-~]|[\\<>\"`{}|^]")
_SIGNED_IN = re.compile(rb"://[^/?#\s\"]*@")
_AGAIN = "Copy the whole locator again from where it was kept, its first and last letter included."


class WalrusPlace(NamedTuple):
    """A Walrus network and a vault's newest head on it, as far as the locator's writer knew.

    Attributes:
        publishers, aggregators, nodes: URLs of services, those to ask first in front.
        n_shards: how many shards the network has.
        head: where the newest head stands; None where none is published.
        states: where that of the state lane does; None where none is published.
    """

    publishers: tuple[str, ...]
    aggregators: tuple[str, ...]
    nodes: tuple[str, ...]
    n_shards: int
    head: Ref | None
    states: Ref | None = None


class Locator(NamedTuple):
    """Where a vault's bytes are.

    Attributes:
        vault: 16-byte vault ID.
        clock: when it was written, microseconds since 1970 UTC; of two, the later one counts.
        volumes: a volume layout as its room wrote it; None where there are no volumes.
        walrus: a place on Walrus; None where there is none.
    """

    vault: bytes
    clock: int
    volumes: bytes | None = None
    walrus: WalrusPlace | None = None


def encode(locator: Locator) -> str:
    """The text of a locator, in lines of at most 64 characters.

    Raises:
        InputError: a URL is none, or holds what nobody else should see; LimitError: too much.
    """
    try:
        walrus: Any = locator.walrus
        if walrus and getattr(walrus, "states", None) is None:
            walrus = walrus[:-1]  # a vault without states says nothing of them
        body = canonical([*locator[:-1], walrus])
        _locator(read_canonical(body))
    except (ValueError, TypeError, cbor2.CBORError) as error:
        message = "A locator's fields are not of the form of docs/spec/head.md."
        raise InputError(message) from error
    packed = base64.urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode()
    text = f"haulout:{LOCATOR_VERSION}:{packed}"
    lines = "\n".join(text[at : at + LINE] for at in range(0, len(text), LINE))
    if len(lines) > MOST_CHARACTERS:
        message = f"A locator of {len(lines)} characters is longer than {MOST_CHARACTERS}."
        raise LimitError(message)
    return lines


def decode(text: str) -> Locator:
    """The locator that a text stands for; spaces and line breaks anywhere do not matter.

    Raises:
        InputError: it is no locator, was mistyped or cut, or is of another version.
    """
    if len(text) > MOST_CHARACTERS:
        message = f"A locator has at most {MOST_CHARACTERS} characters; this is {len(text)}."
        raise LimitError(message)
    found = _TEXT.fullmatch("".join(text.split()))
    if not found:
        message = "This is not a locator: those begin with `haulout:1:`."
        raise InputError(message, hint=_AGAIN)
    if found[1] != str(LOCATOR_VERSION):
        message = f"This locator has version {found[1]}; this code reads {LOCATOR_VERSION}."
        raise InputError(message, hint="Use a version of Haulout that knows it.")
    data = _unpacked(found[2])
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if checksum != _checksum(body):
        message = "This locator was mistyped or is cut short: its checksum does not match."
        raise InputError(message, hint=_AGAIN)
    try:
        return _locator(read_canonical(body))
    except (ValueError, TypeError) as error:
        message = "This locator does not have the form of docs/spec/head.md."
        raise InputError(message, hint=_AGAIN) from error


def checked_url(url: str) -> str:
    """Return ``url`` where a locator may hold it.

    Raises:
        InputError: it is no URL of http, https, file, s3, gs, az or memory, or it holds a name
            to sign in with, or a query or fragment, in which a token could stand.
    """
    found = _URL.fullmatch(url)
    if not found or _NO_URL.search(url) or len(url) > MOST_URL_CHARACTERS:
        message = f"{_shown(url)} is not a URL of http, https, file, s3, gs, az or memory."
        raise InputError(message)
    scheme, authority, path = found[1], (found[2] or "")[2:], found[3]
    if "@" in authority or (scheme == "memory" and "@" in path):
        message = f"A URL of {scheme} holds a name or password to sign in with."
        raise InputError(message, hint="Give the URL without it; a locator is read by others.")
    if "?" in url or "#" in url:
        message = f"A URL of {scheme} goes on with a query or fragment, where a token may stand."
        raise InputError(message, hint="Give the URL without it; a locator is read by others.")
    if not (path.strip("/") if scheme in {"file", "memory"} else authority):
        message = f"{_shown(url)} names no place."
        raise InputError(message)
    return url


def _shown(url: str) -> str:
    """The beginning of a URL for a message, but nothing that might be a secret."""
    return "This" if re.search(r"[@?#]", url) else repr(url[:60])


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(_DOMAIN + body).digest()[:_CHECKSUM_BYTES]


def _unpacked(letters: str) -> bytes:
    strange = _STRANGE.search(letters)
    if strange:
        message = f"This locator was mistyped: it holds {strange[0]!r}."
        raise InputError(message, hint=_AGAIN)
    try:
        data = base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
    except ValueError:
        data = b""
    # Two letters may end on bits that stand for nothing; one text is right.
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != letters:
        message = "This locator was mistyped or is cut short: its last letter cannot be right."
        raise InputError(message, hint=_AGAIN)
    return data


def _locator(fields: Any) -> Locator:
    """A locator from its fields, each of its type.

    Raises:
        ValueError, TypeError: one is not; InputError: a URL is not one for a locator.
    """
    vault, clock, volumes, walrus = fields
    if not isinstance(vault, bytes) or len(vault) != ID_BYTES or not _is_count(clock):
        raise ValueError(clock)
    if volumes is not None and not isinstance(volumes, bytes):
        raise TypeError(volumes)
    if volumes is not None and _SIGNED_IN.search(volumes):
        message = "A volume layout holds a URL with a name or password to sign in with."
        raise InputError(message, hint="Take it out; a locator is read by others.")
    return Locator(vault, cast("int", clock), volumes, None if walrus is None else _walrus(walrus))


def _walrus(fields: Any) -> WalrusPlace:
    publishers, aggregators, nodes, n_shards, head, *states = fields
    if len(states) > 1:
        raise ValueError(len(fields))
    if not _is_count(n_shards) or not _LEAST_SHARDS <= n_shards < 2**16:
        raise ValueError(n_shards)
    return WalrusPlace(
        publishers=_urls(publishers),
        aggregators=_urls(aggregators),
        nodes=_urls(nodes),
        n_shards=n_shards,
        head=None if head is None else _place(head),
        states=_place(states[0]) if states else None,
    )


def _urls(values: Any) -> tuple[str, ...]:
    urls = cast("tuple[Any, ...]", values if isinstance(values, tuple) else (None,))
    if len(urls) > MOST_URLS or not all(isinstance(url, str) for url in urls):
        raise ValueError(len(urls))
    return tuple(checked_url(url) for url in urls)


def _place(fields: Any) -> Ref:
    """Where a head stands on a network: always a blob with an ID."""
    blob, offset, length, digest = fields
    sized = all(isinstance(one, bytes) and len(one) == HASH_BYTES for one in (blob, digest))
    if not sized or not _is_count(offset) or not _is_count(length) or not length:
        raise ValueError(offset)
    return Ref(blob, offset, length, digest)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63
