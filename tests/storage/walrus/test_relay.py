"""Uploads that the owner pays on the chain: through a relay, with a certificate of the nodes."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from haulout.errors import (
    BlobMissingError,
    StoreRefusedError,
    StoreUnavailableError,
    WrongBytesError,
)
from haulout.redstuff import blob_id, blob_id_bytes
from haulout.redstuff.certificate import Certificate, blob_message
from haulout.storage.walrus.relay import Paid
from haulout.storage.walrus.wire import Tip
from haulout.testing.walrus import answers
from haulout.testing.walrus.network import LoopbackNetwork

DATA = b"tide tables " * 50
NAME = blob_id(DATA, 4)

pytestmark = pytest.mark.skipif(find_spec("py_ecc") is None, reason="py_ecc signs")


def test_a_registered_blob_goes_through_a_relay_and_is_certified_with_its_answer(client):
    with LoopbackNetwork(4, 4, seed=3) as net:
        network, owner = client(net.config(keys=True)), net.owner()
        (relay,) = network.relays
        assert relay.tip() == Tip()
        made = owner.register(NAME, len(DATA), 3)
        relayed = relay.upload(NAME, DATA, object_id=made.id)
        assert relayed.blob_id == blob_id_bytes(NAME)
        raw = bytes.fromhex(made.id[2:])
        assert relayed.message == blob_message(blob_id_bytes(NAME), 1, raw)
        with pytest.raises(BlobMissingError):
            network.confirm(NAME)
        proof = Certificate(relayed.signers, relayed.message, relayed.signature)
        with pytest.raises(WrongBytesError):
            owner.certify(made, Certificate(relayed.signers[:1], proof.message, proof.signature))
        other = owner.register(NAME, len(DATA), 3)
        with pytest.raises(StoreRefusedError, match="another"):
            owner.certify(other, proof)
        owner.certify(made, proof)
        network.confirm(NAME)
        assert network.get(NAME) == DATA


def test_a_relay_wants_its_tip_and_the_right_blob(client):
    with LoopbackNetwork(4, 4, tip=Tip("0x" + "77" * 32, 100, 2), signatures=False) as net:
        network, owner = client(net.config()), net.owner()
        (relay,) = network.relays
        tip = relay.tip()
        assert (tip.address, tip.base, tip.per_kib) == ("0x" + "77" * 32, 100, 2)
        made = owner.register(NAME, len(DATA), 3, deletable=False)
        with pytest.raises(StoreRefusedError, match="400"):
            relay.upload(NAME, DATA)
        nonce, due = bytes(range(32)), tip.amount(made.encoded)
        low = owner.tip(made, DATA, nonce, tip.address, due - 1)
        with pytest.raises(StoreRefusedError, match="paid"):
            relay.upload(NAME, DATA, paid=Paid(low, nonce))
        right = owner.tip(made, DATA, nonce, tip.address, due)
        with pytest.raises(StoreRefusedError, match="token"):
            relay.upload(NAME, DATA, paid=Paid(right, bytes(32)))
        with pytest.raises(StoreRefusedError, match="400"):
            relay.upload(blob_id(b"other", 4), DATA, paid=Paid(right, nonce))
        with pytest.raises(StoreUnavailableError, match="500"):
            relay.upload(NAME, DATA, paid=Paid(right, nonce))


def test_a_relay_that_answers_about_another_blob_is_refused(client):
    with LoopbackNetwork(1, 4, signatures=False) as net:
        told = {"signers": [0], "serialized_message": [], "signature": ""}
        answer = answers.json({"blob_id": [1] * 32, "confirmation_certificate": told})
        net.relays[0].service._app._app = answer
        with pytest.raises(WrongBytesError, match=net.urls.relays[0]):
            client(net.config()).relays[0].upload(NAME, DATA)


def test_a_relay_that_is_not_there_can_be_asked_again(client):
    with LoopbackNetwork(4, 4, signatures=False) as net:
        network = client(net.config())
        net.relays[0].stop()
        with pytest.raises(StoreUnavailableError):
            network.relays[0].upload(NAME, DATA)
