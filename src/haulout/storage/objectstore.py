"""A bucket as a backend: S3 and what speaks like it, Google Cloud Storage, Azure, by obstore.

    ObjectStoreBackend("s3://bucket/prefix", {"access_key_id": …, "secret_access_key": …})
    ObjectStoreBackend("s3://bucket/prefix?endpoint=https://minio.example&region=eu-1", …)
    ObjectStoreBackend("gs://bucket/prefix", {"service_account_key": …})
    ObjectStoreBackend("az://account/container/prefix", {"access_key": …})

An object is one key, whole by the store's promise, sent in one request (no multipart upload whose
parts could stay behind). A head is swapped by the store's conditional write: `If-None-Match: *`
where there was none, `If-Match` with the ETag (on Google, the generation) that was read. Nothing
is sent twice: obstore's own repetitions are off, since a repeated conditional write would conflict
with itself. Every request ends within `timeout_s`.

obstore would fill what a configuration leaves open from the environment, credentials too (on Azure
and Google an environment's token even outranks a given key). Credentials are therefore handed over
by a provider, which outranks both, and endpoints and the like are always given.

What obstore says in an error may hold an address with a signature in it; of its words only the
HTTP status goes on.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from haulout.errors import (
    BlobMissingError,
    ConflictError,
    HauloutError,
    InputError,
    StorageError,
    StoreRefusedError,
    StoreUnavailableError,
)
from haulout.storage.backend import (
    Object,
    Versioned,
    checked_name,
    checked_prefix,
    checked_range,
    is_name,
)
from haulout.storage.bucket import Access, Address, access, parse_address
from haulout.storage.serviceaccount import VALID_S, service_account

TIMEOUT_S: Final = 60.0
CONNECT_TIMEOUT_S: Final = 10.0

_STATUS = re.compile(r"status code: (\d{3})")
_TOO_SLOW = "RequestTimeout"
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
_NOT_FOUND, _RANGE_NOT_SATISFIABLE, _NOT_IMPLEMENTED, _SERVER_FAILED = 404, 416, 501, 500
_PASSING = {408, 409, 412, 425, 429}
_CREDENTIALS = {401, 402, 403}
_NO_REPEATS: Final = {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}

_Store = S3Store | GCSStore | AzureStore


class ObjectStoreBackend:
    """Objects and heads as keys of a bucket. Safe among threads, programs and machines.

    Args:
        url: ``s3://``, ``gs://`` or ``az://``, as above.
        config: credentials and options by the names in `bucket.SECRETS` and `bucket.OPTIONS`.
        timeout_s: seconds that a request may take in all, its bytes included.
        connect_timeout_s: seconds that a connection may take.

    Raises:
        InputError: the URL or the configuration is of no such form. No value is repeated.
    """

    def __init__(
        self,
        url: str,
        config: Mapping[str, str] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        address = parse_address(url)
        self._url = address.url
        self._store: _Store | None = _store_at(
            address,
            access(address, config or {}),
            timedelta(seconds=timeout_s),
            timedelta(seconds=connect_timeout_s),
        )

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        return self._url

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``, by one request. See `Backend.put`."""
        checked_name(name)
        try:
            obstore.put(self._opened, name, data, use_multipart=False)
        except (BaseError, OSError) as error:
            if _missing(error):
                raise self._no_bucket() from None
            raise self._failure(error, name) from None

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes under ``name``, or a range of them. See `Backend.get`."""
        checked_name(name)
        checked_range(start, length)
        if length == 0:
            self.size(name)
            return b""
        return self._read(name, start, length).data

    def size(self, name: str) -> int:
        """How many bytes stand under ``name``. See `Backend.size`."""
        checked_name(name)
        try:
            return obstore.head(self._opened, name)["size"]
        except (BaseError, OSError) as error:
            failure = self._failure(error, name)
        if isinstance(failure, BlobMissingError):
            self._read(name, 0, 1)  # an answer to HEAD has no words: is the whole bucket missing?
        raise failure

    def delete(self, name: str) -> None:
        """Remove ``name``. See `Backend.delete`."""
        checked_name(name)
        try:
            obstore.delete(self._opened, name)
        except (BaseError, OSError) as error:
            if not _missing(error) or _is_no_bucket(error):
                raise self._failure(error, name) from None

    def list(self, prefix: str = "") -> Iterator[Object]:
        """Every name that begins with ``prefix``; cheapest where it ends with ``/``.

        A store lists whole folders: of a prefix that ends within a name, its folder is asked for
        and the rest left out here.
        """
        checked_prefix(prefix)
        return self._listed(prefix)

    def read_head(self, name: str) -> Versioned | None:
        """The head under ``name``; its version names the ETag and what the store versions by."""
        checked_name(name)
        try:
            return self._read(name, 0, None)
        except BlobMissingError:
            return None

    def swap_head(self, name: str, data: bytes, version: str | None) -> str:
        """Put a head in the place of the version that was read. See `Backend.swap_head`."""
        checked_name(name)
        mode: Any = "create" if version is None else _condition(version)
        if mode is None:
            raise self._conflict(name)
        try:
            result = obstore.put(self._opened, name, data, mode=mode, use_multipart=False)
        except (BaseError, OSError) as error:
            if _is_no_bucket(error):
                raise self._no_bucket() from None
            if isinstance(error, AlreadyExistsError | PreconditionError) or _missing(error):
                raise self._conflict(name) from None
            raise self._failure(error, name) from None
        return _version(result["e_tag"], result["version"])

    def close(self) -> None:
        """Give connections back."""
        self._store = None

    # ------------------------------------------------------------------ requests

    @property
    def _opened(self) -> _Store:
        if self._store is None:
            message = f"{self._url} is closed."
            raise StorageError(message)
        return self._store

    def _read(self, name: str, start: int, length: int | None) -> Versioned:
        wanted: Any = None
        if length is not None:
            wanted = {"range": (start, start + length)}
        elif start:
            wanted = {"range": {"offset": start}}
        try:
            result = obstore.get(self._opened, name, options=wanted)
            data = _bounded(result, length)
            return Versioned(data, _version(result.meta["e_tag"], result.meta["version"]))
        except (BaseError, OSError) as error:
            if wanted and _status(error) == _RANGE_NOT_SATISFIABLE:  # it stands and ends before
                return Versioned(b"", "")
            raise self._failure(error, name) from None

    def _listed(self, prefix: str) -> Iterator[Object]:
        folder, slash, _ = prefix.rpartition("/")
        try:
            # One of its overloads names types of Arrow, which is not installed.
            pages = obstore.list(self._opened, folder if slash else None)  # pyright: ignore[reportUnknownMemberType]
            for page in pages:
                for found in page:
                    if found["path"].startswith(prefix) and is_name(found["path"]):
                        yield Object(found["path"], found["size"])
        except (BaseError, OSError) as error:
            raise self._failure(error, prefix) from None

    # ------------------------------------------------------------------ errors

    def _failure(self, error: Exception, name: str) -> HauloutError:
        """Our error for obstore's, with the status and nothing else of its words."""
        status = _status(error)
        told = f" (HTTP {status})" if status else ""
        if _is_no_bucket(error) or (status == _NOT_FOUND and not _missing(error)):
            return self._no_bucket()
        if _missing(error):
            return BlobMissingError(f"{name} does not stand in {self._url}.")
        if isinstance(error, UnauthenticatedError | PermissionDeniedError) or (
            status in _CREDENTIALS
        ):
            return StoreRefusedError(f"{self._url} does not let these credentials in{told}.")
        server_failed = (status or _SERVER_FAILED) >= _SERVER_FAILED and status != _NOT_IMPLEMENTED
        elsewhere = status is None and "redirect" in _first_line(error)
        if (server_failed and not elsewhere) or status in _PASSING or _TOO_SLOW in str(error):
            return StoreUnavailableError(f"{self._url} does not answer as it should{told}.")
        return StoreRefusedError(
            f"{self._url} will not do what it is asked{told}.",
            hint="See whether the endpoint and the region are right, and what the store offers.",
        )

    def _no_bucket(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"There is no bucket at {self._url}.", hint="Make the bucket, or correct the address."
        )

    def _conflict(self, name: str) -> ConflictError:
        message = f"Another head stands under {name} in {self._url}."
        return ConflictError(message, hint="Read it again, then decide.")


