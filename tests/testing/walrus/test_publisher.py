"""A publisher on the wire, from walrus.md §6.1 and §6.2."""

from __future__ import annotations

import json

import pytest
from rawhttp import N, ask

from haulout.redstuff import encode, quilt
from haulout.redstuff.quilt import Item
from haulout.storage.walrus.token import claims, signed
from haulout.testing.walrus.network import LoopbackNetwork

DATA = b"Ana is allergic to walnuts. " * 40
NAME = encode(DATA, N).blob_id_text
ADDRESS = "0x" + "ab" * 32


def test_a_new_blob_is_told_with_its_object_and_its_cost(net, put):
    told = put(DATA, "epochs=3").json
    assert set(told) == {"newlyCreated"}
    new = told["newlyCreated"]
    assert set(new) == {"blobObject", "resourceOperation", "cost"}
    made = new["blobObject"]
    assert set(made) == {
        "id", "registeredEpoch", "blobId", "size", "encodingType", "certifiedEpoch", "storage",
        "deletable",
    }  # fmt: skip
    assert (made["blobId"], made["size"], made["encodingType"]) == (NAME, len(DATA), "RS2")
    assert (made["deletable"], made["registeredEpoch"], made["certifiedEpoch"]) == (True, 1, 1)
    assert set(made["storage"]) == {"id", "startEpoch", "endEpoch", "storageSize"}
    assert (made["storage"]["startEpoch"], made["storage"]["endEpoch"]) == (1, 4)
    assert len(made["id"]) == 66
    encoded = made["storage"]["storageSize"]
    assert encoded == N * ((4 + 7) * encode(DATA, N).symbol_size + 64 * N + 32)
    assert new["resourceOperation"] == {
        "registerFromScratch": {"encodedLength": encoded, "epochsAhead": 3}
    }
    assert new["cost"] == 1 * 100_000 * 3 + 1 * 20_000
    assert net.ledger.payments[0].amount == new["cost"]


def test_one_epoch_is_the_default(put):
    storage = put(DATA).json["newlyCreated"]["blobObject"]["storage"]
    assert storage["endEpoch"] - storage["startEpoch"] == 1


def test_a_deletable_blob_sent_twice_is_paid_twice(net, put):
    put(DATA, "epochs=3")
    assert "newlyCreated" in put(DATA, "epochs=3").json
    assert len(net.ledger.paid(NAME)) == 2


def test_a_permanent_blob_that_stands_for_long_enough_is_told_with_the_event(net, put):
    put(DATA, "epochs=3&permanent=true")
    old = put(DATA, "epochs=3&permanent=true").json["alreadyCertified"]
    assert set(old) == {"blobId", "event", "endEpoch"}
    assert (old["blobId"], old["endEpoch"]) == (NAME, 4)
    assert set(old["event"]) == {"txDigest", "eventSeq"}
    assert len(net.ledger.paid(NAME)) == 1
    assert "newlyCreated" in put(DATA, "epochs=4&permanent=true").json
    assert "newlyCreated" in put(DATA, "epochs=1&permanent=true&force=true").json
    assert len(net.ledger.paid(NAME)) == 3
    assert "newlyCreated" in put(DATA, "epochs=1").json, "a deletable one is not looked up"


def test_with_reuse_resources_the_wallet_is_looked_into(net, put):
    first = put(DATA, "epochs=3").json["newlyCreated"]["blobObject"]["id"]
    old = put(DATA, "epochs=2&reuse_resources=true").json["alreadyCertified"]
    assert old == {"blobId": NAME, "object": first, "endEpoch": 4}
    new = put(DATA, "epochs=5&reuse_resources=true").json["newlyCreated"]
    encoded = new["blobObject"]["storage"]["storageSize"]
    what = {"encodedLength": encoded, "epochsExtended": 2}
    assert new["resourceOperation"] == {"reuseAndExtend": what}
    assert new["cost"] == 2 * 100_000
    assert new["blobObject"]["id"] == first
    assert [p.what for p in net.ledger.paid(NAME)] == ["register", "extend"]


def test_a_registration_that_was_not_finished_is_finished_for_nothing(net, put):
    for station in net.nodes[:2]:
        station.faults.dead = True
    told = put(DATA, "epochs=3")
    assert told.status == 504
    assert told.reason == (
        "DEADLINE_EXCEEDED", "INSUFFICIENT_CONFIRMATIONS", "daemon.walrus.space",
    )  # fmt: skip
    for station in net.nodes:
        station.faults.clear()
    new = put(DATA, "epochs=3&reuse_resources=true").json["newlyCreated"]
    assert (list(new["resourceOperation"]), new["cost"]) == (["reuseRegistration"], 0)
    assert len(net.ledger.paid(NAME)) == 1


