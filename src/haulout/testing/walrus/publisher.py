"""A publisher: walrus.md §6.2. It encodes, pays from its wallet, stores at nodes and certifies.

As the network's own: it looks up what is certified only for permanent blobs, and looks into its
wallet only with ``reuse_resources``; a deletable blob sent twice is paid twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from haulout.errors import HauloutError, InputError, LimitError, StoreRefusedError
from haulout.redstuff import blob_id_bytes, blob_id_text, encoded_length, quilt
from haulout.redstuff.quilt import Item, Quilt
from haulout.storage.walrus.standing import faulty
from haulout.testing.walrus import answers
from haulout.testing.walrus.answers import DAEMON, answering, json
from haulout.testing.walrus.claims import Doorkeeper
from haulout.testing.walrus.faults import Faults
from haulout.testing.walrus.ledger import NO_MONEY, BlobObject, Ledger, event_of
from haulout.testing.walrus.node import NodeState
from haulout.testing.walrus.shelf import Shelf

BLOB_LIMIT: Final = 10 << 20
QUILT_LIMIT: Final = 100 << 20
_AT_ONCE: Final = 16  # 8 requests that are worked on, and 8 that wait
_MOST_ITEMS: Final = 1000


def _encoding(text: str) -> str:
    if text not in {"RS2", "RedStuff"}:
        raise ValueError(f"unknown variant `{text}`, expected `RS2`")
    return "RS2"


def _version(text: str) -> str:
    if text not in {"v1", "V1", "1"}:
        raise ValueError(f"invalid quilt version `{text}`")
    return "v1"


def _address(text: str) -> str:
    digits = text.removeprefix("0x")
    if len(digits) != len("00" * 32) or any(c not in "0123456789abcdefABCDEF" for c in digits):
        raise ValueError("invalid Sui address")
    return f"0x{digits.lower()}"


_QUERY: Final[dict[str, Callable[[str], Any]]] = {
    "encoding_type": _encoding,
    "epochs": answers.unsigned(32),
    "deletable": answers.boolean,
    "permanent": answers.boolean,
    "force": answers.boolean,
    "reuse_resources": answers.boolean,
    "quilt_version": _version,
    "send_object_to": _address,
    "share": answers.boolean,
}


@dataclass(slots=True)
class PublisherState:
    """What one publisher has.

    Attributes:
        wallet: its account; ledger, shelf, nodes: the network's; faults: its switches.
        doorkeeper: checks tokens, or None where nobody needs one.
        blob_limit, quilt_limit: bytes of a body; at_once: requests before 429.
    """

    wallet: str
    ledger: Ledger
    shelf: Shelf
    nodes: Sequence[NodeState]
    faults: Faults
    doorkeeper: Doorkeeper | None = None
    blob_limit: int = BLOB_LIMIT
    quilt_limit: int = QUILT_LIMIT
    at_once: int = _AT_ONCE
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Died(Exception):  # noqa: N818 - it ends a request, and is no error of Haulout's
    """The publisher is gone in the middle of its work."""


class PublisherRoutes:
    """The routes of one publisher.

    Args:
        state: see there; abort: breaks the connection that a request came on.
    """

    def __init__(self, state: PublisherState, abort: Callable[[Any], None]) -> None:
        self._state = state
        self._abort = abort

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/v1/blobs", answering(self.put_blob), methods=["PUT"]),
                Route("/v1/quilts", answering(self.put_quilt), methods=["PUT"]),
                Route("/status", answering(status), methods=["GET"]),
            ]
        )

    async def put_blob(self, request: Request) -> Response:
        """``PUT /v1/blobs``."""
        told = answers.query(request, _QUERY)
        data = await answers.body(request, self._state.blob_limit)
        self._admit(request, told, len(data))
        stored = await self._guarded(request, lambda: self._store(data, told))
        return stored if isinstance(stored, Response) else json(stored)

    async def put_quilt(self, request: Request) -> Response:
        """``PUT /v1/quilts``: a form with a field for each item, and their tags."""
        told = answers.query(request, _QUERY)
        announced = int(request.headers.get("content-length", "0"))
        if announced > self._state.quilt_limit:
            raise answers.plain(413, "length limit exceeded")
        items = await _items(request, self._state.quilt_limit)
        self._admit(request, told, announced)

        def work() -> Any:
            try:
                packed = quilt.pack(items, self._state.ledger.n_shards)
            except InputError as error:
                raise answers.refuse(
                    "INVALID_ARGUMENT", "MALFORMED_REQUEST", error.message
                ) from error
            stored = self._store(bytes(packed.data), told)
            return {"blobStoreResult": stored, "storedQuiltBlobs": _patches(packed, stored)}

        stored = await self._guarded(request, work)
        return stored if isinstance(stored, Response) else json(stored)

    # ------------------------------------------------------------------ who may, and how many

    def _admit(self, request: Request, told: dict[str, Any], size: int) -> None:
        keeper = self._state.doorkeeper
        if keeper is not None:
            header = request.headers.get("authorization", "")
            keeper.check(header, size, told.get("epochs", 1), told.get("send_object_to"))
        if told.get("deletable") and told.get("permanent"):
            raise answers.refuse(
                "INVALID_ARGUMENT", "INVALID_BLOB_PERSISTENCE",
                "the blob cannot be defined as both deletable and permanent",
            )  # fmt: skip
        if "share" in told and "send_object_to" in told:
            raise answers.plain(400, "Failed to deserialize query string: share or send, not both")

    async def _guarded(self, request: Request, work: Callable[[], Any]) -> Any:
        """Do the work in a thread, within the limit of requests at once."""
        state = self._state
        with state.lock:
            if state.running >= state.at_once:
                return answers.BUSY
            state.running += 1
        try:
            return await run_in_threadpool(work)
        except _Died:
            self._abort(request.scope)
            return Response(status_code=500)
        finally:
            with state.lock:
                state.running -= 1

    # ------------------------------------------------------------------ storing

    def _store(self, data: bytes, told: dict[str, Any]) -> dict[str, Any]:
        state = self._state
        epochs = told.get("epochs", 1)
        try:
            encoded = state.shelf.encode(data)
        except LimitError as error:
            raise answers.refuse("INVALID_ARGUMENT", "MALFORMED_REQUEST", error.message) from error
        name = encoded.blob_id_text
        if state.faults.lie:
            return self._lied(name, len(data), epochs, told)
        with state.lock:
            done = self._found(name, epochs, told)
            if done is not None:
                return self._named(done)
            made, operation, paid = self._buy(name, len(data), epochs, told)
        if state.faults.dies_after_paying:
            raise _Died
        state.shelf.put(encoded, data)
        able = [node for node in state.nodes if node.faults.able]
        for node in able:
            node.holds.add(name)
        n = state.ledger.n_shards
        if sum(len(node.shards) for node in able) < n - faulty(n):
            raise answers.refuse(
                "DEADLINE_EXCEEDED", "INSUFFICIENT_CONFIRMATIONS",
                "the service timed-out while waiting for confirmations, please try again",
            )  # fmt: skip
        state.ledger.certify(made.id)
        return self._named(self._created(made, operation, paid, told))

    def _found(self, name: str, epochs: int, told: dict[str, Any]) -> dict[str, Any] | None:
        """What stands for long enough already, as far as a publisher looks."""
        state = self._state
        wanted = state.ledger.epoch + epochs
        if told.get("force"):
            return None
        if told.get("permanent"):
            longest = state.ledger.permanent(name)
            if longest is not None and longest.certified is not None and longest.end >= wanted:
                return _already(longest, {"event": event_of(longest)})
        if not told.get("reuse_resources"):
            return None
        mine = state.ledger.owned(state.wallet, name, deletable=not told.get("permanent"))
        if mine is None or mine.certified is None or mine.end < wanted:
            return None
        return _already(mine, {"object": mine.id})

    def _buy(
        self, name: str, size: int, epochs: int, told: dict[str, Any]
    ) -> tuple[BlobObject, dict[str, Any], int]:
        """Register the blob, or go on with what the wallet has of it. Gives the cost, too."""
        state = self._state
        if state.faults.broke:
            raise answers.internal(NO_MONEY)
        encoded = encoded_length(size, state.ledger.n_shards)
        deletable = not told.get("permanent")
        mine = None
        if told.get("reuse_resources"):
            mine = state.ledger.owned(state.wallet, name, deletable=deletable)
        if mine is not None and told.get("force") and mine.certified is not None:
            mine = None
        try:
            if mine is None:
                made, paid = state.ledger.register(
                    state.wallet, name, size, epochs, deletable=deletable,
                    owner=told.get("send_object_to"),
                )  # fmt: skip
                what = {"encodedLength": encoded, "epochsAhead": epochs}
                return made, {"registerFromScratch": what}, paid
            more = state.ledger.epoch + epochs - mine.end
            if more <= 0:
                return mine, {"reuseRegistration": {"encodedLength": encoded}}, 0
            paid = state.ledger.extend(state.wallet, mine.id, more)
        except StoreRefusedError as error:
            raise answers.internal(error.message) from error
        except HauloutError as error:
            raise answers.refuse("INVALID_ARGUMENT", "MALFORMED_REQUEST", error.message) from error
        kind = "reuseAndExtend" if mine.certified is not None else "reuseAndExtendNonCertified"
        return mine, {kind: {"encodedLength": encoded, "epochsExtended": more}}, paid

    def _created(
        self, made: BlobObject, operation: dict[str, Any], paid: int, told: dict[str, Any]
    ) -> dict[str, Any]:
        result: dict[str, Any] = {
            "blobObject": shown(made),
            "resourceOperation": operation,
            "cost": paid,
        }
        if told.get("share"):
            result["sharedBlobObject"] = self._state.ledger.share(made.id)
        return {"newlyCreated": result}

    def _lied(self, name: str, size: int, epochs: int, told: dict[str, Any]) -> dict[str, Any]:
        """The answer of a publisher that did nothing."""
        ledger = self._state.ledger
        encoded = encoded_length(size, ledger.n_shards)
        nothing = "0x" + "00" * 32
        made = BlobObject(
            nothing, nothing, name, size, encoded, ledger.epoch, ledger.epoch,
            ledger.epoch + epochs, not told.get("permanent"), self._state.wallet, "", ledger.epoch,
        )  # fmt: skip
        what = {"registerFromScratch": {"encodedLength": encoded, "epochsAhead": epochs}}
        return self._named({"newlyCreated": {"blobObject": shown(made), "resourceOperation": what,
                                             "cost": 1}})  # fmt: skip

    def _named(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result, with another blob's ID where the publisher gets that wrong."""
        if self._state.faults.wrong_id:
            told = result.get("alreadyCertified") or result["newlyCreated"]["blobObject"]
            raw = bytes(byte ^ 1 for byte in blob_id_bytes(told["blobId"]))
            told["blobId"] = blob_id_text(raw)
        return result


