"""A bucket as a store: what it sends, what it believes, and what it makes of each answer."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from haulout.errors import (
    BlobMissingError,
    ConflictError,
    HauloutError,
    InputError,
    StorageError,
    StoreRefusedError,
    StoreUnavailableError,
)
from haulout.storage.backend import Object
from haulout.storage.objectstore import ObjectStoreBackend

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "a-secret-of-no-use"}
CREDENTIALS = {
    "s3://bucket/pre": KEYS,
    "gs://bucket/pre": {"bearer_token": "a-token-of-no-use"},
    "az://account/bucket/pre": {"access_key": base64.b64encode(b"no use").decode()},
}

Answer = tuple[int, dict[str, str], bytes]


class Scripted(ThreadingHTTPServer):
    """Answers every request alike, or as a function says; notes what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answer: Callable[[str, str], Answer | None] = lambda _method, _path: (404, {}, b"")
        self.hold: threading.Event | None = None

    def handle_error(self, *_: Any) -> None:
        """A client that gave up waiting is part of the test."""


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers))
        if self.server.hold:
            self.server.hold.wait(60)
        answer = self.server.answer(self.command, self.path)
        self.close_connection = True
        if answer is None:
            return
        status, more, body = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield scripted
        if scripted.hold:
            scripted.hold.set()
        scripted.shutdown()
        thread.join()


def bucket(server: Scripted, url: str = "s3://bucket/pre", **more: Any) -> ObjectStoreBackend:
    endpoint = f"http://127.0.0.1:{server.server_port}"
    return ObjectStoreBackend(url, {**CREDENTIALS[url], "endpoint": endpoint}, **more)


def outcome(call: Callable[[], object]) -> type[HauloutError] | None:
    try:
        call()
    except HauloutError as error:
        raised = error
    else:
        return None
    assert raised.__cause__ is None  # its words could hold a signature
    return type(raised)


def calls(store: ObjectStoreBackend) -> dict[str, Callable[[], object]]:
    version = json.dumps(["etag", "7"])
    return {
        "put": lambda: store.put("a", b"1"),
        "get": lambda: store.get("a"),
        "range": lambda: store.get("a", 1, 1),
        "size": lambda: store.size("a"),
        "delete": lambda: store.delete("a"),
        "list": lambda: list(store.list("a")),
        "head": lambda: store.read_head("a"),
        "make": lambda: store.swap_head("a", b"1", None),
        "swap": lambda: store.swap_head("a", b"1", version),
    }


# --- answers -----------------------------------------------------------------------------------

UNAVAILABLE = dict.fromkeys(
    ("put", "get", "range", "size", "delete", "list", "head", "make", "swap"), StoreUnavailableError
)
REFUSED = dict.fromkeys(UNAVAILABLE, StoreRefusedError)
CONFLICT = {"make": ConflictError, "swap": ConflictError}
NOTHING_THERE = {
    "put": StoreUnavailableError,
    "get": BlobMissingError,
    "range": BlobMissingError,
    "size": BlobMissingError,
    "delete": None,
    "list": StoreUnavailableError,
    "head": None,
    **CONFLICT,
}
ANSWERS: dict[int, dict[str, type[HauloutError] | None]] = {
    301: REFUSED,
    400: REFUSED,
    401: REFUSED,
    402: REFUSED,
    403: REFUSED,
    404: NOTHING_THERE,
    405: REFUSED,
    408: UNAVAILABLE,
    409: {**UNAVAILABLE, **CONFLICT},
    412: {**UNAVAILABLE, **CONFLICT},
    425: UNAVAILABLE,
    429: UNAVAILABLE,
    500: UNAVAILABLE,
    501: REFUSED,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}


@pytest.mark.parametrize("url", CREDENTIALS)
@pytest.mark.parametrize("status", ANSWERS)
def test_each_status_becomes_an_error_that_says_whether_to_try_again(
    server: Scripted, status: int, url: str
) -> None:
    server.answer = lambda _method, _path: (status, {}, b"")
    store = bucket(server, url)
    told = {name: outcome(call) for name, call in calls(store).items()}
    expected = ANSWERS[status]
    if status == 404 and url.startswith("az"):  # deletes go to the container, as a batch
        expected = {**expected, "delete": StoreUnavailableError}
    assert told == expected


@pytest.mark.parametrize(("status", "words"), [(401, "these credentials"),
    (402, "these credentials"), (403, "these credentials"), (405, "will not do"),
    (501, "will not do"), (503, "does not answer")])  # fmt: skip
