"""An aggregator on the wire, from walrus.md §6.3."""

from __future__ import annotations

import pytest
from rawhttp import N, ask

from haulout.redstuff import encode, quilt
from haulout.redstuff.quilt import Item

DATA = bytes(range(256)) * 12
NAME = encode(DATA, N).blob_id_text
PATH = f"/v1/blobs/{NAME}"
CACHE = "public, max-age=86400, stale-while-revalidate=3600"


@pytest.fixture
def object_id(put):
    return put(DATA, "epochs=5").json["newlyCreated"]["blobObject"]["id"]


def test_a_blob_comes_whole_with_its_headers(get, object_id):
    told = get(PATH)
    assert (told.status, told.body) == (200, DATA)
    assert told.headers["etag"] == NAME
    assert told.headers["cache-control"] == CACHE
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["content-length"] == str(len(DATA))
    assert "content-type" not in told.headers


def test_the_content_type_mirrors_a_concrete_accept_or_that_of_the_request(get, object_id):
    assert get(PATH, accept="image/png").headers["content-type"] == "image/png"
    assert "content-type" not in get(PATH, accept="image/*").headers
    assert get(PATH, content_type="text/css").headers["content-type"] == "text/css"


def test_head_gives_the_headers_alone(net, object_id):
    told = ask(net.urls.aggregators[0], PATH, "HEAD")
    assert (told.status, told.body, told.headers["etag"]) == (200, b"", NAME)
    assert ask(net.urls.aggregators[0], PATH.replace(NAME, "A" * 43), "HEAD").status == 404


@pytest.mark.parametrize("query", ["?a=1", "?strict_consistency_check=1", "?skip=true"])
def test_queries_that_are_not_known_are_refused(get, object_id, query):
    assert get(PATH + query).status == 400
    assert get(PATH + query).plain


def test_both_kinds_of_consistency_check_exclude_each_other(get, object_id):
    assert get(f"{PATH}?strict_consistency_check=true").body == DATA
    assert get(f"{PATH}?skip_consistency_check=false").body == DATA
    both = get(f"{PATH}?strict_consistency_check=true&skip_consistency_check=true")
    assert (both.status, both.reason[0]) == (400, "INVALID_ARGUMENT")


def test_a_range_with_both_ends_is_206(get, object_id):
    told = get(PATH, range="bytes=10-19")
    assert (told.status, told.body) == (206, DATA[10:20])
    assert told.headers["content-range"] == f"bytes 10-19/{len(DATA)}"
    assert told.headers["content-length"] == "10"


@pytest.mark.parametrize(
    "text", ["bytes=10-", "bytes=-5", "bytes=1-2,4-5", "bytes=5-4", "items=1-2", "bytes=0-99999"]
)
def test_other_ranges_are_416(get, object_id, text):
    told = get(PATH, range=text)
    assert told.status == 416
    assert told.reason == ("RANGE_NOT_SATISFIABLE", "INVALID_BYTE_RANGE", "daemon.walrus.space")


def test_the_byte_range_route_answers_200_so_that_caches_keep_it(get, object_id):
    told = get(f"{PATH}/byte-range?start=10&length=10")
    assert (told.status, told.body) == (200, DATA[10:20])
    assert told.headers["etag"] == f"{NAME}-10-10"
    assert "content-range" not in told.headers


@pytest.mark.parametrize(
    ("start", "length"), [(0, 0), (0, len(DATA) + 1), (len(DATA), 1), (2**64 - 1, 1)]
)
def test_the_byte_range_route_refuses_what_does_not_fit_with_400(get, object_id, start, length):
    told = get(f"{PATH}/byte-range?start={start}&length={length}")
    assert told.status == 400
    assert told.reason[:2] == ("INVALID_ARGUMENT", "INVALID_BYTE_RANGE")
    assert get(f"{PATH}/byte-range?start=0").plain
    assert get(f"{PATH}/byte-range?start=0&length=1&x=1").plain


def test_what_is_not_there_is_404_and_what_is_no_id_is_400(get, object_id):
    told = get("/v1/blobs/" + "A" * 43)
    assert told.status == 404
    assert told.reason == ("NOT_FOUND", "BLOB_NOT_FOUND", "daemon.walrus.space")
    assert get("/v1/blobs/abc").status == 400
    assert get("/v1/blobs/abc").plain
    assert get("/v1/blobs").status == 404


