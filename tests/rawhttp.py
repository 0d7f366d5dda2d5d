"""Raw requests to a loopback Walrus network: the wire is not tried with our own client."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

N = 10


class Raw(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def reason(self) -> tuple[str, str, str]:
        """Status, reason and domain of a JSON error, whose code is the HTTP status."""
        error = self.json["error"]
        assert set(error) == {"status", "code", "message", "details"}
        assert error["code"] == self.status
        detail = error["details"][0]
        assert detail["@type"] == "ErrorInfo"
        assert detail["metadata"] == {}
        return error["status"], detail["reason"], detail["domain"]

    @property
    def plain(self) -> str:
        assert self.headers["content-type"].startswith("text/plain")
        return self.body.decode()


def ask(url: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Raw:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Raw(answer.status, found, answer.read())
    finally:
        connection.close()
