"""A tap on the line between a bot and its venue: what is sent, and what comes back, with times.

It relays bytes as they are, and sees the same of every bot, whatever the bot says of itself.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit

_ORDER = re.compile(rb"^POST (/api/v3/order|/v2/orders)[ ?]")
_QUESTION = re.compile(rb"^GET (/api/v3/order|/v2/orders:by_client_order_id|/v2/orders/\S+)[ ?]")
_OK = 400


class Mark(NamedTuple):
    """Something that happened: when (seconds since 1970), what, and to which run."""

    at: float
    what: str


class Tap:
    """A port on loopback that leads to the venue. Stopped on leaving.

    Args:
        url: the venue's.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._venue = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self.marks: list[Mark] = []
        self._open: set[socket.socket] = set()
        self._ended = False
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended = True
        # A listener wakes on a connection, not on being closed.
        with suppress(OSError):
            socket.create_connection(self._door.getsockname(), 1).close()
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._door.close()

    def mark(self, what: str) -> None:
        """Note something that the line does not show, such as a kill."""
        self.marks.append(Mark(time.time(), what))

    def _accept(self) -> None:
        while True:
            bot, _ = self._door.accept()
            if self._ended:
                bot.close()
                return
            try:
                venue = socket.create_connection(self._venue)
            except OSError:
                bot.close()
                continue
            self._open |= {bot, venue}
            asked: list[str] = []
            for job in (self._up, self._down):
                thread = threading.Thread(target=job, args=(bot, venue, asked))
                self._threads.append(thread)
                thread.start()

    def _up(self, bot: socket.socket, venue: socket.socket, asked: list[str]) -> None:
        with suppress(OSError):
            while data := bot.recv(65536):
                if _ORDER.match(data):
                    asked[:] = ["sent"]
                    self.mark("sent")
                elif _QUESTION.match(data):
                    asked[:] = ["asked"]
                    self.mark("asked")
                venue.sendall(data)
        with suppress(OSError):
            venue.shutdown(socket.SHUT_WR)

    def _down(self, bot: socket.socket, venue: socket.socket, asked: list[str]) -> None:
        with suppress(OSError):
            while data := venue.recv(65536):
                if asked and data.startswith(b"HTTP/"):
                    self._answered(asked.pop(), int(data.split(b" ", 2)[1]))
                bot.sendall(data)
        if asked == ["sent"]:
            self.mark("lost")
        for one in (bot, venue):
            self._open.discard(one)
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _answered(self, asked: str, status: int) -> None:
        if asked == "sent":
            self.mark("answered" if status < _OK else "lost")
        elif status < _OK:
            self.mark("found")
