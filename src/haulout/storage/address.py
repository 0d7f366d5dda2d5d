"""From an address to a backend: folders, memory and buckets by URL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from haulout.errors import InputError
from haulout.storage.backend import Backend
from haulout.storage.bucket import OPTIONS
from haulout.storage.folder import FolderBackend
from haulout.storage.memory import MemoryBackend

_HINT = "Write a path, file:///path, memory:name, s3://bucket, gs://bucket or az://account/name."


def open_backend(
    url: str, config: Mapping[str, str] | None = None, *, create: bool = False
) -> Backend:
    """Open the backend at an address.

    Args:
        url: a path or ``file:///path`` of a folder; ``memory:name``, one of this process; or a
            bucket's ``s3://bucket/prefix``, ``gs://bucket/prefix``,
            ``az://account/container/prefix``. It holds no credentials.
        config: for a bucket, credentials and options, by the names in `storage.bucket`.
        create: make the folder into a store where it is none yet (`FolderBackend.create`). Without
            it a folder that is not one is a `StoreUnavailableError` when it is used. Buckets are
            never made here.

    Raises:
        InputError: the address has another form, holds credentials, or the configuration does not
            fit; or a library is not installed.
        StorageError, or one of its children: the folder cannot be made.
    """
    scheme = _scheme(url)
    if scheme in OPTIONS:
        return _bucket(url, config)
    if config:
        message = "Only a bucket has a configuration."
        raise InputError(message)
    if scheme == "memory":
        name = url.partition(":")[2].strip("/")
        if not name:
            message = "A backend in memory needs a name."
            raise InputError(message, hint="Write memory:name.")
        return MemoryBackend.named(name)
    if scheme not in {"", "file"}:
        message = f"There is no backend for addresses with {scheme[:20]}:."
        raise InputError(message, hint=_HINT)
    path = _path(url) if scheme else Path(url)
    if not str(url).strip() or "\0" in url or path.parts[:1] == ("~",):
        message = "The path of a folder is empty, or not written out."
        raise InputError(message, hint=_HINT)
    return FolderBackend.create(path) if create else FolderBackend(path)


def _scheme(url: str) -> str:
    """The scheme, or nothing for a path, be it one with a drive's letter."""
    scheme, colon, _ = url.partition(":")
    if not colon or len(scheme) < len("gs") or not scheme.isalnum():
        return ""
    return scheme.lower()


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path or parts.query or parts.fragment:
        message = "A file URL names a folder of this machine by its whole path."
        raise InputError(message, hint="Write file:///path.")
    return Path(url2pathname(parts.path))


def _bucket(url: str, config: Mapping[str, str] | None) -> Backend:
    try:
        from haulout.storage.objectstore import ObjectStoreBackend
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        message = "Buckets need the package obstore."
        raise InputError(message, hint="Run: pip install 'haulout[s3]'") from error
    return ObjectStoreBackend(url, config)