# ---------------------------------------------------------------------- opening


def _store_at(
    address: Address, how: Access, timeout: timedelta, connect_timeout: timedelta
) -> _Store:
    client: Any = {
        "timeout": timeout,
        "connect_timeout": connect_timeout,
        "allow_http": how.plain_http,
    }
    options: dict[str, Any] = {
        "prefix": address.prefix or None,
        "client_options": client,
        "retry_config": _NO_REPEATS,
    }
    opens: dict[str, Callable[[Address, Access, dict[str, Any]], _Store]] = {
        "s3": _s3,
        "gs": _gcs,
        "az": _azure,
    }
    try:
        return opens[address.scheme](address, how, options)
    except (BaseError, ValueError, OSError):
        message = f"The configuration of {address.url} is not one that its store understands."
        raise InputError(message) from None  # the cause could repeat a key


def _s3(address: Address, how: Access, options: dict[str, Any]) -> S3Store:
    config: Any = {
        "endpoint": how.endpoint,
        "aws_endpoint_url_s3": how.endpoint,  # its variable would outrank the endpoint
        "region": how.given.get("region", "us-east-1"),
        "virtual_hosted_style_request": how.given.get("virtual_hosted_style_request") == "true",
        "skip_signature": how.anonymous,
        "conditional_put": "etag",
        "request_payer": False,
        "unsigned_payload": False,
        "disable_bulk_delete": True,  # one object, one DELETE, its own status
    }
    if not how.anonymous:
        options["credential_provider"] = _always(
            {
                "access_key_id": how.given["access_key_id"],
                "secret_access_key": how.given["secret_access_key"],
                "token": how.given.get("session_token"),
            }
        )
    return S3Store(address.bucket, config=config, **options)


