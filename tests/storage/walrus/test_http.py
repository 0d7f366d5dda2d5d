"""One exchange with a server that does what it likes at the socket."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from haulout.errors import (
    BlobMissingError,
    InputError,
    LimitError,
    StoreRefusedError,
    StoreUnavailableError,
)
from haulout.storage.walrus.config import Timeouts
from haulout.storage.walrus.http import Answer, Http, Request, Silence, refusal

WAITS = Timeouts(connect=5.0, silence=5.0)
Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def http() -> Iterator[Http]:
    made = Http(WAITS)
    yield made
    made.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve one connection after the other with a function; give the URL."""
    closers: list[Callable[[], None]] = []

    def start(handle: Callable[[socket.socket], None]) -> str:
        listening = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    handle(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def close() -> None:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            thread.join(10)

        closers.append(close)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for close in closers:
        close()


def says(text: bytes, *, read: int = 65_536) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        connection.recv(read)
        connection.sendall(text)

    return handle


def words(found: Answer | Silence) -> str:
    assert isinstance(found, Silence)
    return found.words


def test_an_answer_comes_with_its_headers_in_lower_case(http, serve):
    url = serve(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: x\r\n\r\nhi"))
    answer = http.ask(Request("GET", url))
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"hi", "x")


def test_query_values_are_written_as_services_read_them():
    request = Request("GET", "http://h/p", (("a", True), ("b", 3), ("c", "x y/z")))
    assert request.target == "http://h/p?a=true&b=3&c=x+y%2Fz"
    assert request.who == "http://h"


def test_more_bytes_than_can_be_right_are_not_read(http, serve):
    url = serve(says(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"))
    assert "at most 10" in words(http.send(Request("GET", url, most=10)))
    sent = []

    def endless(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            sent.append(connection.send(b"10000\r\n" + bytes(65_536) + b"\r\n"))

    assert "more than the 1000 bytes" in words(http.send(Request("GET", serve(endless), most=1000)))
    assert sum(sent) < 64 << 20


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_breaks_off_is_none(http, serve, text):
    found = http.send(Request("GET", serve(says(text))))
    assert isinstance(found, Silence)
    with pytest.raises(StoreUnavailableError):
        http.ask(Request("GET", serve(says(text))))


def test_a_body_in_chunks_is_read(http, serve):
    text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert http.ask(Request("GET", serve(says(text)))).body == b"hello"


def test_a_body_that_is_packed_unasked_is_refused(http, serve):
    url = serve(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi"))
    assert "encoding" in words(http.send(Request("GET", url)))


def test_redirects_are_not_followed(http, serve):
    other = serve(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
    head = f"HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(StoreUnavailableError, match="elsewhere"):
        http.ask(Request("GET", serve(says(head.encode()))))


def test_who_sends_a_byte_now_and_then_is_given_up_at_the_deadline(serve):
    ticks = iter(range(0, 1000, 3))
    http = Http(WAITS, clock=lambda: float(next(ticks)))
    hold = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x")
            hold.wait(0.01)

    found = http.send(Request("GET", serve(drip), seconds=10.0))
    assert "in time" in words(found)
    http.close()


def test_silence_ends_with_the_time_for_it(serve):
    http = Http(Timeouts(connect=1.0, silence=0.1))
    hold = threading.Event()
    url = serve(lambda _: hold.wait(5) and None)
    assert "in time" in words(http.send(Request("GET", url)))
    hold.set()
    http.close()


# --- what may have been done -----------------------------------------------------------------


def test_what_was_never_connected_was_not_sent(http):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    found = http.send(Request("PUT", url, body=b"x", alone=True))
    assert isinstance(found, Silence)
    assert (found.sent, found.words) == (False, "cannot be reached")


def test_a_body_that_was_not_sent_whole_cannot_have_been_stored(http, serve):
    def hangs_up(connection: socket.socket) -> None:
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    found = http.send(Request("PUT", serve(hangs_up), body=bytes(64 << 20), alone=True))
    assert isinstance(found, Silence)
    assert not found.sent


@pytest.mark.parametrize("body", [b"x", b""])
def test_a_body_that_was_sent_whole_may_have_been_stored(http, serve, body):
    found = http.send(Request("PUT", serve(says(b"")), body=body, alone=True))
    assert isinstance(found, Silence)
    assert found.sent


def test_a_refusal_that_comes_while_the_body_is_sent_is_read(http, serve):
    def refuses(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 413 X\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong")
        while connection.recv(1 << 20):
            pass

    found = http.send(Request("PUT", serve(refuses), body=bytes(8 << 20), alone=True))
    assert isinstance(found, Answer)
    assert (found.status, found.error.message) == (413, "long")


def test_uploads_use_a_connection_of_their_own(http, serve):
    heads = []

    def note(connection: socket.socket) -> None:
        heads.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    url = serve(note)
    http.send(Request("PUT", url, body=b"abc", alone=True))
    assert b"\r\nconnection: close\r\n" in heads[0].lower()
    assert b"\r\ncontent-length: 3\r\n" in heads[0].lower()
    assert b"accept-encoding: identity" in heads[0].lower()


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "error", "part"),
    [
        (404, "BLOB_NOT_FOUND", BlobMissingError, "does not have"),
        (401, "INVALID_SIGNATURE", StoreRefusedError, "token"),
        (403, "", StoreRefusedError, "token"),
        (403, "BLOB_TOO_LARGE", LimitError, "size"),
        (402, "", StoreRefusedError, "pay"),
        (413, "", LimitError, "size"),
        (416, "INVALID_BYTE_RANGE", InputError, "range"),
        (400, "INVALID_BYTE_RANGE", InputError, "range"),
        (400, "MALFORMED_REQUEST", StoreRefusedError, "MALFORMED_REQUEST"),
        (429, "", StoreUnavailableError, "busy"),
        (429, "TOKEN_ALREADY_USED", StoreUnavailableError, "TOKEN_ALREADY_USED"),
        (451, "FORBIDDEN_BLOB", StoreRefusedError, "legal"),
        (500, "", StoreUnavailableError, "500"),
        (503, "BLOB_UNAVAILABLE", StoreUnavailableError, "503"),
        (504, "INSUFFICIENT_CONFIRMATIONS", StoreUnavailableError, "504"),
        (504, "EXPIRED_SIGNATURE", StoreRefusedError, "token"),
        (302, "", StoreUnavailableError, "elsewhere"),
    ],
)
def test_each_refusal_has_its_error(status, reason, error, part):
    body = b"plain words"
    if reason:
        detail = f'{{"@type":"ErrorInfo","reason":"{reason}","domain":"d"}}'
        body = f'{{"error":{{"message":"m","details":[{detail}]}}}}'.encode()
    found = refusal(Answer("http://who", status, {}, body))
    assert type(found) is error
    assert part in found.message
    assert "http://who" in found.message


def test_money_is_told_whatever_the_status():
    body = b'{"error":{"message":"could not find WAL coins with sufficient balance"}}'
    found = refusal(Answer("http://who", 500, {}, body))
    assert isinstance(found, StoreRefusedError)
    assert "wallet" in found.hint


def test_without_urllib3_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "urllib3", None)
    with pytest.raises(InputError) as caught:
        Http(WAITS)
    assert 'pip install "haulout[walrus]"' in caught.value.hint
