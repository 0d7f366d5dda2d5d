"""An aggregator: it reads slivers for us and puts the blob together. Source: walrus.md §6.3.

What it gives is unverified here; `reading` compares it with the blob's ID. ETags are no key for a
cache: all patches of a quilt share one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from haulout.errors import InputError, WrongBytesError
from haulout.storage.walrus.config import checked_url
from haulout.storage.walrus.http import Answer, Http, Request, Silence, refusal
from haulout.storage.walrus.wire import ListedPatch, read_patches

_PATCHES_BYTES: Final = 64 << 20  # 666 patches, each with 64 KiB of tags and then some
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Given:
    """Bytes as an aggregator gave them, unverified.

    Attributes:
        data: the bytes; etag: as it was sent, without quotes.
        identifier: of a quilt's patch; empty otherwise.
        headers: all of the answer, names in lower case; a blob's attributes are among them.
    """

    data: bytes
    etag: str = ""
    identifier: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Aggregator:
    """One aggregator.

    Args:
        http: sends; url: its base; seconds: for a read.
    """

    def __init__(self, http: Http, url: str, seconds: float) -> None:
        self._http = http
        self.url = checked_url(url)
        self._seconds = seconds

    def blob(self, blob_id: str, most: int, *, fresh: bool = False) -> Given:
        """The whole blob.

        Args:
            blob_id: text form; most: bytes that it can have at most.
            fresh: ask past caches between here and there, which may hold a 404 from before the
                blob was certified.

        Raises:
            BlobMissingError, StoreRefusedError, StoreUnavailableError: as `http.refusal` says.
        """
        query = (("skip_consistency_check", False),) if fresh else ()
        return self._give(f"/v1/blobs/{blob_id}", most, query)

    def has(self, blob_id: str, *, fresh: bool = True) -> bool:
        """Whether it gives the blob at all (HEAD). True is its word, not proof.

        Raises:
            StoreRefusedError, StoreUnavailableError: it does not say.
        """
        query = (("skip_consistency_check", False),) if fresh else ()
        answer = self._http.send(
            Request("HEAD", f"{self.url}/v1/blobs/{blob_id}", query, seconds=self._seconds)
        )
        if isinstance(answer, Silence):
            raise answer.raised
        if answer.status == _NOT_FOUND:
            return False
        if not answer.ok:
            raise refusal(answer)
        return True

    def blob_range(self, blob_id: str, start: int, length: int) -> Given:
        """``length`` bytes from ``start``, by the route that caches understand.

        Raises:
            InputError: there is no such range in the blob, it says.
            WrongBytesError: it gives another number of bytes.
        """
        _checked_range(start, length)
        query = (("start", start), ("length", length))
        given = self._give(f"/v1/blobs/{blob_id}/byte-range", length, query)
        return self._exact(given, length)

    def blob_part(self, blob_id: str, start: int, length: int) -> Given:
        """The same by a ``Range`` header, which caches may not keep.

        Raises:
            InputError, WrongBytesError: as `blob_range`.
        """
        _checked_range(start, length)
        headers = {"range": f"bytes={start}-{start + length - 1}"}
        return self._exact(self._give(f"/v1/blobs/{blob_id}", length, (), headers), length)

    def object_blob(self, object_id: str, most: int) -> Given:
        """The blob of an object on the chain, its attributes among the headers."""
        return self._give(f"/v1/blobs/by-object-id/{quote(object_id, safe='')}", most)

    def patch(self, patch_id: str, most: int) -> Given:
        """One item of a quilt by its patch ID."""
        return self._give(f"/v1/blobs/by-quilt-patch-id/{quote(patch_id, safe='')}", most)

    def quilt_item(self, quilt_id: str, identifier: str, most: int) -> Given:
        """One item of a quilt by its identifier."""
        path = f"/v1/blobs/by-quilt-id/{quilt_id}/{quote(identifier, safe='')}"
        return self._give(path, most)

    def patches(self, quilt_id: str) -> tuple[ListedPatch, ...]:
        """The items of a quilt, as it says."""
        url = f"{self.url}/v1/quilts/{quilt_id}/patches"
        request = Request("GET", url, most=_PATCHES_BYTES, seconds=self._seconds)
        return read_patches(self._http.ask(request).body, self.url)

    def _give(
        self,
        path: str,
        most: int,
        query: tuple[tuple[str, str | int | bool], ...] = (),
        headers: dict[str, str] | None = None,
    ) -> Given:
        answer: Answer = self._http.ask(
            Request(
                "GET",
                f"{self.url}{path}",
                query,
                headers=headers or {},
                most=most,
                seconds=self._seconds,
            )
        )
        told = dict(answer.headers)
        etag, identifier = told.get("etag", ""), told.get("x-quilt-patch-identifier", "")
        return Given(answer.body, etag, identifier, told)

    def _exact(self, given: Given, length: int) -> Given:
        if len(given.data) != length:
            message = f"{self.url} gives {len(given.data)} bytes of a range of {length}."
            raise WrongBytesError(message)
        return given


def _checked_range(start: int, length: int) -> None:
    if start < 0 or length < 1:
        raise InputError(f"There is no range of {length} bytes from {start}.")
