"""A storage node: walrus.md §6.5. It holds the slivers of its shards, derived from the shelf.

A node has a blob's slivers once a publisher or a relay gave it the blob, or all of them were put
one by one; slivers that were put are kept as they came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from haulout.errors import HauloutError, InputError, WrongBytesError
from haulout.redstuff import (
    InconsistencyProof,
    Metadata,
    RecoverySymbol,
    Sliver,
    blob_id_bytes,
    pair_of_shard,
    proofs,
    proves_inconsistency,
    shard_of_pair,
    verify_sliver,
)
from haulout.redstuff.parameters import Axis
from haulout.storage.walrus.symbols import decoding_symbols, other, recovery_symbols
from haulout.testing.walrus import answers
from haulout.testing.walrus.answers import STORAGE, answering, octets, success
from haulout.testing.walrus.faults import Faults
from haulout.testing.walrus.keys import NodeKey
from haulout.testing.walrus.ledger import Ledger
from haulout.testing.walrus.shelf import Shelf

_MOST_BODY: Final = 64 << 20


@dataclass(slots=True)
class NodeState:
    """What one node has and knows.

    Attributes:
        shards: its shards; ledger: what it sees of the chain; shelf: all blobs' bytes.
        key: signs its confirmations, or None for a network without signatures.
        faults: its switches.
        holds: blobs of which it has the slivers of all its shards.
        metadata: of blobs that were put sliver by sliver; slivers: these, by (pair, axis).
        behind: the chain as it was when the node fell behind, or None.
    """

    shards: tuple[int, ...]
    ledger: Ledger
    shelf: Shelf
    key: NodeKey | None
    faults: Faults
    holds: set[str] = field(default_factory=set[str])
    metadata: dict[str, Metadata] = field(default_factory=dict[str, Metadata])
    slivers: dict[str, dict[tuple[int, Axis], Sliver]] = field(
        default_factory=dict[str, dict[tuple[int, Axis], Sliver]]
    )
    behind: Ledger | None = None

    @property
    def sight(self) -> Ledger:
        """The chain as the node sees it."""
        return self.behind or self.ledger

    def stale(self, *, on: bool) -> None:
        """Stop seeing what happens on the chain, or catch up."""
        self.behind = self.ledger.seen() if on else None

    def pairs(self, name: str) -> list[int]:
        """The pairs of a blob that belong to its shards."""
        raw = blob_id_bytes(name)
        return [pair_of_shard(shard, raw, self.ledger.n_shards) for shard in self.shards]

    def known(self, name: str) -> Metadata | None:
        """A blob's metadata, where the node has them."""
        gone = self.faults.lose or (self.faults.forget and self.ledger.certified(name))
        if gone or not self.ledger.registered(name):
            return None
        if name in self.holds and (found := self.shelf.metadata(name)) is not None:
            return found
        return self.metadata.get(name)

    def sliver(self, name: str, pair: int, axis: Axis) -> Sliver | None:
        """One sliver of its own, or None where it lacks it."""
        if self.known(name) is None:
            return None
        put = self.slivers.get(name, {}).get((pair, axis))
        if put is not None:
            return put
        if name not in self.holds:
            return None
        n = self.ledger.n_shards
        return self.shelf.sliver(name, axis, pair if axis == "primary" else n - 1 - pair)

    def complete(self, name: str) -> bool:
        """Whether it has both slivers of all its shards."""
        if name in self.holds:
            return True
        held = self.slivers.get(name, {})
        axes: tuple[Axis, Axis] = ("primary", "secondary")
        return all((pair, axis) in held for pair in self.pairs(name) for axis in axes)

    def drop_ended(self) -> None:
        """Forget blobs whose storage has ended."""
        for name in [*self.holds, *self.metadata]:
            if not self.ledger.registered(name):
                self.holds.discard(name)
                self.metadata.pop(name, None)
                self.slivers.pop(name, None)