async def status(_request: Request) -> Response:
    """``GET /status`` of publishers and aggregators."""
    return PlainTextResponse("OK")


def shown(made: BlobObject) -> dict[str, Any]:
    """An object as a publisher shows it."""
    return {
        "id": made.id,
        "registeredEpoch": made.registered,
        "blobId": made.blob_id,
        "size": made.size,
        "encodingType": "RS2",
        "certifiedEpoch": made.certified,
        "storage": {
            "id": made.storage_id,
            "startEpoch": made.start,
            "endEpoch": made.end,
            "storageSize": made.encoded,
        },
        "deletable": made.deletable,
    }


def _already(found: BlobObject, proof: dict[str, Any]) -> dict[str, Any]:
    return {"alreadyCertified": {"blobId": found.blob_id, **proof, "endEpoch": found.end}}


def _patches(packed: Quilt, stored: dict[str, Any]) -> list[dict[str, Any]]:
    told = stored.get("alreadyCertified") or stored["newlyCreated"]["blobObject"]
    raw = blob_id_bytes(told["blobId"])
    return [
        {
            "identifier": patch.identifier,
            "quiltPatchId": quilt.patch_id(raw, patch),
            "range": [patch.start, patch.end],
        }
        for patch in packed.patches
    ]


class _Tags(msgspec.Struct, kw_only=True):
    identifier: str
    tags: dict[str, Any] = {}