def test_an_object_can_be_sent_or_shared(net, put):
    made = put(DATA, f"send_object_to={ADDRESS}").json["newlyCreated"]["blobObject"]
    assert net.ledger.objects[made["id"]].owner == ADDRESS
    assert "sharedBlobObject" in put(DATA, "share=true").json["newlyCreated"]
    assert put(DATA, f"share=true&send_object_to={ADDRESS}").status == 400


@pytest.mark.parametrize(
    "query",
    [
        "epoch=3", "epochs=three", "epochs=-1", "epochs=4294967296", "permanent=yes",
        "epochs=1&epochs=2", "encoding_type=RaptorQ", "quilt_version=v2", "send_object_to=0x12",
        "attribute=x", "delete=true",
    ],
)  # fmt: skip
def test_a_query_that_is_not_known_is_refused_in_plain_text(net, put, query):
    told = put(DATA, query)
    assert told.status == 400
    assert told.plain.startswith("Failed to deserialize query string")
    assert net.ledger.payments == []


def test_the_parameters_that_exist_are_accepted(put):
    for query in (
        "encoding_type=RS2", "deletable=true", "permanent=true", "force=true", "quilt_version=V1",
        "reuse_resources=false", "share=false",
    ):  # fmt: skip
        assert put(DATA, query).status == 200, query


def test_deletable_and_permanent_exclude_each_other(put):
    told = put(DATA, "deletable=true&permanent=true")
    assert told.status == 400
    assert told.reason[:2] == ("INVALID_ARGUMENT", "INVALID_BLOB_PERSISTENCE")


def test_more_than_53_epochs_cannot_be_bought(put):
    assert put(DATA, "epochs=53").status == 200
    assert put(DATA, "epochs=54").reason[1] == "MALFORMED_REQUEST"


def test_a_body_above_the_limit_is_413_in_plain_text():
    with LoopbackNetwork(2, 10, signatures=False, blob_limit=100) as net:
        url = net.urls.publishers[0]
        assert ask(url, "/v1/blobs", "PUT", bytes(100)).status == 200
        told = ask(url, "/v1/blobs", "PUT", bytes(101))
        assert (told.status, told.plain) == (413, "length limit exceeded")


def test_the_default_limits_are_10_and_100_mib(net):
    state = net.publishers[0].state
    assert (state.blob_limit, state.quilt_limit, state.at_once) == (10 << 20, 100 << 20, 16)


def test_an_empty_wallet_is_an_internal_error_that_tells_why_only_in_its_details(net, put):
    net.ledger.accounts["publisher 0"] = 119_999
    told = put(DATA)
    assert told.status == 500
    error = told.json["error"]
    assert error["status"] == "INTERNAL"
    assert "balance" not in error["message"]
    assert error["details"][-1]["@type"] == "DebugInfo"
    assert "sufficient balance" in error["details"][-1]["detail"]
    net.ledger.accounts["publisher 0"] = 120_000
    assert put(DATA).status == 200
    assert net.ledger.accounts["publisher 0"] == 0


def test_load_that_is_shed_is_429_in_plain_text(net, put):
    net.publishers[0].state.at_once = 0
    told = put(DATA)
    assert told.status == 429
    assert told.plain
    net.publishers[0].state.at_once = 16
    net.publishers[0].faults.busy = True
    assert put(DATA).status == 429


def test_an_empty_blob_is_a_blob(put):
    made = put(b"").json["newlyCreated"]["blobObject"]
    assert made["blobId"] == "gLzpD29smKZiYJIWwKatudKr76kEprQeMPyAhuMbWd4"


def test_status_says_ok_and_any_origin_may_ask(net):
    told = ask(net.urls.publishers[0], "/status", origin="https://example.org")
    assert (told.status, told.body) == (200, b"OK")
    assert told.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("method", ["DELETE", "POST", "PATCH", "GET"])
def test_there_is_no_listing_deleting_or_extending(net, put, method):
    put(DATA)
    assert ask(net.urls.publishers[0], "/v1/blobs", method).status == 405
    assert ask(net.urls.publishers[0], f"/v1/blobs/{NAME}", method).status == 404
    aggregator = ask(net.urls.aggregators[0], "/v1/blobs", method)
    assert aggregator.status == 404


