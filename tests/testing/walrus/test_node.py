"""A storage node on the wire, from walrus.md §3, §6.5 and §6.6."""

from __future__ import annotations

import base64
from importlib.util import find_spec

import pytest
from rawhttp import N, ask

from haulout.redstuff import (
    InconsistencyProof,
    Metadata,
    Sliver,
    encode,
    prove,
    shard_of_pair,
    verify_sliver,
    verify_symbol,
)
from haulout.storage.walrus.symbols import read_decoding_symbols, read_recovery_symbols
from haulout.testing.walrus.network import LoopbackNetwork

DATA = bytes(range(251)) * 9
CODE = encode(DATA, N)
NAME = CODE.blob_id_text
PATH = f"/v1/blobs/{NAME}"


@pytest.fixture
def stored(put):
    return put(DATA, "epochs=5").json["newlyCreated"]["blobObject"]["id"]


def holder(net: LoopbackNetwork, pair: int) -> str:
    shard = shard_of_pair(pair, CODE.blob_id, N)
    return next(s.url for s in net.nodes if shard in s.state.shards)


def test_shards_are_shared_evenly_and_each_is_held_once(net):
    held = [s.state.shards for s in net.nodes]
    assert sorted(shard for shards in held for shard in shards) == list(range(N))
    assert {len(shards) for shards in held} == {2}
    with LoopbackNetwork(3, 10, signatures=False) as other:
        assert sorted(len(s.state.shards) for s in other.nodes) == [3, 3, 4]


def test_metadata_are_bcs_with_the_id(net, stored):
    told = ask(net.nodes[0].url, f"{PATH}/metadata")
    assert told.headers["content-type"] == "application/octet-stream"
    assert told.body == CODE.metadata.to_bcs_with_id()
    assert len(told.body) == 32 + 1 + 1 + 8 + 1 + N * 66
    assert Metadata.from_bcs_with_id(told.body).blob_id_text == NAME


@pytest.mark.parametrize("axis", ["primary", "secondary"])
def test_the_path_has_the_pair_and_the_body_the_slivers_own_index(net, stored, axis):
    for pair in range(N):
        told = ask(holder(net, pair), f"{PATH}/slivers/{pair}/{axis}")
        sliver = Sliver.from_bcs(told.body, axis)
        assert sliver.index == (pair if axis == "primary" else N - 1 - pair)
        assert int.from_bytes(told.body[-2:], "little") == sliver.index
        verify_sliver(CODE.metadata, sliver)


def test_a_sliver_of_another_nodes_shard_is_400(net, stored):
    url = holder(net, 0)
    other = next(s.url for s in net.nodes if s.url != url)
    told = ask(other, f"{PATH}/slivers/0/primary")
    assert told.status == 400
    assert told.reason[1:] == ("SHARD_NOT_ASSIGNED", "storage.walrus.space")
    assert ask(url, f"{PATH}/slivers/{N}/primary").reason[1] == "INDEX_OUT_OF_RANGE"
    assert ask(url, f"{PATH}/slivers/0/tertiary").status == 400
    assert ask(url, f"{PATH}/slivers/x/primary").status == 400


def test_what_is_not_there_is_404_or_nonexistent(net):
    url = holder(net, 0)
    assert ask(url, f"{PATH}/metadata").reason[:2] == ("NOT_FOUND", "METADATA_NOT_FOUND")
    assert ask(url, f"{PATH}/slivers/0/primary").reason[1] == "SLIVER_NOT_FOUND"
    for path in ("metadata/status", "slivers/0/primary/status", "status"):
        told = ask(url, f"{PATH}/{path}").json
        assert told == {"success": {"code": 200, "data": "nonexistent"}}


