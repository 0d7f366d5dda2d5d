"""Every switch does what it says, at the raw connection."""

from __future__ import annotations

import http.client
import threading

import pytest
from rawhttp import N, ask

from haulout.redstuff import encode
from haulout.testing.walrus.network import LoopbackNetwork

DATA = b"tide " * 500
NAME = encode(DATA, N).blob_id_text
PATH = f"/v1/blobs/{NAME}"
BROKEN = (http.client.HTTPException, ConnectionError)


@pytest.fixture
def faults(net, put):
    put(DATA, "epochs=3")
    return net.aggregators[0].faults


def test_a_liar_gives_as_many_bytes_and_not_these(get, faults):
    faults.lie = True
    told = get(PATH)
    assert (told.status, len(told.body)) == (200, len(DATA))
    assert sum(a != b for a, b in zip(told.body, DATA, strict=True)) == 1
    assert get("/status").body == b"OK"


def test_an_equivocator_lies_every_second_time(get, faults):
    faults.equivocate = True
    assert {get(PATH).body == DATA, get(PATH).body == DATA} == {True, False}


def test_a_truncated_answer_announces_more_than_it_gives(get, faults):
    faults.truncate = True
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(PATH)
    assert len(caught.value.partial) <= len(DATA) // 2


def test_a_lost_answer_is_work_that_was_done(net, put, faults):
    net.publishers[0].faults.lost_answers = True
    with pytest.raises(BROKEN):
        put(b"new", "epochs=2")
    assert net.ledger.certified(encode(b"new", N).blob_id_text)


def test_a_dead_service_does_no_work(net, put, faults):
    net.publishers[0].faults.dead = True
    with pytest.raises(BROKEN):
        put(b"new", "epochs=2")
    assert len(net.ledger.payments) == 1


def test_one_that_dies_after_paying_has_paid_and_not_stored(net, put, faults):
    net.publishers[0].faults.dies_after_paying = True
    with pytest.raises(BROKEN):
        put(b"new", "epochs=2")
    name = encode(b"new", N).blob_id_text
    assert len(net.ledger.paid(name)) == 1
    assert not net.ledger.certified(name)


def test_a_stalled_service_answers_when_it_is_released(get, faults):
    faults.stall()
    found = []
    waiting = threading.Thread(target=lambda: found.append(get(PATH).body))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    faults.release()
    waiting.join(20)
    assert found == [DATA]


def test_a_busy_service_says_so_in_plain_text_and_only_for_some_requests(get, faults):
    faults.busy = True
    faults.only = lambda _method, path: path.endswith("byte-range")
    assert get(PATH).status == 200
    told = get(f"{PATH}/byte-range?start=0&length=1")
    assert (told.status, told.plain != "") == (429, True)
    faults.clear()
    assert get(f"{PATH}/byte-range?start=0&length=1").body == DATA[:1]


def test_to_lose_is_to_know_nothing_and_to_forget_is_to_have_it_no_more(net, get, faults):
    faults.lose = True
    assert get(PATH).status == 404
    node = net.nodes[0]
    node.faults.forget = True
    assert ask(node.url, f"{PATH}/metadata").status == 404
    assert "deletable" in ask(node.url, f"{PATH}/status").json["success"]["data"]
    node.faults.lose = True
    assert ask(node.url, f"{PATH}/status").json["success"]["data"] == "nonexistent"


def test_who_is_behind_sees_the_chain_as_it_was(net, put, get, faults):
    net.aggregators[0].state.stale(on=True)
    net.nodes[0].state.stale(on=True)
    put(b"new", "epochs=2")
    net.advance()
    name = encode(b"new", N).blob_id_text
    assert get(f"/v1/blobs/{name}").status == 404
    assert (
        ask(net.nodes[0].url, f"/v1/blobs/{name}/status").json["success"]["data"] == "nonexistent"
    )
    assert ask(net.nodes[0].url, "/v1/health").json["success"]["data"]["epoch"] == 1
    net.aggregators[0].state.stale(on=False)
    assert get(f"/v1/blobs/{name}").body == b"new"


def test_a_publisher_that_lies_stores_nothing_and_one_may_name_another_blob(net, put, get):
    net.publishers[0].faults.lie = True
    made = put(b"new").json["newlyCreated"]["blobObject"]
    assert (made["certifiedEpoch"], net.ledger.objects) == (1, {})
    net.publishers[0].faults.clear()
    net.publishers[0].faults.wrong_id = True
    made = put(b"new").json["newlyCreated"]["blobObject"]
    assert made["blobId"] != encode(b"new", N).blob_id_text


def test_a_stopped_service_refuses_connections_and_comes_back_where_it_was(net, get, faults):
    url = net.urls.aggregators
    net.aggregators[0].stop()
    with pytest.raises(ConnectionError):
        get(PATH)
    net.aggregators[0].start()
    assert net.urls.aggregators == url
    assert get(PATH).body == DATA


def test_blobs_in_a_folder_are_served_from_it_and_dropped_when_they_end(tmp_path):
    with LoopbackNetwork(2, 4, signatures=False, path=tmp_path / "blobs") as net:
        data = b"x" * 100_001  # several pieces of a symbol's padding
        ask(net.urls.publishers[0], "/v1/blobs?epochs=1", "PUT", data)
        (file,) = (tmp_path / "blobs").iterdir()
        assert file.read_bytes() == data
        name = encode(data, 4).blob_id_text
        path = f"/v1/blobs/{name}"
        assert ask(net.urls.aggregators[0], path).body == data
        net.shelf._encoded.clear()
        for pair in range(4):
            for sliver in encode(data, 4).pair(pair):
                told = [ask(s.url, f"{path}/slivers/{pair}/{sliver.axis}") for s in net.nodes]
                assert sliver.to_bcs() in [t.body for t in told if t.status == 200]
        net.advance()
        assert list((tmp_path / "blobs").iterdir()) == []
        assert net.shelf.names() == []