# --- quilts --------------------------------------------------------------------------------


def form(parts: list[tuple[str, bytes]], boundary: str = "x" * 20) -> tuple[bytes, str]:
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        + data + b"\r\n"
        for name, data in parts
    )  # fmt: skip
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_a_quilt_is_a_form_with_a_field_for_each_item(net):
    tags = [{"identifier": "b", "tags": {"kind": "note", "size": 3}}]
    body, kind = form([("b", b"bee"), ("a", b"ay"), ("_metadata", json.dumps(tags).encode())])
    told = ask(net.urls.publishers[0], "/v1/quilts?epochs=2", "PUT", body, content_type=kind).json
    packed = quilt.pack([Item("a", b"ay"), Item("b", b"bee", {"kind": "note", "size": "3"})], N)
    encoded = encode(bytes(packed.data), N)
    assert set(told) == {"blobStoreResult", "storedQuiltBlobs"}
    assert told["blobStoreResult"]["newlyCreated"]["blobObject"]["blobId"] == encoded.blob_id_text
    assert told["storedQuiltBlobs"] == [
        {
            "identifier": patch.identifier,
            "quiltPatchId": quilt.patch_id(encoded.blob_id, patch),
            "range": [patch.start, patch.end],
        }
        for patch in packed.patches
    ]


def test_identifiers_must_differ(net):
    body, kind = form([("a", b"1"), ("a", b"2")])
    told = ask(net.urls.publishers[0], "/v1/quilts", "PUT", body, content_type=kind)
    assert (told.status, told.reason[1]) == (400, "MALFORMED_REQUEST")
    twice = json.dumps([{"identifier": "a", "tags": {}}] * 2).encode()
    body, kind = form([("a", b"1"), ("_metadata", twice)])
    assert ask(net.urls.publishers[0], "/v1/quilts", "PUT", body, content_type=kind).status == 400
    assert ask(net.urls.publishers[0], "/v1/quilts", "PUT", b"x").status == 400
    assert net.ledger.payments == []


# --- tokens --------------------------------------------------------------------------------

NOW = 1_800_000_000
SECRET = b"s" * 32


def bearer(secret: bytes = SECRET, **told: object) -> str:
    given = {"identifier": "one", "expires": NOW + 60, **told}
    return f"Bearer {signed(claims(**given), secret)}"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [
        ("", 401, "INVALID_SIGNATURE"),
        (bearer(b"another"), 401, "INVALID_SIGNATURE"),
        (bearer(expires=NOW - 1), 504, "EXPIRED_SIGNATURE"),
        (bearer(epochs=2), 400, "INVALID_EPOCHS"),
        (bearer(max_epochs=2), 400, "INVALID_EPOCHS"),
        (bearer(size=len(DATA) + 1), 400, "INVALID_SIZE"),
        (bearer(max_size=len(DATA) - 1), 400, "INVALID_SIZE"),
        (bearer(send_object_to=ADDRESS), 400, "INVALID_SEND_OBJECT_TO"),
        ("Bearer a.b.c", 400, "INVALID_TOKEN"),
        (bearer(), 200, ""),
        (bearer(epochs=3, size=len(DATA), issued=NOW), 200, ""),
        (bearer(max_epochs=3, max_size=len(DATA)), 200, ""),
    ],
)
def test_a_token_opens_what_its_claims_allow_and_nothing_else(token, status, reason):
    with LoopbackNetwork(2, 4, signatures=False, secret=SECRET, now=lambda: NOW) as net:
        url = net.urls.publishers[0]
        told = ask(url, "/v1/blobs?epochs=3", "PUT", DATA, authorization=token)
        assert told.status == status
        if reason:
            assert told.reason[1:] == (reason, "auth.publisher.walrus.space")
            assert net.ledger.payments == []


def test_a_token_is_taken_once_and_one_that_opened_nothing_can_be_used_again():
    with LoopbackNetwork(2, 4, signatures=False, secret=SECRET, now=lambda: NOW) as net:
        url, token = net.urls.publishers[0], bearer(epochs=3)
        assert ask(url, "/v1/blobs?epochs=2", "PUT", DATA, authorization=token).status == 400
        assert ask(url, "/v1/blobs?epochs=3", "PUT", DATA, authorization=token).status == 200
        told = ask(url, "/v1/blobs?epochs=3", "PUT", DATA, authorization=token)
        assert (told.status, told.reason[1]) == (429, "TOKEN_ALREADY_USED")
