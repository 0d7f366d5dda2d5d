"""What services say, as written down in walrus.md §6: examples in, values out."""

from __future__ import annotations

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulout.errors import HauloutError, StoreUnavailableError
from haulout.redstuff import RecoverySymbol
from haulout.storage.walrus import wire
from haulout.storage.walrus.symbols import (
    decoding_symbols,
    read_decoding_symbols,
    read_recovery_symbols,
    recovery_symbols,
)

WHO = "https://service.example"
NEW = {
    "newlyCreated": {
        "blobObject": {
            "id": "0x12", "registeredEpoch": 30, "blobId": "B" * 43, "size": 17,
            "encodingType": "RS2", "certifiedEpoch": None,
            "storage": {"id": "0x34", "startEpoch": 30, "endEpoch": 33, "storageSize": 66_034_000},
            "deletable": True, "somethingNew": [1],
        },
        "resourceOperation": {"registerFromScratch": {"encodedLength": 1, "epochsAhead": 3}},
        "cost": 132_300,
        "sharedBlobObject": "0x56",
    }
}  # fmt: skip


def said(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_new_blob_whose_certification_is_not_known_yet():
    stored = wire.read_store_result(said(NEW), WHO)
    assert stored == wire.Stored(
        "B" * 43, 33, "0x12", 132_300, already=False, operation="registerFromScratch",
        shared_object_id="0x56",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("proof", "object_id"),
    [({"event": {"txDigest": "4XQ", "eventSeq": "0"}}, None), ({"object": "0x12"}, "0x12")],
)
def test_a_blob_that_was_certified_before(proof, object_id):
    body = said({"alreadyCertified": {"blobId": "B" * 43, **proof, "endEpoch": 35}})
    stored = wire.read_store_result(body, WHO)
    assert (stored.end_epoch, stored.object_id, stored.cost) == (35, object_id, 0)
    assert stored.already


@pytest.mark.parametrize(
    "value",
    [
        {}, {"other": {}}, [], "x", {"alreadyCertified": {"blobId": "B" * 43}},
        {"alreadyCertified": {"blobId": "B" * 43, "endEpoch": "35"}},
        {"alreadyCertified": {"blobId": "B" * 43, "endEpoch": 2**32}},
        {"alreadyCertified": {"blobId": "B" * 43, "endEpoch": -1}},
        {"newlyCreated": {"blobObject": {"id": "0x1", "blobId": "B"}}},
        {"markedInvalid": {"blobId": "B", "event": {}}},
        {"error": {"blobId": None, "failurePhase": "certify", "errorMsg": "no\nluck"}},
    ],
)  # fmt: skip
def test_a_result_that_says_of_no_storage_is_an_error_that_names_the_service(value):
    with pytest.raises(StoreUnavailableError, match=WHO) as caught:
        wire.read_store_result(said(value), WHO)
    assert "\n" not in caught.value.message


def test_the_result_of_a_quilt():
    told = {
        "blobStoreResult": NEW,
        "storedQuiltBlobs": [
            {"identifier": "a", "quiltPatchId": "P1", "range": [1, 2]},
            {"identifier": "b", "quiltPatchId": "P2"},
        ],
    }
    stored, patches = wire.read_quilt_result(said(told), WHO)
    assert stored.end_epoch == 33
    assert [(p.identifier, p.quilt_patch_id, p.range) for p in patches] == [
        ("a", "P1", (1, 2)), ("b", "P2", None),
    ]  # fmt: skip


def test_patches_of_an_aggregator_are_snake_case():
    (patch,) = wire.read_patches(
        said([{"identifier": "a", "patch_id": "P", "tags": {"k": "v"}}]), WHO
    )
    assert (patch.identifier, patch.patch_id, patch.tags) == ("a", "P", {"k": "v"})
    with pytest.raises(StoreUnavailableError):
        wire.read_patches(said([{"identifier": "a", "patchId": "P"}]), WHO)


# --- errors --------------------------------------------------------------------------------


def test_an_error_in_json():
    info = {"@type": "ErrorInfo", "reason": "BLOB_NOT_FOUND", "domain": "daemon.walrus.space"}
    error = {"status": "NOT_FOUND", "code": 404, "message": "it\tis\nnot there", "details": [info]}
    told = wire.read_error(404, said({"error": error}))
    assert told == wire.ApiError(
        404, "BLOB_NOT_FOUND", "daemon.walrus.space", "it is not there", money=False
    )


@pytest.mark.parametrize("body", [b"server overloaded", b"", b"\xff\xfe", b'{"error": 3}', b"[1]"])
def test_an_error_need_not_be_json(body):
    told = wire.read_error(429, body)
    assert (told.status, told.reason, told.money) == (429, "", False)


def test_words_about_money_are_found_wherever_they_stand():
    debug = {"@type": "DebugInfo", "detail": "could not find WAL coins with sufficient balance"}
    error = {"status": "INTERNAL", "code": 500, "message": "an error", "details": [debug]}
    assert wire.read_error(500, said({"error": error})).money
    assert not wire.read_error(500, b"out of memory").money


@given(st.text())
def test_a_services_words_are_one_short_printable_line(text):
    line = wire.printable(text)
    assert len(line) <= 160
    assert line.isprintable()


# --- storage nodes -------------------------------------------------------------------------


def status(data: object) -> wire.BlobStatus:
    return wire.read_status(said({"success": {"code": 200, "data": data}}), WHO)


COUNTS = {"count_deletable_total": 3, "count_deletable_certified": 2}


@pytest.mark.parametrize("camel", [True, False])
def test_a_permanent_blob_in_either_spelling(camel):
    event = {"txDigest": "x", "eventSeq": "1"}
    inner = (
        {"endEpoch": 9, "isCertified": True, "statusEvent": event, "deletableCounts": COUNTS,
         "initialCertifiedEpoch": 4}
        if camel else
        {"end_epoch": 9, "is_certified": True, "status_event": event, "deletable_counts": COUNTS,
         "initial_certified_epoch": 4}
    )  # fmt: skip
    found = status({"permanent": inner})
    assert found == wire.BlobStatus("permanent", 9, True, 3, 2, 4)  # noqa: FBT003
    assert found.certified


def test_other_statuses():
    assert status("nonexistent") == wire.BlobStatus("nonexistent")
    assert status({"invalid": {"event": {}}}).kind == "invalid"
    found = status({"deletable": {"deletableCounts": COUNTS, "initialCertifiedEpoch": None}})
    assert (found.kind, found.end_epoch, found.deletable, found.certified) == (
        "deletable", None, 3, True,
    )  # fmt: skip
    assert status({"managed": {}}).kind == "other"
    registered = {"endEpoch": 9, "isCertified": False, "deletableCounts": {}}
    assert not status({"permanent": registered}).certified


@pytest.mark.parametrize(
    "data",
    ["other", {}, {"permanent": {}}, {"permanent": {"endEpoch": 2**33}}, 3, None,
     {"deletable": {"deletableCounts": 4}}, {"deletable": {}, "permanent": {}}],
)  # fmt: skip
def test_a_status_that_is_none(data):
    with pytest.raises(StoreUnavailableError, match=WHO):
        status(data)


def test_signed_messages():
    signed = {"serializedMessage": "AQID", "signature": "BAU="}
    body = said({"success": {"code": 200, "data": {"signed": signed}}})
    found = wire.read_signed(body, WHO, confirmation=True)
    assert (found.message, found.signature) == (b"\1\2\3", b"\4\5")
    body = said({"success": {"code": 200, "data": signed}})
    assert wire.read_signed(body, WHO, confirmation=False) == found
    signed["signature"] = "not base64!"
    with pytest.raises(StoreUnavailableError):
        wire.read_signed(
            said({"success": {"code": 200, "data": signed}}), WHO, confirmation=False
        )  # fmt: skip


def test_health():
    body = said({"success": {"code": 200, "data": {"epoch": 7, "nodeStatus": "Active", "x": 1}}})
    assert wire.read_health(body, WHO).epoch == 7
    with pytest.raises(StoreUnavailableError):
        wire.read_health(said({"success": {"code": 200, "data": {"epoch": -7}}}), WHO)


# --- relays --------------------------------------------------------------------------------


def test_tips():
    assert wire.read_tip(b'"no_tip"', WHO) == wire.Tip()
    assert wire.read_tip(b'"no_tip"', WHO).amount(10**9) == 0
    const = {"send_tip": {"address": "0x1", "kind": {"const": 42}}}
    assert wire.read_tip(said(const), WHO).amount(10**9) == 42
    linear = {"base": 100, "encoded_size_mul_per_kib": 3}
    told = wire.read_tip(said({"send_tip": {"address": "0x1", "kind": {"linear": linear}}}), WHO)
    assert (told.amount(1024), told.amount(1025), told.amount(0)) == (103, 106, 100)
    for bad in ("tip", {"send_tip": {"address": "0x1", "kind": {}}}, {}):
        with pytest.raises(StoreUnavailableError):
            wire.read_tip(said(bad), WHO)


def test_a_relays_certificate():
    told = {
        "blob_id": list(range(32)),
        "confirmation_certificate": {
            "signers": [0, 2], "serialized_message": [1, 0, 3], "signature": "BAU=",
        },
    }  # fmt: skip
    found = wire.read_relayed(said(told), WHO)
    assert found == wire.Relayed(bytes(range(32)), (0, 2), b"\1\0\3", b"\4\5")
    told["blob_id"] = [256]
    with pytest.raises(StoreUnavailableError):
        wire.read_relayed(said(told), WHO)


# --- symbols -------------------------------------------------------------------------------


def test_symbols_as_they_are_written_down():
    path = (b"\x11" * 32, bytes(32))
    symbol = RecoverySymbol("secondary", 5, 2, b"\xaa\xbb", path)
    body = recovery_symbols([symbol])
    # one symbol | target primary | source 5 | 2 bytes | target 2 | two nodes, the last one empty
    assert body.hex() == "01" + "00" + "0500" + "02aabb" + "0200" + "02" + "01" + "11" * 32 + "00"
    assert read_recovery_symbols(body) == (symbol,)
    body = decoding_symbols("secondary", {7: [(3, b"\xcc\xdd")], 1: []})
    # two targets in order | 1: none | 7: one: axis secondary | source 3 | 2 bytes
    assert body.hex() == "02" + "0100" + "00" + "0700" + "01" + "01" + "0300" + "02ccdd"
    assert read_decoding_symbols(body) == {1: (), 7: ((3, b"\xcc\xdd"),)}


READERS = [
    lambda body: wire.read_store_result(body, WHO),
    lambda body: wire.read_quilt_result(body, WHO),
    lambda body: wire.read_patches(body, WHO),
    lambda body: wire.read_status(body, WHO),
    lambda body: wire.read_signed(body, WHO, confirmation=True),
    lambda body: wire.read_health(body, WHO),
    lambda body: wire.read_tip(body, WHO),
    lambda body: wire.read_relayed(body, WHO),
    read_recovery_symbols,
    read_decoding_symbols,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["success", "data", "permanent", "deletable", "newlyCreated", "endEpoch",
                         "blobId", "send_tip", "kind", "signed", "blob_id", "error", "x"]),
        inner, max_size=3,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.binary(max_size=60) | JSON.map(msgspec.json.encode))
def test_whatever_a_service_says_is_a_value_or_one_of_our_errors(body):
    wire.read_error(500, body)
    for read in READERS:
        with suppress(HauloutError):
            read(body)