def test_an_error_says_whether_it_is_about_credentials(
    server: Scripted, status: int, words: str
) -> None:
    server.answer = lambda _method, _path: (status, {}, b"")
    for call in calls(bucket(server)).values():
        with pytest.raises(StorageError, match=f"{words}.*HTTP {status}"):
            call()


@pytest.mark.parametrize("code", ["NoSuchBucket", "ContainerNotFound"])
def test_a_bucket_that_is_not_there_is_unavailable_not_empty(server: Scripted, code: str) -> None:
    body = f"<Error><Code>{code}</Code></Error>".encode()
    server.answer = lambda _method, _path: (404, {}, body)
    told = {name: outcome(call) for name, call in calls(bucket(server)).items()}
    assert told == UNAVAILABLE


def test_a_400_that_says_the_request_took_too_long_may_be_tried_again(server: Scripted) -> None:
    body = b"<Error><Code>RequestTimeout</Code></Error>"
    server.answer = lambda _method, _path: (400, {}, body)
    assert outcome(lambda: bucket(server).put("a", b"1")) is StoreUnavailableError


@pytest.mark.parametrize("url", CREDENTIALS)
def test_no_answer_is_unavailable_and_nothing_is_sent_twice(server: Scripted, url: str) -> None:
    server.answer = lambda _method, _path: None
    for name, call in calls(bucket(server, url)).items():
        server.asked.clear()
        assert outcome(call) is StoreUnavailableError, name
        assert len(server.asked) == 1, name


def test_an_answer_cut_short_is_unavailable(server: Scripted) -> None:
    server.answer = lambda _method, _path: (200, {"Content-Length": "1000", "ETag": '"x"'}, b"1")
    assert outcome(lambda: bucket(server).get("a")) is StoreUnavailableError


def test_nobody_listening_is_unavailable(server: Scripted) -> None:
    store = bucket(server)
    server.server_close()
    told = {name: outcome(call) for name, call in calls(store).items()}
    assert told == UNAVAILABLE


def test_a_store_that_is_silent_is_given_up_after_the_time_that_was_set(server: Scripted) -> None:
    server.hold = threading.Event()
    store = bucket(server, timeout_s=0.2)
    for name, call in calls(store).items():
        began = time.monotonic()
        assert outcome(call) is StoreUnavailableError, name
        assert time.monotonic() - began < 20, name  # obstore's own limit is 30 seconds


def test_a_range_is_read_no_further_than_it_was_asked_for(server: Scripted) -> None:
    headers = {"ETag": '"x"', "Last-Modified": "Tue, 24 Nov 2026 19:27:00 GMT"}
    body = bytes(1_000_000)
    server.answer = lambda _method, _path: (
        206,
        {**headers, "Content-Range": "bytes 0-3/1000000"},
        body,
    )
    try:
        got = bucket(server).get("a", 0, 4)
    except StoreUnavailableError:
        return
    assert got == bytes(4)


def test_an_address_or_error_shows_no_credential(server: Scripted) -> None:
    sas = "sv=2026&sig=c2VjcmV0LXNpZ25hdHVyZQ"
    endpoint = f"http://127.0.0.1:{server.server_port}"
    stores = [
        ObjectStoreBackend("az://account/bucket", {"sas_token": sas, "endpoint": endpoint}),
        bucket(server),
        bucket(server, "gs://bucket/pre"),
    ]
    server.answer = lambda _method, _path: (403, {}, b"sig=c2VjcmV0LXNpZ25hdHVyZQ")
    for store in stores:
        shown = store.url + repr(store)
        for call in calls(store).values():
            with pytest.raises(StoreRefusedError) as raised:
                call()
            shown += str(raised.value) + repr(raised.value)
        for secret in (sas, "c2VjcmV0", "no-use", "AKIDEXAMPLE"):
            assert secret not in shown


# --- requests ----------------------------------------------------------------------------------

OTHERS = {
    "AWS_ACCESS_KEY_ID": "OTHERS-KEY", "AWS_SECRET_ACCESS_KEY": "OTHERS-SECRET",
    "AWS_SESSION_TOKEN": "OTHERS-TOKEN", "AWS_REGION": "others-1",
    "AWS_DEFAULT_REGION": "others-2", "AWS_ENDPOINT_URL": "http://127.0.0.1:9/others",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9/others", "AWS_CONDITIONAL_PUT": "disabled",
    "AWS_SKIP_SIGNATURE": "true", "AWS_REQUEST_PAYER": "true",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    "GOOGLE_BEARER_TOKEN": "OTHERS-TOKEN", "GOOGLE_BASE_URL": "http://127.0.0.1:9/others",
    "GOOGLE_SKIP_SIGNATURE": "true",
    "AZURE_STORAGE_TOKEN": "OTHERS-TOKEN", "AZURE_STORAGE_SAS_KEY": "sig=OTHERS",
    "AZURE_STORAGE_ACCOUNT_NAME": "others", "AZURE_STORAGE_ACCOUNT_KEY": "T1RIRVJT",
    "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:9/others", "AZURE_SKIP_SIGNATURE": "true",
}  # fmt: skip


