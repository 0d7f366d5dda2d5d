"""The venue's own small shape: orders, positions, and nothing that a test does not need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from haulout.testing.venue.desk import Reply
from haulout.testing.venue.exchange import plain
from haulout.testing.venue.front import Front, json
from haulout.testing.venue.orders import Refusal, Wanted
from haulout.testing.venue.shown import Listing, shown

_STATUS: Final = {"duplicate": 409, "missing": 404, "closed": 409}


class Words:
    """Refusals and failures in the small shape."""

    def refused(self, refusal: Refusal) -> Response:
        """The venue says no."""
        body = {"error": refusal.reason, "message": refusal.words}
        return json(body, _STATUS.get(refusal.reason, 422))

    def failed(self, status: int) -> Response:
        """It failed, or is busy."""
        return json({"error": "failed"}, status)


class GenericRoutes:
    """``/orders`` and ``/positions``."""

    def __init__(self, front: Front) -> None:
        self._front, self._words = front, Words()

    def routes(self) -> list[Route]:
        """Where they answer."""
        return [
            Route("/orders", self._place, methods=["POST"]),
            Route("/orders", self._list, methods=["GET"]),
            Route("/orders/{name}", self._get, methods=["GET"]),
            Route("/orders/{name}", self._cancel, methods=["DELETE"]),
            Route("/orders/{name}", self._replace, methods=["PUT"]),
            Route("/positions", self._positions, methods=["GET"]),
        ]

    async def _wanted(self, request: Request) -> Wanted | Response:
        try:
            return msgspec.json.decode(await request.body(), type=Wanted)
        except msgspec.MsgspecError as error:
            return self._words.refused(Refusal("body", str(error)))

    async def _answer(
        self, request: Request, reply: Reply, render: Callable[[Any], Response]
    ) -> Response:
        return await self._front.answer(request, reply, render, self._words)

    async def _place(self, request: Request) -> Response:
        wanted = await self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        reply = self._front.desk.submit(wanted)
        return await self._answer(request, reply, lambda order: json(shown(order)))

    async def _replace(self, request: Request) -> Response:
        wanted = await self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        reply = self._front.desk.replace(request.path_params["name"], wanted)
        return await self._answer(request, reply, lambda order: json(shown(order)))

    async def _cancel(self, request: Request) -> Response:
        reply = self._front.desk.cancel(request.path_params["name"])
        return await self._answer(request, reply, lambda order: json(shown(order)))

    async def _get(self, request: Request) -> Response:
        reply = self._front.desk.get(request.path_params["name"])
        missing = Refusal("missing", "there is no such order")
        return await self._answer(
            request,
            reply,
            lambda order: self._words.refused(missing) if order is None else json(shown(order)),
        )

    async def _list(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        only_open = request.query_params.get("open") == "1"
        desk = self._front.desk
        reply = desk.listed(int(since) if since.isdigit() else 0, open_only=only_open)
        return await self._answer(
            request,
            reply,
            lambda found: json(Listing([shown(one) for one in found], desk.complete_since())),
        )

    async def _positions(self, request: Request) -> Response:
        reply = self._front.desk.positions()
        return await self._answer(
            request,
            reply,
            lambda held: json({symbol: plain(amount) for symbol, amount in held.items()}),
        )