class NodeRoutes:
    """The routes of one node."""

    def __init__(self, state: NodeState) -> None:
        self._state = state

    def app(self) -> Starlette:
        """The application."""
        blob = "/v1/blobs/{blob_id}"
        sliver = blob + "/slivers/{pair}/{axis}"
        table: list[tuple[str, str, Callable[[Request], Any]]] = [
            ("GET", f"{blob}/metadata", self.get_metadata),
            ("PUT", f"{blob}/metadata", self.put_metadata),
            ("GET", f"{blob}/metadata/status", self.metadata_status),
            ("GET", sliver, self.get_sliver),
            ("PUT", sliver, self.put_sliver),
            ("GET", f"{sliver}/status", self.sliver_status),
            ("GET", f"{blob}/confirmation/permanent", self.confirm_permanent),
            ("GET", f"{blob}/confirmation/deletable/{{object_id}}", self.confirm_deletable),
            ("GET", f"{blob}/status", self.status),
            ("GET", f"{blob}/recoverySymbols", self.recovery_symbols),
            ("GET", f"{blob}/decodingSymbols", self.decoding_symbols),
            ("POST", f"{blob}/inconsistencyProof/{{axis}}", self.inconsistency_proof),
            ("GET", "/v1/health", self.health),
        ]
        return Starlette(routes=[Route(p, answering(h), methods=[m]) for m, p, h in table])

    # ------------------------------------------------------------------ metadata and slivers

    async def get_metadata(self, request: Request) -> Response:
        """``GET .../metadata``."""
        found = self._metadata(answers.path_blob_id(request))
        if self._state.faults.mixes_up:
            others = [name for name in sorted(self._state.holds) if name != found.blob_id_text]
            found = self._metadata(others[0]) if others else found
        return octets(found.to_bcs_with_id())

    async def put_metadata(self, request: Request) -> Response:
        """``PUT .../metadata``."""
        name = answers.path_blob_id(request)
        answers.query(request, {"pending": answers.boolean})
        body = await answers.body(request, _MOST_BODY)
        self._registered(name)
        if self._state.known(name) is not None:
            return success("metadata already stored")
        try:
            metadata = Metadata.from_bcs(body)
        except HauloutError as error:
            raise answers.plain(400, f"invalid BCS: {error.message}") from error
        if metadata.blob_id_text != name or metadata.n_shards != self._state.ledger.n_shards:
            raise answers.refuse(
                "INVALID_ARGUMENT", "INVALID_METADATA", "the metadata is not the blob's", STORAGE
            )
        self._state.metadata[name] = metadata
        return success("metadata successfully stored", 201)

    async def metadata_status(self, request: Request) -> Response:
        """``GET .../metadata/status``."""
        known = self._state.known(answers.path_blob_id(request))
        return success("nonexistent" if known is None else "stored")

    async def get_sliver(self, request: Request) -> Response:
        """``GET .../slivers/{pair}/{axis}``: the path has the pair, the body the sliver's index."""
        name, pair, axis = self._place(request)
        if self._state.faults.mixes_up:
            pair = (pair + 1) % self._state.ledger.n_shards
        found = await run_in_threadpool(self._state.sliver, name, pair, axis)
        if found is None:
            raise answers.refuse(
                "NOT_FOUND", "SLIVER_NOT_FOUND", "the requested sliver was not found", STORAGE
            )
        return octets(found.to_bcs())

    async def put_sliver(self, request: Request) -> Response:
        """``PUT .../slivers/{pair}/{axis}``."""
        name, pair, axis = self._place(request)
        body = await answers.body(request, _MOST_BODY)
        self._registered(name)
        metadata = self._state.known(name)
        if metadata is None:
            raise answers.refuse(
                "FAILED_PRECONDITION", "METADATA_NOT_FOUND", "metadata is required", STORAGE
            )
        await run_in_threadpool(self._keep_sliver, metadata, pair, axis, body)
        return success("sliver stored successfully")

    def _keep_sliver(self, metadata: Metadata, pair: int, axis: Axis, body: bytes) -> None:
        n = self._state.ledger.n_shards
        try:
            sliver = Sliver.from_bcs(body, axis)
        except HauloutError as error:
            raise answers.plain(400, f"invalid BCS: {error.message}") from error
        if sliver.index != (pair if axis == "primary" else n - 1 - pair):
            raise answers.refuse(
                "INVALID_ARGUMENT", "SLIVER_INDEX_MISMATCH", "another index than the path's",
                STORAGE,
            )  # fmt: skip
        try:
            verify_sliver(metadata, sliver)
        except (WrongBytesError, InputError) as error:
            raise answers.refuse(
                "INVALID_ARGUMENT", "INVALID_SLIVER", error.message, STORAGE
            ) from error
        self._state.slivers.setdefault(metadata.blob_id_text, {})[pair, axis] = sliver

    async def sliver_status(self, request: Request) -> Response:
        """``GET .../slivers/{pair}/{axis}/status``."""
        name, pair, axis = self._place(request)
        found = await run_in_threadpool(self._state.sliver, name, pair, axis)
        return success("nonexistent" if found is None else "stored")

    # ------------------------------------------------------------------ what it says

    async def status(self, request: Request) -> Response:
        """``GET .../status``."""
        name = answers.path_blob_id(request)
        faults = self._state.faults
        if faults.status is not None:
            return success(faults.status)
        return success("nonexistent" if faults.lose else self._state.sight.status(name))

    async def health(self, request: Request) -> Response:
        """``GET /v1/health``."""
        answers.query(request, {"detailed": answers.boolean})
        key = self._state.key
        return success(
            {
                "uptime": {"secs": 1, "nanos": 0},
                "epoch": self._state.sight.epoch,
                "publicKey": "" if key is None else key.shown(),
                "nodeStatus": "Active",
                "eventProgress": {"persisted": 1, "pending": 0},
                "shardSummary": {
                    "owned": len(self._state.shards),
                    "ownedShardStatus": {"ready": len(self._state.shards)},
                    "readOnly": 0,
                },
            }
        )

    async def confirm_permanent(self, request: Request) -> Response:
        """``GET .../confirmation/permanent``."""
        return await run_in_threadpool(self._confirm, answers.path_blob_id(request), None)

    async def confirm_deletable(self, request: Request) -> Response:
        """``GET .../confirmation/deletable/{object_id}``."""
        name, object_id = answers.path_blob_id(request), request.path_params["object_id"]
        return await run_in_threadpool(self._confirm, name, object_id)

    def _confirm(self, name: str, object_id: str | None) -> Response:
        signed = confirmation(self._state, name, object_id)
        return success({"signed": signed})

    # ------------------------------------------------------------------ symbols

    async def recovery_symbols(self, request: Request) -> Response:
        """``GET .../recoverySymbols``: by ``id``, or all that help to rebuild one sliver."""
        name = answers.path_blob_id(request)
        metadata = self._metadata(name)
        ids = answers.repeated(request, "id")
        places = [self._symbol_place(text) for text in ids]
        axis = self._axis(request.query_params.get("proofAxis") or "secondary")
        if not ids:
            axis, index = self._target(request)
            places = self._crossings(name, axis, index)
            axis = other(axis)  # symbols are proved in the slivers that they come from
        data = await run_in_threadpool(self._prove, name, metadata, axis, places, bool(ids))
        return octets(data)

    def _prove(
        self,
        name: str,
        metadata: Metadata,
        source: Axis,
        places: list[tuple[int, int]],
        wanted: bool,  # noqa: FBT001
    ) -> bytes:
        n = metadata.n_shards
        found: list[RecoverySymbol] = []
        for row, column in places:
            index, target = (row, column) if source == "primary" else (column, row)
            pair = index if source == "primary" else n - 1 - index
            sliver = self._state.sliver(name, pair, source) if self._owns(name, pair) else None
            if sliver is not None:
                found += proofs(sliver, [target], n)
        if wanted and not found:
            raise answers.refuse(
                "NOT_FOUND", "SYMBOL_NOT_PRESENT_AT_SHARDS", "no shard here has it", STORAGE
            )
        return recovery_symbols(found)

    async def decoding_symbols(self, request: Request) -> Response:
        """``GET .../decodingSymbols``."""
        name = answers.path_blob_id(request)
        metadata = self._metadata(name)
        axis = self._axis(request.query_params.get("targetType") or "")
        texts = answers.repeated(request, "targetSlivers")
        indices = [self._index(text) for text in texts]
        if not indices:
            raise answers.plain(400, "Failed to deserialize query string: missing targetSlivers")

        def work() -> bytes:
            found: dict[int, list[tuple[int, bytes]]] = {}
            for index in indices:
                places = self._crossings(name, axis, index)
                found[index] = self._bare(name, metadata, other(axis), places)
            return decoding_symbols(axis, found)

        return octets(await run_in_threadpool(work))

    def _bare(
        self, name: str, metadata: Metadata, source: Axis, places: list[tuple[int, int]]
    ) -> list[tuple[int, bytes]]:
        n = metadata.n_shards
        found: list[tuple[int, bytes]] = []
        for row, column in places:
            index, target = (row, column) if source == "primary" else (column, row)
            sliver = self._state.sliver(
                name, index if source == "primary" else n - 1 - index, source
            )
            if sliver is not None:
                found.append((index, proofs(sliver, [target], n)[0].symbol))
        return found

    def _crossings(self, name: str, axis: Axis, index: int) -> list[tuple[int, int]]:
        """Where the sliver to rebuild crosses the slivers of the other axis that are here."""
        n = self._state.ledger.n_shards
        pairs = sorted(self._state.pairs(name))
        if axis == "primary":
            return [(index, n - 1 - pair) for pair in reversed(pairs)]
        return [(pair, index) for pair in pairs]

    async def inconsistency_proof(self, request: Request) -> Response:
        """``POST .../inconsistencyProof/{axis}``."""
        name = answers.path_blob_id(request)
        axis = self._axis(request.path_params["axis"])
        body = await answers.body(request, _MOST_BODY)
        metadata = self._metadata(name)
        try:
            variant = b"\0" if axis == "primary" else b"\1"
            proof = InconsistencyProof.from_bcs(variant + body)
        except HauloutError as error:
            raise answers.plain(400, f"invalid BCS: {error.message}") from error
        if not await run_in_threadpool(proves_inconsistency, metadata, proof):
            raise answers.refuse(
                "INVALID_ARGUMENT", "INVALID_PROOF", "the proof does not hold", STORAGE
            )
        return success(await run_in_threadpool(attestation, self._state, name))

    # ------------------------------------------------------------------ beneath

    def _metadata(self, name: str) -> Metadata:
        found = self._state.known(name)
        if found is None:
            raise answers.refuse(
                "NOT_FOUND", "METADATA_NOT_FOUND", "the requested metadata was not found", STORAGE
            )
        return found

    def _registered(self, name: str) -> None:
        if not self._state.sight.registered(name):
            raise answers.refuse(
                "FAILED_PRECONDITION", "NOT_REGISTERED", "the blob is not registered", STORAGE
            )

    def _place(self, request: Request) -> tuple[str, int, Axis]:
        name = answers.path_blob_id(request)
        axis = self._axis(request.path_params["axis"])
        pair = self._index(request.path_params["pair"])
        if not self._owns(name, pair):
            raise answers.refuse(
                "INVALID_ARGUMENT", "SHARD_NOT_ASSIGNED", "the shard is not this node's", STORAGE
            )
        return name, pair, axis

    def _owns(self, name: str, pair: int) -> bool:
        shard = shard_of_pair(pair, blob_id_bytes(name), self._state.ledger.n_shards)
        return shard in self._state.shards

    def _target(self, request: Request) -> tuple[Axis, int]:
        known = {"targetSliver": str, "targetType": str, "proofAxis": str}
        told = answers.query(request, known)
        if "targetSliver" not in told or "targetType" not in told:
            raise answers.plain(400, "Failed to deserialize query string: no symbols specified")
        return self._axis(told["targetType"]), self._index(told["targetSliver"])

    def _symbol_place(self, text: str) -> tuple[int, int]:
        row, dash, column = text.partition("-")
        if not dash:
            raise answers.plain(400, f"Failed to deserialize query string: invalid id {text}")
        return self._index(row), self._index(column)

    def _index(self, text: str) -> int:
        n = self._state.ledger.n_shards
        if not (text.isascii() and text.isdigit()):
            raise answers.plain(400, f"Invalid URL: Cannot parse `{text}` to a `u16`")
        if int(text) >= n:
            words = f"index {text} is out of range for {n}"
            raise answers.refuse("INVALID_ARGUMENT", "INDEX_OUT_OF_RANGE", words, STORAGE)
        return int(text)

    def _axis(self, text: str) -> Axis:
        if text == "primary":
            return "primary"
        if text == "secondary":
            return "secondary"
        raise answers.plain(400, f"Invalid URL: unknown variant `{text}`")


def confirmation(state: NodeState, name: str, object_id: str | None) -> dict[str, str]:
    """A node's signed confirmation that it stores a blob, as it stands on the wire."""
    found = state.sight.find(object_id) if object_id else state.sight.permanent(name)
    if found is None or found.blob_id != name or found.deletable != (object_id is not None):
        raise answers.refuse(
            "FAILED_PRECONDITION", "NOT_REGISTERED", "the blob is not registered", STORAGE
        )
    if state.known(name) is None or not state.complete(name):
        raise answers.refuse(
            "FAILED_PRECONDITION", "MISSING_SLIVERS", "not all slivers are stored", STORAGE
        )
    return _key(state).confirm(blob_id_bytes(name), state.sight.epoch, object_id)


def attestation(state: NodeState, name: str) -> dict[str, str]:
    """A node's signed word that a blob is inconsistent."""
    return _key(state).condemn(blob_id_bytes(name), state.sight.epoch)


def _key(state: NodeState) -> NodeKey:
    if state.key is None:
        raise answers.internal("this network was made without signatures")
    return state.key
