"""An upload relay: walrus.md §6.4. Errors are plain text."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from haulout.redstuff import blob_id_bytes, certificate, encoded_length
from haulout.storage.walrus.standing import faulty
from haulout.storage.walrus.wire import Tip
from haulout.testing.walrus import answers
from haulout.testing.walrus.answers import answering, json
from haulout.testing.walrus.faults import Faults
from haulout.testing.walrus.ledger import Ledger
from haulout.testing.walrus.node import NodeState, confirmation
from haulout.testing.walrus.publisher import status
from haulout.testing.walrus.shelf import Shelf

RELAY_LIMIT: Final = 1 << 30
_QUERY: Final = {
    "blob_id": str, "tx_id": str, "nonce": str, "deletable_blob_object": str,
    "encoding_type": str,
}  # fmt: skip


@dataclass(slots=True)
class RelayState:
    """What one relay knows.

    Attributes:
        ledger, shelf, nodes: the network's; faults: its switches.
        tip: what it wants; linear: whether that is written as a linear tip.
    """

    ledger: Ledger
    shelf: Shelf
    nodes: Sequence[NodeState]
    faults: Faults
    tip: Tip
    limit: int = RELAY_LIMIT


class RelayRoutes:
    """The routes of one relay."""

    def __init__(self, state: RelayState) -> None:
        self._state = state

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/v1/tip-config", answering(self.tip_config), methods=["GET"]),
                Route("/v1/blob-upload-relay", answering(self.upload), methods=["POST"]),
                Route("/status", answering(status), methods=["GET"]),
            ]
        )

    async def tip_config(self, _request: Request) -> Response:
        """``GET /v1/tip-config``."""
        tip = self._state.tip
        if tip.address is None:
            return json("no_tip")
        kind: dict[str, Any] = {"const": tip.base}
        if tip.per_kib:
            kind = {"linear": {"base": tip.base, "encoded_size_mul_per_kib": tip.per_kib}}
        return json({"send_tip": {"address": tip.address, "kind": kind}})

    async def upload(self, request: Request) -> Response:
        """``POST /v1/blob-upload-relay``."""
        told = answers.query(request, _QUERY)
        data = await answers.body(request, self._state.limit)
        return await run_in_threadpool(self._relay, told, data)

    def _relay(self, told: dict[str, str], data: bytes) -> Response:
        state = self._state
        encoded = state.shelf.encode(data)
        name = encoded.blob_id_text
        if told.get("blob_id") != name:
            raise answers.plain(400, "blob ID mismatch")
        if state.tip.address is not None:
            self._check_tip(told, data)
        object_id = told.get("deletable_blob_object")
        found = state.ledger.find(object_id) if object_id else state.ledger.permanent(name)
        if found is None or found.blob_id != name:
            raise answers.plain(500, "the blob is not registered")
        state.shelf.put(encoded, data)
        able = [(place, node) for place, node in enumerate(state.nodes) if node.faults.able]
        for _, node in able:
            node.holds.add(name)
        n = state.ledger.n_shards
        if sum(len(node.shards) for _, node in able) < n - faulty(n):
            raise answers.plain(500, "not enough confirmations")
        return json(
            {
                "blob_id": list(blob_id_bytes(name)),
                "confirmation_certificate": self._certificate(able, name, object_id),
            }
        )

    def _certificate(
        self, able: list[tuple[int, NodeState]], name: str, object_id: str | None
    ) -> dict[str, Any]:
        """The signatures of as few nodes as make a quorum, added up."""
        n = self._state.ledger.n_shards
        signatures: dict[int, bytes] = {}
        message, weight = b"", 0
        for place, node in able:
            if certificate.is_quorum(weight, n):
                break
            try:
                signed = confirmation(node, name, object_id)
            except answers.Refusal as refusal:
                raise answers.plain(500, bytes(refusal.response.body).decode()) from refusal
            message = base64.b64decode(signed["serializedMessage"])
            signatures[place] = base64.b64decode(signed["signature"])
            weight += len(node.shards)
        made = certificate.combine(message, signatures)
        return {
            "signers": list(made.signers),
            "serialized_message": list(made.message),
            "signature": base64.b64encode(made.signature).decode(),
        }

    def _check_tip(self, told: dict[str, str], data: bytes) -> None:
        if "tx_id" not in told or "nonce" not in told:
            raise answers.plain(400, "missing tx_id or nonce")
        registration = self._state.ledger.transactions.get(told["tx_id"])
        if registration is None:
            raise answers.plain(402, "no tip was found in the transaction")
        try:
            nonce = base64.urlsafe_b64decode(told["nonce"] + "=")
        except binascii.Error as error:
            raise answers.plain(400, "the nonce cannot be read") from error
        if registration.auth != auth_package(data, nonce):
            raise answers.plain(401, "the authentication package does not fit")
        wanted = self._state.tip.amount(encoded_length(len(data), self._state.ledger.n_shards))
        if registration.tip_address != self._state.tip.address or registration.tip < wanted:
            raise answers.plain(402, f"the tip is too low: {wanted} is due")


def auth_package(data: bytes, nonce: bytes) -> bytes:
    """What the first input of a registering transaction says to a relay: 72 bytes."""
    digests = hashlib.sha256(data).digest() + hashlib.sha256(nonce).digest()
    return digests + len(data).to_bytes(8, "little")
