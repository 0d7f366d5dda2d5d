"""An upload relay: it stores for whoever registered the blob on the chain. Source: walrus.md §6.4.

The registration, the tip and the certification are transactions that the owner signs; none of
them is done here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from haulout.errors import InputError, WrongBytesError
from haulout.redstuff import blob_id_bytes
from haulout.storage.walrus.config import checked_url
from haulout.storage.walrus.http import Http, Request, Silence, refusal
from haulout.storage.walrus.wire import Relayed, Tip, read_relayed, read_tip

_NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Paid:
    """The transaction that registered the blob and paid the tip.

    Attributes:
        transaction: its digest, base58.
        nonce: 32 bytes whose hash stands in the transaction.
    """

    transaction: str
    nonce: bytes


class Relay:
    """One upload relay.

    Args:
        http: sends; url: its base; seconds: for an upload.
    """

    def __init__(self, http: Http, url: str, seconds: float) -> None:
        self._http = http
        self.url = checked_url(url)
        self._seconds = seconds

    def tip(self) -> Tip:
        """What it wants for an upload."""
        request = Request("GET", f"{self.url}/v1/tip-config", seconds=self._seconds)
        return read_tip(self._http.ask(request).body, self.url)

    def upload(
        self, blob_id: str, data: bytes, *, object_id: str | None = None, paid: Paid | None = None
    ) -> Relayed:
        """Store a registered blob; the answer holds what certifies it on the chain.

        Args:
            blob_id: text form; data: the blob.
            object_id: its object where it is deletable; None where it is permanent.
            paid: the transaction with the tip, where the relay wants one.

        Raises:
            StoreRefusedError: the tip is missing or too low, or it is not registered.
            WrongBytesError: the answer is about another blob.
            StoreUnavailableError: it is not stored; sending it again costs nothing.
        """
        query: list[tuple[str, str | int | bool]] = [("blob_id", blob_id)]
        if paid is not None:
            if len(paid.nonce) != _NONCE_BYTES:
                raise InputError("A relay's nonce is 32 bytes.")
            nonce = base64.urlsafe_b64encode(paid.nonce).rstrip(b"=").decode()
            query += [("tx_id", paid.transaction), ("nonce", nonce)]
        query += [("deletable_blob_object", object_id)] if object_id is not None else []
        query += [("encoding_type", "RS2")]
        answer = self._http.send(
            Request(
                "POST",
                f"{self.url}/v1/blob-upload-relay",
                tuple(query),
                data,
                seconds=self._seconds,
                alone=True,
            )
        )
        if isinstance(answer, Silence):
            raise answer.raised
        if not answer.ok:
            raise refusal(answer)
        relayed = read_relayed(answer.body, self.url)
        if relayed.blob_id != blob_id_bytes(blob_id):
            raise WrongBytesError(f"{self.url} answers about another blob than it was sent.")
        return relayed
