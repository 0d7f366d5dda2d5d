"""Where a bucket is and who asks: its URL, and a configuration with credentials, both checked.

A URL may hold what is no secret (`OPTIONS`), so that it alone is a locator; credentials stand in a
configuration. No message repeats a value of either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from haulout.errors import InputError

OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset({"endpoint", "region", "virtual_hosted_style_request", "allow_http"}),
    "gs": frozenset({"endpoint", "allow_http"}),
    "az": frozenset({"endpoint", "allow_http"}),
}
"""What may stand in a URL's query, or in a configuration: none of it is secret."""

SECRETS: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset({"access_key_id", "secret_access_key", "session_token", "anonymous"}),
    "gs": frozenset({"service_account_key", "bearer_token", "anonymous"}),
    "az": frozenset({"access_key", "sas_token", "bearer_token", "anonymous"}),
}
"""What may stand in a configuration only. ``anonymous`` ("true") asks without credentials."""

_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Address(NamedTuple):
    """Where a bucket is, taken from a URL.

    Attributes:
        scheme: ``s3``, ``gs`` or ``az``.
        account: on Azure, whose container it is; else empty.
        bucket: the bucket or container; ``prefix``: what all keys begin with, or empty.
        options: the URL's query.
    """

    scheme: str
    account: str
    bucket: str
    prefix: str
    options: dict[str, str]

    @property
    def url(self) -> str:
        """The address as a URL, without a secret."""
        place = "/".join(part for part in (self.account, self.bucket, self.prefix) if part)
        query = urlencode(sorted(self.options.items()), safe=":/")
        return f"{self.scheme}://{place}" + (f"?{query}" if query else "")


class Access(NamedTuple):
    """How a bucket is asked, checked and complete.

    Attributes:
        endpoint: the store's address; ``plain_http``: whether that is one without TLS.
        anonymous: whether requests carry no credentials.
        given: the URL's options and the configuration, the latter outranking the former.
    """

    endpoint: str
    plain_http: bool
    anonymous: bool
    given: Mapping[str, str]


def access(address: Address, config: Mapping[str, str]) -> Access:
    """Check a configuration for the bucket at an address.

    Args:
        address: the bucket.
        config: values by the names in `OPTIONS` and `SECRETS`.

    Raises:
        InputError: it names something else, lacks credentials, or would go without TLS unasked.
    """
    known = OPTIONS[address.scheme] | SECRETS[address.scheme]
    if unknown := sorted(config.keys() - known):
        message = f"The configuration of {address.url} has no place for {', '.join(unknown)}."
        raise InputError(message, hint=f"It may hold {', '.join(sorted(known))}.")
    given = {**address.options, **config}
    endpoint = given.get("endpoint", _usual_endpoint(address, given))
    plain_http = _plain_http(endpoint, given)
    anonymous = given.get("anonymous") == "true"
    if not anonymous:
        _require_credentials(address, given)
    return Access(endpoint, plain_http, anonymous, given)


def parse_address(url: str) -> Address:
    """Take a bucket's URL apart.

    Raises:
        InputError: it is none, or it holds credentials. What it says is not repeated.
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _no_address() from None
    if parts.scheme not in OPTIONS or parts.fragment:
        raise _no_address()
    if "@" in parts.netloc or ":" in parts.netloc:
        message = "A bucket's URL holds no credentials and no port."
        raise InputError(message, hint="Give credentials, and an endpoint, as configuration.")
    unknown = sorted({key for key, _ in query} - OPTIONS[parts.scheme])
    if unknown or len(dict(query)) != len(query):
        allowed = ", ".join(sorted(OPTIONS[parts.scheme]))
        message = f"The query of a {parts.scheme} URL may hold {allowed}, each once."
        raise InputError(message, hint="Give credentials as configuration.")
    account, bucket, prefix = "", parts.netloc, parts.path.strip("/")
    if parts.scheme == "az":
        account = bucket
        bucket, _, prefix = prefix.partition("/")
        if not _BUCKET.fullmatch(account):
            raise _no_address()
    if not _BUCKET.fullmatch(bucket) or ".." in prefix or not _PREFIX.fullmatch(prefix or "-"):
        raise _no_address()
    return Address(parts.scheme, account, bucket, prefix, dict(query))


def _no_address() -> InputError:
    return InputError(
        "That is no bucket's address.",
        hint="Write s3://bucket/prefix, gs://bucket/prefix or az://account/container/prefix.",
    )


def _usual_endpoint(address: Address, given: Mapping[str, str]) -> str:
    match address.scheme:
        case "s3":
            return f"https://s3.{given.get('region', 'us-east-1')}.amazonaws.com"
        case "gs":
            return "https://storage.googleapis.com"
        case _:
            return f"https://{address.account}.blob.core.windows.net"


def _plain_http(endpoint: str, given: Mapping[str, str]) -> bool:
    """Whether requests go without TLS: on this machine, or where it is asked for in so many words.

    Raises:
        InputError: the endpoint asks for it and the configuration does not.
    """
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return False
    if parts.scheme != "http" or not parts.hostname or parts.username:
        message = "The endpoint is no address of a store."
        raise InputError(message, hint="Write https:// and a host, without a name or password.")
    if parts.hostname in _LOOPBACK or given.get("allow_http") == "true":
        return True
    message = f"The endpoint on {parts.hostname} would be asked without TLS."
    raise InputError(message, hint='Use https, or set "allow_http" to "true".')


def _require_credentials(address: Address, given: Mapping[str, str]) -> None:
    needs = [("access_key_id", "secret_access_key")] if address.scheme == "s3" else [
        (key,) for key in sorted(SECRETS[address.scheme] - {"anonymous"})
    ]  # fmt: skip
    if not any(all(given.get(key) for key in keys) for keys in needs):
        words = " or ".join(" with ".join(keys) for keys in needs)
        message = f"{address.url} wants credentials: {words}."
        raise InputError(message, hint='Where it wants none, set "anonymous" to "true".')
