"""`HttpVenue`: an agent's side of the process, over its own small shape."""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from haulout.errors import OutcomeUnknownError
from haulout.state.refs import Class, Rules
from haulout.testing.venue.adapter import Adapter
from haulout.testing.venue.orders import Refusal, Wanted
from haulout.testing.venue.shown import Listing, Shown

Answer = TypeVar("Answer")
_REFUSED = (400, 404, 409, 422)
_OK = 200


class Refused(msgspec.Struct):
    """The body of a refusal."""

    error: str
    message: str = ""


class HttpWire:
    """Calls over HTTP, each on a connection of its own: nothing is sent twice by itself.

    Args:
        url: of the process; patience: seconds until an answer is given up.
        pid: the process that a ``kill`` fault ends; by default this one.
    """

    def __init__(self, url: str, patience: float, pid: int | None = None) -> None:
        self._host = urlsplit(url).netloc
        self._patience = patience
        self._headers = {"X-Client-Pid": str(pid or os.getpid())}

    def ask(self, method: str, path: str, kind: type[Answer] | Any, body: Any = None) -> Answer:
        """One call.

        Raises:
            Refusal: the venue says no; OutcomeUnknownError: there is no answer that says anything.
        """
        data = None if body is None else msgspec.json.encode(body)
        connection = http.client.HTTPConnection(self._host, timeout=self._patience)
        try:
            connection.request(method, path, data, self._headers)
            response = connection.getresponse()
            answer, status = response.read(), response.status
            if status == _OK:
                return msgspec.json.decode(answer, type=kind)
            if status in _REFUSED:
                refused = msgspec.json.decode(answer, type=Refused)
                raise Refusal(refused.error, refused.message)
        except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
            message = f"No answer came to {method} {path} ({type(error).__name__})."
            raise OutcomeUnknownError(message) from error
        finally:
            connection.close()
        raise OutcomeUnknownError(f"{method} {path} was answered with {status}.")

    def place(self, wanted: Wanted) -> Shown:
        """Send an order."""
        return self.ask("POST", "/orders", Shown, wanted)

    def cancel(self, name: str) -> Shown:
        """Take an order back."""
        return self.ask("DELETE", f"/orders/{quote(name)}", Shown)

    def replace(self, name: str, wanted: Wanted) -> Shown:
        """Put an order in another's place."""
        return self.ask("PUT", f"/orders/{quote(name)}", Shown, wanted)

    def get(self, name: str) -> Shown | None:
        """An order, or None."""
        try:
            return self.ask("GET", f"/orders/{quote(name)}", Shown)
        except Refusal:
            return None

    def orders(self, since: int) -> Listing:
        """What is open, and what changed since."""
        return self.ask("GET", f"/orders?since={since}", Listing)

    def positions(self) -> Mapping[str, str]:
        """What is held."""
        return self.ask("GET", "/positions", dict[str, str])


class HttpVenue(Adapter):
    """The process as a `haulout.state.venue.Venue`.

    Args:
        url: where it answers; kind: its class, as it was started.
        rules: how the client's ID is written; patience: seconds until an answer is given up.
        pid: the process that a ``kill`` fault ends; by default this one.
    """

    def __init__(
        self,
        url: str,
        kind: Class = "C",
        *,
        rules: Rules | None = None,
        patience: float = 5.0,
        pid: int | None = None,
    ) -> None:
        wire = HttpWire(url, patience, pid)
        super().__init__(wire, rules or Rules(kind, "hex", "client"), "loopback")