def test_the_status_of_a_deletable_blob_has_counts_and_no_end(net, put, stored):
    told = ask(net.nodes[0].url, f"{PATH}/status").json["success"]["data"]
    counts = {"count_deletable_total": 1, "count_deletable_certified": 1}
    assert told == {"deletable": {"deletableCounts": counts, "initialCertifiedEpoch": 1}}
    net.owner().register(NAME, len(DATA), 2)
    told = ask(net.nodes[0].url, f"{PATH}/status").json["success"]["data"]
    counts = {"count_deletable_total": 2, "count_deletable_certified": 1}
    assert told["deletable"]["deletableCounts"] == counts
    for path in ("metadata/status", "slivers/0/primary/status"):
        assert ask(holder(net, 0), f"{PATH}/{path}").json["success"]["data"] == "stored"


def test_the_status_of_a_permanent_blob_has_its_end(net, put):
    put(DATA, "epochs=5&permanent=true")
    told = ask(net.nodes[0].url, f"{PATH}/status").json["success"]["data"]["permanent"]
    assert set(told) == {
        "endEpoch", "isCertified", "statusEvent", "deletableCounts", "initialCertifiedEpoch",
    }  # fmt: skip
    assert (told["endEpoch"], told["isCertified"], told["initialCertifiedEpoch"]) == (6, True, 1)
    assert set(told["statusEvent"]) == {"txDigest", "eventSeq"}


def test_the_status_of_a_registered_and_of_an_invalid_blob(net):
    made = net.owner().register(NAME, len(DATA), 3, deletable=False)
    told = ask(net.nodes[0].url, f"{PATH}/status").json["success"]["data"]["permanent"]
    assert (told["isCertified"], told["initialCertifiedEpoch"]) == (False, None)
    net.ledger.mark_invalid(made.blob_id)
    told = ask(net.nodes[0].url, f"{PATH}/status").json["success"]["data"]
    assert set(told["invalid"]["event"]) == {"txDigest", "eventSeq"}


def test_health_tells_the_epoch(net):
    net.advance(3)
    data = ask(net.nodes[0].url, "/v1/health").json["success"]["data"]
    assert data["epoch"] == 4
    assert {"uptime", "publicKey", "nodeStatus", "eventProgress", "shardSummary"} < set(data)


def test_slivers_can_be_put_once_the_blob_is_registered(net):
    pair = 3
    url, sliver = holder(net, pair), CODE.primary(pair)
    path = f"{PATH}/slivers/{pair}/primary"
    put = lambda path, body: ask(url, path, "PUT", body)  # noqa: E731
    assert put(f"{PATH}/metadata", CODE.metadata.to_bcs()).reason[1] == "NOT_REGISTERED"
    net.owner().register(NAME, len(DATA), 3)
    assert put(path, sliver.to_bcs()).reason[1] == "METADATA_NOT_FOUND"
    other = encode(b"other", N).metadata
    assert put(f"{PATH}/metadata", other.to_bcs()).reason[1] == "INVALID_METADATA"
    assert put(f"{PATH}/metadata", b"x").plain
    assert put(f"{PATH}/metadata", CODE.metadata.to_bcs()).status == 201
    assert put(f"{PATH}/metadata", CODE.metadata.to_bcs()).status == 200
    assert put(path, CODE.primary(pair + 1).to_bcs()).reason[1] == "SLIVER_INDEX_MISMATCH"
    wrong = Sliver("primary", pair, sliver.symbol_size, bytes(len(sliver.data)))
    assert put(path, wrong.to_bcs()).reason[1] == "INVALID_SLIVER"
    assert put(path, b"x").plain
    told = put(path, sliver.to_bcs())
    assert (told.status, told.json["success"]["code"]) == (200, 200)
    assert ask(url, path).body == sliver.to_bcs()