def test_by_object_id_comes_with_the_attributes_that_are_allowed(net, get, object_id):
    attributes = {"Content-Type": "text/plain", "x-secret": "no", "link": "<a>"}
    net.wallet().set_attributes(object_id, attributes)
    told = get(f"/v1/blobs/by-object-id/{object_id}")
    assert (told.status, told.body, told.headers["etag"]) == (200, DATA, NAME)
    assert (told.headers["content-type"], told.headers["link"]) == ("text/plain", "<a>")
    assert "x-secret" not in told.headers
    assert get(f"/v1/blobs/by-object-id/0x{'0' * 64}").reason[1] == "BLOB_NOT_FOUND"
    assert get("/v1/blobs/by-object-id/zero").status == 400


def test_expired_deleted_and_uncertified_blobs_are_404(net, put, get, object_id):
    net.advance(4)
    assert get(PATH).status == 200
    net.advance(1)
    assert get(PATH).status == 404
    again = put(DATA).json["newlyCreated"]["blobObject"]["id"]
    assert get(PATH).status == 200
    net.wallet().delete(again)
    assert get(PATH).status == 404
    net.owner().register(NAME, len(DATA), 2)
    assert get(PATH).status == 404


def test_too_large_blocked_and_invalid_blobs_have_answers_of_their_own(net, get, object_id):
    state = net.aggregators[0].state
    state.most = len(DATA) - 1
    assert (get(PATH).status, get(PATH).reason[:2]) == (403, ("SIZE_EXCEEDED", "BLOB_TOO_LARGE"))
    state.most = None
    state.blocked.add(NAME)
    assert (get(PATH).status, get(PATH).reason[1]) == (451, "FORBIDDEN_BLOB")
    state.blocked.clear()
    net.ledger.mark_invalid(NAME)
    assert get(PATH).status == 404


def test_several_blobs_come_joined(net, put, get, object_id):
    other = put(b"other").json["newlyCreated"]["blobObject"]["blobId"]
    assert get(f"/v1alpha/blobs/concat?ids={other},{object_id}").body == b"other" + DATA
    assert get("/v1alpha/blobs/concat?ids=").status == 400
    told = get(f"/v1alpha/blobs/{NAME}/stream")
    assert (told.body, told.headers["x-walrus-streaming"]) == (DATA, "true")


def test_items_of_a_quilt_come_by_patch_id_and_by_identifier(net, put, get):
    items = [Item("a/b c", b"ay" * 20, {"content-type": "text/x", "k": "v"}), Item("z", b"zed")]
    packed = quilt.pack(items, N)
    made = put(bytes(packed.data), "epochs=2").json["newlyCreated"]["blobObject"]
    name, raw = made["blobId"], encode(bytes(packed.data), N).blob_id
    ids = {patch.identifier: quilt.patch_id(raw, patch) for patch in packed.patches}
    told = get(f"/v1/blobs/by-quilt-patch-id/{ids['z']}")
    assert (told.status, told.body, told.headers["etag"]) == (200, b"zed", name)
    assert told.headers["x-quilt-patch-identifier"] == "z"
    told = get(f"/v1/blobs/by-quilt-id/{name}/a%2Fb%20c")
    assert (told.body, told.headers["x-quilt-patch-identifier"]) == (b"ay" * 20, "a/b c")
    assert told.headers["etag"] == name, "patches of a quilt share its ETag"
    assert told.headers["content-type"] == "text/x"
    assert "k" not in told.headers
    assert get(f"/v1/quilts/{name}/patches").json == [
        {"identifier": "a/b c", "patch_id": ids["a/b c"],
         "tags": {"content-type": "text/x", "k": "v"}},
        {"identifier": "z", "patch_id": ids["z"], "tags": {}},
    ]  # fmt: skip
    assert get(f"/v1/blobs/by-quilt-id/{name}/no").reason[1] == "QUILT_PATCH_NOT_FOUND"
    assert get("/v1/blobs/by-quilt-patch-id/short").status == 400


def test_a_blob_that_was_put_sliver_by_sliver_is_put_together(net, get):
    encoded = encode(DATA, N)
    owner = net.owner()
    made = owner.register(NAME, len(DATA), 2)
    for station in net.nodes[:3]:
        ask(station.url, f"{PATH}/metadata", "PUT", encoded.metadata.to_bcs())
        for pair in station.state.pairs(NAME):
            for sliver in encoded.pair(pair):
                path = f"{PATH}/slivers/{pair}/{sliver.axis}"
                assert ask(station.url, path, "PUT", sliver.to_bcs()).status == 200
    net.ledger.certify(made.id)
    assert get(PATH).body == DATA
