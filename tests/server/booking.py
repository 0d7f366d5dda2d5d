"""A booking service on loopback that keeps every booking it is sent, and loses answers.

It refuses no second booking: who asks twice has two tables. A booking carries the guest's own
reference, by which it can be looked up.
"""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class BookingService:
    """The service, running.

    Args:
        lose_answers: of so many bookings, the first, the answer is lost after they are taken.
        lose_requests: so many requests, the first, are lost before anything is taken.
    """

    def __init__(self, *, lose_answers: int = 0, lose_requests: int = 0) -> None:
        self.bookings: list[dict[str, Any]] = []
        self._lose_answers, self._lose_requests = lose_answers, lose_requests
        self._turn = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                taken = service._take(asked)
                if taken is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self._answer(201, taken)

            def do_GET(self) -> None:
                (reference,) = parse_qs(urlsplit(self.path).query)["reference"]
                found = [one for one in service.bookings if one["reference"] == reference]
                self._answer(200, found)

            def _answer(self, status: int, value: Any) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _take(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """Take a booking, and give its answer unless that is lost."""
        with self._turn:
            if self._lose_requests:
                self._lose_requests -= 1
                return None
            taken = {"number": len(self.bookings) + 1, **asked}
            self.bookings.append(taken)
            if self._lose_answers:
                self._lose_answers -= 1
                return None
            return taken

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