def test_recovery_symbols_for_a_sliver_prove_themselves(net, stored):
    for axis, index in (("primary", 1), ("primary", 9), ("secondary", 2), ("secondary", 8)):
        found = []
        for station in net.nodes:
            query = f"?targetSliver={index}&targetType={axis}"
            told = ask(station.url, f"{PATH}/recoverySymbols{query}")
            symbols = read_recovery_symbols(told.body)
            assert len(symbols) == 2
            found += symbols
        for symbol in found:
            assert (symbol.axis != axis, symbol.target) == (True, index)
            verify_symbol(CODE.metadata, symbol)
        assert {symbol.source for symbol in found} == set(range(N))


def test_recovery_symbols_by_their_places(net, stored):
    row, column = 2, 5
    url = holder(net, N - 1 - column)
    told = ask(url, f"{PATH}/recoverySymbols?id={row}-{column}")
    assert read_recovery_symbols(told.body) == (prove(CODE.secondary(column), row, N),)
    told = ask(holder(net, row), f"{PATH}/recoverySymbols?id={row}-{column}&proofAxis=primary")
    assert read_recovery_symbols(told.body) == (prove(CODE.primary(row), column, N),)
    absent = next(s.url for s in net.nodes if s.url != url)
    told = ask(absent, f"{PATH}/recoverySymbols?id={row}-{column}")
    assert (told.status, told.reason[1]) == (404, "SYMBOL_NOT_PRESENT_AT_SHARDS")
    assert ask(url, f"{PATH}/recoverySymbols").status == 400
    assert ask(url, f"{PATH}/recoverySymbols?id=5").status == 400


def test_decoding_symbols_come_without_proofs_for_several_slivers(net, stored):
    station = net.nodes[1]
    query = "?targetSlivers=0&targetSlivers=9&targetType=primary"
    found = read_decoding_symbols(ask(station.url, f"{PATH}/decodingSymbols{query}").body)
    assert set(found) == {0, 9}
    columns = {N - 1 - pair for pair in station.state.pairs(NAME)}
    for target, symbols in found.items():
        assert {source for source, _ in symbols} == columns
        for source, symbol in symbols:
            assert symbol == prove(CODE.secondary(source), target, N).symbol


def test_a_proof_that_proves_nothing_is_refused(net, stored):
    symbols = tuple(prove(CODE.secondary(c), 0, N) for c in range(7))
    proof = InconsistencyProof("primary", 0, symbols)
    body = proof.to_bcs()[1:]  # the path tells the axis
    told = ask(net.nodes[0].url, f"{PATH}/inconsistencyProof/primary", "POST", body)
    assert (told.status, told.reason[1]) == (400, "INVALID_PROOF")
    assert ask(net.nodes[0].url, f"{PATH}/inconsistencyProof/primary", "POST", b"x").plain


@pytest.mark.skipif(find_spec("py_ecc") is None, reason="py_ecc signs")
def test_a_confirmation_is_signed_and_names_the_object(put):
    from haulout.redstuff.certificate import blob_message, signed_by

    with LoopbackNetwork(2, 4) as net:
        code = encode(DATA, 4)
        path, station = f"/v1/blobs/{code.blob_id_text}", net.nodes[0]
        made = net.owner().register(code.blob_id_text, len(DATA), 3)
        told = ask(station.url, f"{path}/confirmation/deletable/{made.id}")
        assert told.reason[:2] == ("FAILED_PRECONDITION", "MISSING_SLIVERS")
        net.shelf.put(code, DATA)
        station.state.holds.add(code.blob_id_text)
        told = ask(station.url, f"{path}/confirmation/deletable/{made.id}").json
        signed = told["success"]["data"]["signed"]
        assert set(signed) == {"serializedMessage", "signature"}
        message = base64.b64decode(signed["serializedMessage"])
        assert message == blob_message(code.blob_id, 1, bytes.fromhex(made.id[2:]))
        signature = base64.b64decode(signed["signature"])
        assert signed_by(station.state.key.public, message, signature)
        told = ask(station.url, f"{path}/confirmation/permanent")
        assert told.reason[1] == "NOT_REGISTERED"