@pytest.mark.parametrize("url", CREDENTIALS)
def test_the_environment_neither_lends_a_credential_nor_leads_elsewhere(
    server: Scripted, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent() -> list[tuple[str, str, dict[str, str]]]:
        server.asked.clear()
        for call in calls(bucket(server, url)).values():
            outcome(call)
        varying = {"date", "x-amz-date", "x-ms-date", "authorization", "content-type"}
        return [
            (method, path, {k: v for k, v in headers.items() if k not in varying})
            for method, path, headers in server.asked
        ]

    before = sent()
    for name, value in OTHERS.items():
        monkeypatch.setenv(name, value)
    assert sent() == before
    authorizations = {headers["authorization"] for _, _, headers in server.asked}
    mine = {"s3": "Credential=AKIDEXAMPLE/", "gs": "Bearer a-token-of-no-use", "az": "account:"}
    assert authorizations
    assert all(mine[url[:2]] in text for text in authorizations)
    assert "OTHERS" not in str(server.asked)


def test_a_service_accounts_key_signs_for_itself_whatever_the_environment_holds(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = {"client_email": "me@example", "private_key_id": "k1", "private_key": pem.decode()}
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "OTHERS-TOKEN")
    store = ObjectStoreBackend(
        "gs://bucket",
        {
            "service_account_key": json.dumps(file),
            "endpoint": f"http://127.0.0.1:{server.server_port}",
        },
    )
    before = time.time()
    with pytest.raises(BlobMissingError):
        store.get("a")
    [(_, _, headers)] = server.asked
    token = headers["authorization"].removeprefix("Bearer ")
    signed, _, signature = token.rpartition(".")
    header, claims = (json.loads(unpadded(part)) for part in signed.split("."))
    private.public_key().verify(unpadded(signature), signed.encode(), PKCS1v15(), SHA256())
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert claims["iss"] == claims["sub"] == "me@example"
    assert before - 1 <= claims["iat"] <= time.time()
    assert claims["exp"] - claims["iat"] == 3600


def unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_without_credentials_nothing_is_asked_unless_anonymously(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OTHERS-KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "OTHERS-SECRET")
    endpoint = f"http://127.0.0.1:{server.server_port}"
    for url in ("s3://bucket", "gs://bucket", "az://account/bucket"):
        with pytest.raises(InputError, match="wants credentials"):
            ObjectStoreBackend(url, {"endpoint": endpoint})
        store = ObjectStoreBackend(url, {"endpoint": endpoint, "anonymous": "true"})
        server.asked.clear()
        with pytest.raises(BlobMissingError):
            store.get("a")
        assert ["authorization" in headers for _, _, headers in server.asked] == [False]


def test_conditions_are_sent_as_each_store_spells_them(server: Scripted) -> None:
    spelt = {
        "s3://bucket/pre": ({"if-none-match": "*"}, {"if-match": "etag"}),
        "gs://bucket/pre": (
            {"x-goog-if-generation-match": "0"},
            {"x-goog-if-generation-match": "7"},
        ),
        "az://account/bucket/pre": ({"if-none-match": "*"}, {"if-match": "etag"}),
    }
    for url, expected in spelt.items():
        store = bucket(server, url)
        for name, condition in zip(("make", "swap"), expected, strict=True):
            server.asked.clear()
            outcome(calls(store)[name])
            [(method, _, headers)] = server.asked
            assert method == "PUT"
            assert {k: headers.get(k) for k in condition} == condition


def test_an_object_is_deleted_by_a_request_of_its_own(server: Scripted) -> None:
    """A batch answers 200 whatever became of each object."""
    bucket(server).delete("a")
    assert [(method, path) for method, path, _ in server.asked] == [("DELETE", "/bucket/pre/a")]


def test_a_large_object_is_one_request(s3_place: Callable[[], ObjectStoreBackend]) -> None:
    """A multipart upload would begin beyond 5 MiB, and could leave parts behind."""
    data = bytes(range(256)) * 30_000
    store = s3_place()
    store.put("a", data)
    assert store.get("a") == data
    head = store.read_head("a")
    assert head
    assert "-" not in json.loads(head.version)[0]  # the ETag of a multipart upload has one


def test_a_listing_of_several_pages_is_whole(
    s3_place: Callable[[], ObjectStoreBackend],
) -> None:
    from moto.s3.models import s3_backends

    store = s3_place()
    prefix = store.url.removeprefix("s3://bucket/")
    keys = s3_backends["123456789012"]["aws"]
    names = [f"many/{number % 3}/{number}" for number in range(2300)]
    for name in names:
        keys.put_object("bucket", f"{prefix}/{name}", b"x")
    for stray in ("Upper", "many/0/.hidden", "many/0/a b"):
        keys.put_object("bucket", f"{prefix}/{stray}", b"x")
    assert sorted(store.list("many/")) == sorted(Object(name, 1) for name in names)
    assert sorted(store.list("many/0/1")) == sorted(
        Object(name, 1) for name in names if name.startswith("many/0/1")
    )


def test_a_lost_answer_to_a_swap_is_not_known(server: Scripted) -> None:
    server.answer = lambda _method, _path: (200, {}, b"")  # done, and without the new ETag
    store = bucket(server)
    for name in ("make", "swap"):
        assert outcome(calls(store)[name]) is StoreUnavailableError


def test_a_closed_backend_says_so(server: Scripted) -> None:
    store = bucket(server)
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.get("a")
    assert server.asked == []


# --- configurations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "config", "words"),
    [
        ("s3://AKID:s3cr3t@bucket/a", KEYS, "no credentials"),
        ("s3://bucket:8080/a", KEYS, "no port"),
        ("s3://bucket?secret_access_key=s3cr3t", KEYS, "query"),
        ("s3://bucket?region=a&region=s3cr3t", KEYS, "each once"),
        ("s3://bucket?s3cr3t", KEYS, "address"),
        ("s3://bucket#s3cr3t", KEYS, "address"),
        ("s3:///s3cr3t", KEYS, "address"),
        ("s3://bucket/../s3cr3t", KEYS, "address"),
        ("s3://bucket/a//s3cr3t", KEYS, "address"),
        ("az://account", {"access_key": "s3cr3t"}, "address"),
        ("az://account/container", {"access_key": "not base64 s3cr3t!"}, "understands"),
        ("gs://bucket", {"service_account_key": "{s3cr3t"}, "service account"),
        ("gs://bucket", {"service_account_key": '{"a": "s3cr3t"}'}, "service account"),
        ("gs://bucket", {"service_account_key": '["s3cr3t"]'}, "service account"),
        ("gs://bucket", {"service_account_key": '{"private_key": "s3cr3t"}'}, "service account"),
        ("s3://bucket", {**KEYS, "password": "s3cr3t"}, "no place for password"),
        ("s3://bucket", {"access_key_id": "s3cr3t"}, "wants credentials"),
        ("s3://bucket", {"secret_access_key": "s3cr3t"}, "wants credentials"),
        ("s3://bucket", {**KEYS, "endpoint": "http://example.org/s3cr3t"}, "without TLS"),
        ("s3://bucket", {**KEYS, "endpoint": "https://u:s3cr3t@example.org"}, "endpoint"),
        ("s3://bucket", {**KEYS, "endpoint": "ftp://s3cr3t"}, "endpoint"),
        ("s3://bucket", {**KEYS, "endpoint": "http://[s3cr3t"}, "endpoint"),
        ("s3://bucket?endpoint=http://example.org", KEYS, "without TLS"),
        ("ftp://s3cr3t/a", KEYS, "address"),
    ],
)
def test_a_wrong_configuration_is_refused_without_repeating_it(
    url: str, config: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words) as raised:
        ObjectStoreBackend(url, config)
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://bucket/a/b",
        "s3://bucket/a?endpoint=https://minio.example:9000&region=eu-1",
        "gs://bucket/a",
        "az://account/container/a",
    ],
)
def test_an_address_is_shown_as_it_was_given(url: str) -> None:
    credentials = next(value for key, value in CREDENTIALS.items() if key[:2] == url[:2])
    assert ObjectStoreBackend(url, credentials).url == url
    assert ObjectStoreBackend(ObjectStoreBackend(url, credentials).url, credentials).url == url


def test_options_of_an_address_are_used(server: Scripted) -> None:
    endpoint = f"http://127.0.0.1:{server.server_port}"
    url = f"s3://bucket/pre?endpoint={endpoint}&region=eu-9"
    with pytest.raises(BlobMissingError):
        ObjectStoreBackend(url, KEYS).get("a")
    [(_, path, headers)] = server.asked
    assert path == "/bucket/pre/a"
    assert "/eu-9/s3/" in headers["authorization"]
