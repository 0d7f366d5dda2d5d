"""The embedder for OpenAI-compatible servers, against one on the loopback address."""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from haulout.errors import InputError, ModelError
from haulout.index.openai_http import HttpEmbedder

SECRET = "the words of a person"
KEY = "sk-secret-key"


class _Server(ThreadingHTTPServer):
    """Answers with `answers` in turn, then as a well-behaved server."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Callable[[_Handler], None]] = []
        self.bodies: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(self.body)
        self.server.headers.append(dict(self.headers))
        self.server.paths.append(self.path)
        answer = self.server.answers.pop(0) if self.server.answers else embeddings
        answer(self)

    def log_message(self, *_args: object) -> None:
        pass

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def vector(text: str, dimensions: int = 8) -> list[float]:
    """A vector of any length that tells texts apart."""
    return np.random.default_rng(abs(hash(text))).normal(size=dimensions).tolist()


def embeddings(handler: _Handler, *, dimensions: int = 8) -> None:
    body = handler.body
    size = body.get("dimensions", dimensions)
    data = [
        {"object": "embedding", "index": index, "embedding": vector(text, size)}
        for index, text in enumerate(body["input"])
    ]
    reply = {"object": "list", "data": data[::-1], "model": body["model"], "usage": {}}
    handler.reply(json.dumps(reply).encode(), Content_Type="application/json")


def failing(status: int, **headers: str) -> Callable[[_Handler], None]:
    def answer(handler: _Handler) -> None:
        quoted = json.dumps(
            {"error": {"message": f"cannot embed {handler.body['input']}, key {KEY}"}}
        )
        handler.reply(quoted.encode(), status, **headers)

    return answer


def sending(value: object) -> Callable[[_Handler], None]:
    return lambda handler: handler.reply(json.dumps(value).encode())


def hanging_up(handler: _Handler) -> None:
    handler.close_connection = True


def broken_off(handler: _Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data":')
    handler.close_connection = True


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def embedder(server: _Server, pauses: list[float]) -> HttpEmbedder:
    return HttpEmbedder(server.url, "small", key=KEY, timeout=5, sleep=pauses.append)


def _unit(values: list[float]) -> np.ndarray:
    return np.array(values) / np.linalg.norm(values)


def test_texts_go_out_in_the_agreed_form(server: _Server, embedder: HttpEmbedder):
    embedder.embed(["one", "two"])
    assert server.paths == ["/v1/embeddings"]
    assert server.bodies == [
        {"model": "small", "input": ["one", "two"], "encoding_format": "float"}
    ]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["Content-Type"] == "application/json"


def test_rows_are_unit_float32_in_the_order_of_the_texts(server: _Server, embedder: HttpEmbedder):
    """The server above answers in reverse; `index` tells the order."""
    rows = embedder.embed(["one", "two", "three"])
    assert (rows.dtype, rows.shape) == (np.float32, (3, 8))
    expected = np.stack([_unit(vector(text)) for text in ("one", "two", "three")])
    assert np.allclose(rows, expected, atol=1e-6)


def test_many_texts_go_in_batches_of_64(server: _Server, embedder: HttpEmbedder):
    texts = [f"text {number}" for number in range(130)]
    rows = embedder.embed(texts)
    assert [len(body["input"]) for body in server.bodies] == [64, 64, 2]
    assert np.allclose(rows[129], _unit(vector("text 129")), atol=1e-6)


def test_no_texts_ask_nothing(server: _Server, embedder: HttpEmbedder):
    assert embedder.embed([]).shape == (0, 0)
    assert server.bodies == []


def test_odd_texts_are_made_sendable(server: _Server, embedder: HttpEmbedder):
    embedder.embed(["", "a\ud800b", "x" * 9_000])
    assert server.bodies[0]["input"] == [" ", "a?b", "x" * 8_000]


def test_dimensions_are_asked_for_or_learnt(server: _Server, embedder: HttpEmbedder):
    assert embedder.dimensions == 8
    assert server.bodies[0]["input"] == ["dimensions"]
    assert embedder.dimensions == 8
    assert len(server.bodies) == 1
    short = HttpEmbedder(server.url, "small", dimensions=4)
    assert short.dimensions == 4
    assert short.embed(["one"]).shape == (1, 4)
    assert server.bodies[-1]["dimensions"] == 4


def test_identities_name_model_host_and_size(server: _Server):
    place = f"127.0.0.1:{server.server_port}"
    assert HttpEmbedder(server.url, "small").model == f"small@{place}"
    assert HttpEmbedder(server.url, "small", dimensions=4).model == f"small@{place}/4"
    assert HttpEmbedder("https://API.example.com/v1", "m").model == "m@api.example.com"
    assert HttpEmbedder("http://[::1]:8/v1", "m").model == "m@[::1]:8"


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/embeddings"])
def test_base_and_full_addresses_mean_the_same(server: _Server, path: str):
    HttpEmbedder(f"http://127.0.0.1:{server.server_port}{path}", "small").embed(["one"])
    assert server.paths == ["/v1/embeddings"]


def test_without_a_key_none_is_sent(server: _Server):
    HttpEmbedder(server.url, "small").embed(["one"])
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(
    server: _Server, embedder: HttpEmbedder, pauses: list[float], status: int
):
    server.answers = [failing(status)] * 3
    assert embedder.embed(["one"]).shape == (1, 8)
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("answer", [hanging_up, broken_off])
def test_a_broken_connection_is_tried_again(
    server: _Server, embedder: HttpEmbedder, pauses: list[float], answer
):
    server.answers = [answer]
    assert embedder.embed(["one"]).shape == (1, 8)
    assert pauses == [0.5]


def test_four_attempts_are_all(server: _Server, embedder: HttpEmbedder, pauses: list[float]):
    server.answers = [failing(503)] * 9
    with pytest.raises(ModelError, match="status 503"):
        embedder.embed(["one"])
    assert len(server.bodies) == 4
    assert pauses == [0.5, 1.0, 2.0]


def test_retry_after_is_honoured(server: _Server, embedder: HttpEmbedder, pauses: list[float]):
    soon = email.utils.formatdate(time.time() + 10, usegmt=True)
    server.answers = [
        failing(429, Retry_After="7"),
        failing(503, Retry_After=soon),
        failing(429, Retry_After="in a while"),
    ]
    embedder.embed(["one"])
    assert pauses[0] == 7
    assert 5 < pauses[1] <= 10
    assert pauses[2] == 2.0


def test_a_server_that_wants_a_long_pause_is_reported(
    server: _Server, embedder: HttpEmbedder, pauses: list[float]
):
    server.answers = [failing(429, Retry_After="3600")]
    with pytest.raises(ModelError, match="slow down"):
        embedder.embed(["one"])
    assert pauses == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 418, 501])
def test_what_will_not_pass_is_not_asked_again(
    server: _Server, embedder: HttpEmbedder, pauses: list[float], status: int
):
    server.answers = [failing(status)]
    with pytest.raises(ModelError, match=f"status {status}"):
        embedder.embed(["one"])
    assert pauses == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server: _Server, embedder: HttpEmbedder, status: int):
    """They would carry texts and key to wherever they point."""
    server.answers = [failing(status, Location=f"{server.url}/elsewhere")]
    with pytest.raises(ModelError, match=f"status {status}"):
        embedder.embed(["one"])
    assert server.paths == ["/v1/embeddings"]


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"data": None},
        {"data": []},
        {"error": "busy"},
        {"data": [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": "AAAA"}]},
        {"data": [{"index": 0, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}] * 2},
        {"data": [{"index": n, "embedding": [1.0]} for n in range(3)]},
        {"data": [{"index": n + 1, "embedding": [1.0]} for n in range(2)]},
        {"data": [{"index": n, "embedding": [1.0] * (n + 1)} for n in range(2)]},
        {"data": [{"index": n, "embedding": [0.0]} for n in range(2)]},
        {"data": [{"index": n, "embedding": []} for n in range(2)]},
        {"data": [{"index": n, "embedding": [1e300]} for n in range(2)]},
    ],
)
def test_anything_but_one_usable_vector_a_text_is_refused(
    server: _Server, embedder: HttpEmbedder, pauses: list[float], value: object
):
    server.answers = [sending(value)]
    with pytest.raises(ModelError):
        embedder.embed(["one", "two"])
    assert pauses == []
    assert embedder.embed(["one"]).shape == (1, 8), "a bad reply decides nothing about later ones"


def test_replies_that_are_no_json_are_refused(server: _Server, embedder: HttpEmbedder):
    server.answers = [lambda handler: handler.reply(b"<html>\xff")]
    with pytest.raises(ModelError, match="something else than embeddings"):
        embedder.embed(["one"])


def test_vectors_may_not_change_their_size(server: _Server, embedder: HttpEmbedder):
    embedder.embed(["one"])
    server.answers = [lambda handler: embeddings(handler, dimensions=9)]
    with pytest.raises(ModelError, match="9"):
        embedder.embed(["two"])


def test_a_server_that_is_not_there_is_reported(server: _Server, pauses: list[float]):
    with _Server() as gone:
        url = gone.url
    absent = HttpEmbedder(url, "small", key=KEY, sleep=pauses.append)
    with pytest.raises(ModelError, match="cannot be reached"):
        absent.embed([SECRET])
    assert len(pauses) == 3


def test_a_server_that_says_nothing_is_given_up(server: _Server, pauses: list[float]):
    done = threading.Event()
    server.answers = [lambda _handler: done.wait(5) and None] * 4
    slow = HttpEmbedder(server.url, "small", timeout=0.05, sleep=pauses.append)
    with pytest.raises(ModelError, match="timed out"):
        slow.embed(["one"])
    done.set()
    assert len(pauses) == 3


@pytest.mark.parametrize(
    "answer",
    [failing(400), failing(401), failing(500), sending({"data": SECRET}), sending([KEY])],
)
def test_errors_hold_neither_text_nor_key(
    server: _Server, embedder: HttpEmbedder, answer, capfd: pytest.CaptureFixture[str]
):
    server.answers = [answer] * 4
    with pytest.raises(ModelError) as caught:
        embedder.embed([SECRET])
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r} {error}"
        assert KEY not in f"{error!r} {error}"
        error = error.__cause__
    assert KEY not in repr(embedder)
    assert capfd.readouterr() == ("", "")


def test_threads_share_one_embedder(server: _Server, embedder: HttpEmbedder):
    texts = [f"text {number}" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        rows = np.concatenate(list(pool.map(lambda text: embedder.embed([text]), texts)))
    assert np.allclose(rows, [_unit(vector(text)) for text in texts], atol=1e-6)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434/v1",
        "ftp://localhost/v1",
        "file:///etc/passwd",
        "http://",
        "http://localhost:port/v1",
        "http://user:secret@localhost/v1",
        "http://localhost/v1?model=a",
        "http://localhost/a b",
        "http://localhost/ü",
    ],
)
def test_addresses_that_cannot_be_meant_are_refused(url: str):
    with pytest.raises(InputError) as caught:
        HttpEmbedder(url, "small")
    assert "secret" not in str(caught.value)


def test_arguments_are_checked_before_anything_is_sent():
    with pytest.raises(InputError):
        HttpEmbedder("http://localhost/v1", "")
    with pytest.raises(InputError):
        HttpEmbedder("http://localhost/v1", "small", dimensions=0)
    with pytest.raises(InputError) as caught:
        HttpEmbedder("http://localhost/v1", "small", key="sk-secret\r\nX: y")
    assert "secret" not in str(caught.value)
