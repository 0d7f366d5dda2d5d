"""An aggregator: walrus.md §6.3."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from haulout.errors import HauloutError, InputError
from haulout.redstuff import Metadata, blob_id_text, decode, parameters, quilt
from haulout.redstuff.quilt import Item, Quilt
from haulout.testing.walrus import answers
from haulout.testing.walrus.answers import answering, json
from haulout.testing.walrus.faults import Faults
from haulout.testing.walrus.ledger import Ledger
from haulout.testing.walrus.node import NodeState
from haulout.testing.walrus.publisher import status
from haulout.testing.walrus.shelf import Shelf

ALLOWED_HEADERS: Final = (
    "content-type", "authorization", "content-disposition", "content-encoding",
    "content-language", "content-location", "link",
)  # fmt: skip
_CACHE: Final = "public, max-age=86400, stale-while-revalidate=3600"
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")
_READ: Final = {
    "strict_consistency_check": answers.boolean,
    "skip_consistency_check": answers.boolean,
}
_NOT_FOUND: Final = (
    "the requested blob ID does not exist on Walrus, ensure that it was entered correctly"
)


@dataclass(slots=True)
class AggregatorState:
    """What one aggregator knows.

    Attributes:
        ledger, shelf, nodes: the network's; faults: its switches.
        behind: the chain as it was when it fell behind, or None: a cache that holds a 404.
        most: bytes of the largest blob that it gives, or None.
    """

    ledger: Ledger
    shelf: Shelf
    nodes: list[NodeState]
    faults: Faults
    behind: Ledger | None = None
    most: int | None = None
    blocked: set[str] = field(default_factory=set[str])

    def stale(self, *, on: bool) -> None:
        """Stop seeing what happens on the chain, or catch up."""
        self.behind = self.ledger.seen() if on else None

    def readable(self, name: str) -> Metadata:
        """The metadata of a blob that can be read now; a refusal otherwise."""
        sight = self.behind or self.ledger
        gone = self.faults.lose or (self.faults.forget and self.ledger.certified(name))
        if name in self.blocked:
            raise answers.refuse(
                "UNAVAILABLE_FOR_LEGAL_REASONS", "FORBIDDEN_BLOB",
                "the requested metadata is blocked",
            )  # fmt: skip
        if gone or not sight.certified(name) or not self.ledger.certified(name):
            raise answers.refuse("NOT_FOUND", "BLOB_NOT_FOUND", _NOT_FOUND)
        metadata = self.shelf.metadata(name)
        if metadata is None:
            metadata = self._put_together(name)
        if self.most is not None and metadata.size > self.most:
            words = f"the blob size exceeds the maximum allowed size: {self.most}"
            raise answers.refuse("SIZE_EXCEEDED", "BLOB_TOO_LARGE", words)
        return metadata

    def _put_together(self, name: str) -> Metadata:
        """Decode a blob that was put at the nodes sliver by sliver, and keep it."""
        n, _, p, _ = parameters(self.ledger.n_shards)
        metadata = next((m for node in self.nodes if (m := node.known(name))), None)
        found = [
            sliver
            for node in self.nodes
            if node.faults.able
            for pair in node.pairs(name)
            if (sliver := node.sliver(name, pair, "primary")) is not None
        ]
        if metadata is None or len(found) < p or n < p:
            raise answers.refuse(
                "UNAVAILABLE", "BLOB_UNAVAILABLE", "not enough slivers could be retrieved"
            )
        try:
            data = decode(metadata, found)
        except HauloutError as error:
            raise answers.internal(error.message) from error
        self.shelf.put(self.shelf.encode(data), data)
        return metadata


class AggregatorRoutes:
    """The routes of one aggregator."""

    def __init__(self, state: AggregatorState) -> None:
        self._state = state

    def app(self) -> Starlette:
        """The application; those that are not GET answer HEAD as well."""
        table: list[tuple[str, Callable[[Request], Any]]] = [
            ("/v1/blobs/by-object-id/{object_id}", self.by_object),
            ("/v1/blobs/by-quilt-patch-id/{patch_id}", self.by_patch),
            ("/v1/blobs/by-quilt-id/{quilt_id}/{identifier:path}", self.by_identifier),
            ("/v1/quilts/{quilt_id}/patches", self.patches),
            ("/v1/blobs/{blob_id}/byte-range", self.byte_range),
            ("/v1/blobs/{blob_id}", self.blob),
            ("/v1alpha/blobs/{blob_id}/stream", self.stream),
            ("/v1alpha/blobs/concat", self.concat),
            ("/status", status),
        ]
        routes = [Route(path, answering(handle), methods=["GET"]) for path, handle in table]
        routes.append(
            Route("/v1alpha/blobs/concat", answering(self.concat_posted), methods=["POST"])
        )
        return Starlette(routes=routes)

    # ------------------------------------------------------------------ blobs

    async def blob(self, request: Request) -> Response:
        """``GET /v1/blobs/{blob_id}``, whole or with a ``Range``."""
        return await self._blob(request, answers.path_blob_id(request))

    async def _blob(self, request: Request, name: str) -> Response:
        _consistency(answers.query(request, _READ))
        wanted = request.headers.get("range")
        part = None if wanted is None else _parsed_range(wanted)
        metadata = await run_in_threadpool(self._state.readable, name)
        if part is None:
            return self._pieces(request, name, 0, metadata.size, name)
        start, end = part
        if end >= metadata.size:
            raise _bad_range("RANGE_NOT_SATISFIABLE", "the range exceeds the blob's size")
        response = self._pieces(request, name, start, end - start + 1, name, 206)
        response.headers["content-range"] = f"bytes {start}-{end}/{metadata.size}"
        return response

    async def byte_range(self, request: Request) -> Response:
        """``GET /v1/blobs/{blob_id}/byte-range``: 200, so that caches keep it."""
        name = answers.path_blob_id(request)
        known = {"start": answers.unsigned(64), "length": answers.unsigned(64)}
        told = answers.query(request, known)
        if len(told) < len(known):
            raise answers.plain(400, "Failed to deserialize query string: missing field")
        start, length = told["start"], told["length"]
        if not length:
            raise _bad_range("INVALID_ARGUMENT", "length must be greater than 0")
        if start + length >= 1 << 64:
            raise _bad_range("INVALID_ARGUMENT", "start + length overflows")
        metadata = await run_in_threadpool(self._state.readable, name)
        if start + length > metadata.size:
            raise _bad_range("INVALID_ARGUMENT", "the range exceeds the blob's size")
        return self._pieces(request, name, start, length, f"{name}-{start}-{length}")

    async def by_object(self, request: Request) -> Response:
        """``GET /v1/blobs/by-object-id/{object_id}``, attributes as headers."""
        object_id = request.path_params["object_id"]
        if not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", object_id):
            raise answers.plain(400, f"Invalid URL: Cannot parse `{object_id}`")
        found = (self._state.behind or self._state.ledger).find(object_id)
        if found is None:
            raise answers.refuse("NOT_FOUND", "BLOB_NOT_FOUND", _NOT_FOUND)
        response = await self._blob(request, found.blob_id)
        if response.status_code == 200:  # noqa: PLR2004 - attributes come with the whole blob only
            _add_headers(response, found.attributes)
        return response

    async def stream(self, request: Request) -> Response:
        """``GET /v1alpha/blobs/{id}/stream``."""
        name = answers.path_blob_id(request)
        metadata = await run_in_threadpool(self._state.readable, name)
        response = self._pieces(request, name, 0, metadata.size, name)
        response.headers["x-walrus-streaming"] = "true"
        return response

    async def concat(self, request: Request) -> Response:
        """``GET /v1alpha/blobs/concat?ids=a,b``."""
        told = answers.query(request, {"ids": str, **_READ})
        _consistency(told)
        return await self._joined([one for one in told.get("ids", "").split(",") if one.strip()])

    async def concat_posted(self, request: Request) -> Response:
        """``POST /v1alpha/blobs/concat``."""
        told = await request.json()
        _consistency(told)
        return await self._joined(told["ids"])

    async def _joined(self, ids: list[str]) -> Response:
        if not ids:
            raise answers.plain(400, "at least one blob ID or object ID must be provided")
        parts: list[bytes] = []
        for text in ids:
            found = self._state.ledger.find(text.strip())
            name = found.blob_id if found else text.strip()
            metadata = await run_in_threadpool(self._state.readable, name)
            parts.append(await run_in_threadpool(self._state.shelf.part, name, 0, metadata.size))
        return Response(b"".join(parts))

    # ------------------------------------------------------------------ quilts

    async def by_patch(self, request: Request) -> Response:
        """``GET /v1/blobs/by-quilt-patch-id/{patch_id}``."""
        try:
            patch = quilt.parse_patch_id(request.path_params["patch_id"])
        except InputError as error:
            raise answers.plain(400, f"Invalid URL: {error.message}") from error
        name = blob_id_text(patch.blob_id)
        return await run_in_threadpool(self._item, request, name, lambda whole: whole.item(patch))

    async def by_identifier(self, request: Request) -> Response:
        """``GET /v1/blobs/by-quilt-id/{quilt_id}/{identifier}``."""
        name = answers.path_blob_id(request, "quilt_id")
        wanted = request.path_params["identifier"]
        return await run_in_threadpool(self._item, request, name, lambda whole: whole.get(wanted))

    async def patches(self, request: Request) -> Response:
        """``GET /v1/quilts/{quilt_id}/patches``: keys are snake_case here."""
        name = answers.path_blob_id(request, "quilt_id")
        whole, raw = await run_in_threadpool(self._quilt, name)
        return json(
            [
                {
                    "identifier": patch.identifier,
                    "patch_id": quilt.patch_id(raw, patch),
                    "tags": dict(patch.tags),
                }
                for patch in whole.patches
            ]
        )

    def _item(self, request: Request, name: str, find: Callable[[Quilt], Item]) -> Response:
        whole, _ = self._quilt(name)
        try:
            found = find(whole)
        except HauloutError as error:
            words = "the requested quilt patch does not exist on Walrus"
            raise answers.refuse("NOT_FOUND", "QUILT_PATCH_NOT_FOUND", words) from error
        response = Response(found.data)
        _read_headers(request, response, name)  # the quilt's ID: its patches share an ETag
        _add_headers(response, dict(found.tags))
        response.headers["X-Quilt-Patch-Identifier"] = found.identifier
        return response

    def _quilt(self, name: str) -> tuple[Quilt, bytes]:
        metadata = self._state.readable(name)
        data = self._state.shelf.part(name, 0, metadata.size)
        try:
            return quilt.read(data, self._state.ledger.n_shards), metadata.blob_id
        except HauloutError as error:
            raise answers.internal(error.message) from error

    # ------------------------------------------------------------------ beneath

    def _pieces(
        self, request: Request, name: str, start: int, length: int, etag: str, status: int = 200
    ) -> Response:
        pieces = self._state.shelf.pieces(name, start, length)
        response = StreamingResponse(pieces, status, {"content-length": str(length)})
        _read_headers(request, response, etag)
        return response


def _consistency(told: dict[str, Any]) -> None:
    if told.get("strict_consistency_check") and told.get("skip_consistency_check"):
        raise answers.refuse(
            "INVALID_ARGUMENT", "INVALID_CONSISTENCY_CHECK",
            "a strict and a skipped consistency check exclude each other",
        )  # fmt: skip


def _parsed_range(text: str) -> tuple[int, int]:
    """``bytes=a-b``, both ends given; everything else is a 416."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or int(found[1]) > int(found[2]):
        raise _bad_range("RANGE_NOT_SATISFIABLE", "invalid range header format")
    return int(found[1]), int(found[2])


def _bad_range(status: str, words: str) -> answers.Refusal:
    return answers.refuse(status, "INVALID_BYTE_RANGE", f"invalid byte range parameters: {words}")


def _read_headers(request: Request, response: Response, etag: str) -> None:
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["cache-control"] = _CACHE
    response.headers["etag"] = etag  # unquoted, against the standard
    accept, sent = request.headers.get("accept"), request.headers.get("content-type")
    if accept is not None and "*" not in accept:
        response.headers["content-type"] = accept
    elif request.method == "GET" and sent is not None:
        response.headers["content-type"] = sent


def _add_headers(response: Response, attributes: dict[str, str]) -> None:
    for key, value in attributes.items():
        allowed = key.lower() in ALLOWED_HEADERS and value.isprintable() and value.isascii()
        if allowed and key.lower() not in response.headers:
            response.headers[key] = value