def _gcs(address: Address, how: Access, options: dict[str, Any]) -> GCSStore:
    config: Any = {"base_url": how.endpoint, "skip_signature": how.anonymous}
    if token := how.given.get("bearer_token"):
        options["credential_provider"] = _always({"token": token})
    elif not how.anonymous:
        account = service_account(how.given["service_account_key"])

        def signed() -> dict[str, Any]:
            now = int(time.time())
            expires = datetime.fromtimestamp(now + VALID_S, UTC)
            return {"token": account.token(now), "expires_at": expires}

        options["credential_provider"] = signed
    return GCSStore(address.bucket, config=config, **options)


def _azure(address: Address, how: Access, options: dict[str, Any]) -> AzureStore:
    config: Any = {
        "account_name": address.account,
        "endpoint": how.endpoint,
        "skip_signature": how.anonymous,
    }
    theirs = {"access_key": "access_key", "sas_token": "sas_token", "bearer_token": "token"}
    credential = {theirs[key]: value for key, value in how.given.items() if key in theirs}
    base64.b64decode(credential.get("access_key", ""), validate=True)
    if credential:
        options["credential_provider"] = _always(credential)
    return AzureStore(address.bucket, config=config, **options)


def _always(credential: Mapping[str, str | None]) -> Callable[[], dict[str, Any]]:
    """A provider of one credential that does not expire."""
    return lambda: {**credential, "expires_at": None}


# ---------------------------------------------------------------------- answers


def _bounded(result: obstore.GetResult, most: int | None) -> bytes:
    """The bytes of an answer, reading no further than was asked for."""
    parts: list[bytes] = []
    total = 0
    for chunk in result.stream():
        parts.append(bytes(chunk))
        total += len(chunk)
        if most is not None and total >= most:
            break
    return b"".join(parts)[:most]


def _version(e_tag: str | None, version: str | None) -> str:
    return json.dumps([e_tag, version])


def _condition(version: str) -> dict[str, str] | None:
    """The condition that a version stands for; None for a text that no store has given."""
    try:
        e_tag, generation = json.loads(version)
    except (ValueError, TypeError):
        return None
    named = {"e_tag": e_tag, "version": generation}
    return {key: value for key, value in named.items() if isinstance(value, str)} or None


def _status(error: Exception) -> int | None:
    """The HTTP status in an error's first line, the only place where obstore tells it."""
    found = _STATUS.search(_first_line(error))
    return int(found[1]) if found else None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _missing(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError)


def _is_no_bucket(error: Exception) -> bool:
    return _status(error) == _NOT_FOUND and any(word in str(error) for word in _NO_BUCKET)