def _malformed(words: str) -> answers.Refusal:
    return answers.refuse("INVALID_ARGUMENT", "MALFORMED_REQUEST", words, DAEMON)


async def _items(request: Request, limit: int) -> list[Item]:
    """The items of a form; tags that are no strings become such."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data") or "boundary=" not in kind:
        raise answers.plain(400, "Invalid `boundary` for `multipart/form-data` request")
    tags: dict[str, dict[str, str]] = {}
    found: dict[str, bytes] = {}
    async with request.form(max_files=_MOST_ITEMS, max_part_size=limit) as form:
        for name, value in form.multi_items():
            data = await value.read() if isinstance(value, UploadFile) else value.encode()
            if name == "_metadata":
                tags = _read_tags(data)
            elif name in found:
                raise _malformed(f"duplicate identifier {name}")
            else:
                found[name] = data
    if not found:
        raise _malformed("no blobs were given")
    return [Item(name, data, tags.get(name, {})) for name, data in found.items()]


def _read_tags(data: bytes) -> dict[str, dict[str, str]]:
    try:
        told = msgspec.json.decode(data, type=list[_Tags])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed("the field _metadata cannot be read") from error
    names = [one.identifier for one in told]
    if len(set(names)) < len(names):
        raise _malformed("duplicate identifier in _metadata")
    return {one.identifier: {k: _text(v) for k, v in one.tags.items()} for one in told}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
