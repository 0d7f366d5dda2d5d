"""Processes that divide vectors into lists, and are killed at it or go on and on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from haulout import Vault
from haulout.index import lists, nearness, probing
from haulout.vault import dividing


def make_small() -> None:
    """Let some hundred vectors be many, and open every list."""
    lists.DIVIDED_FROM = 200  # pyright: ignore[reportAttributeAccessIssue] a test may
    nearness.LEAST_SAMPLED = 4
    probing.PROBED = 1000


def at_step(number: int) -> Iterator[bool]:
    """Yields True at the step that is to fail."""
    yield from (place == number for place in range(10**6))


def build_and_die(connection: Connection, folder: Path, after: int) -> None:
    make_small()
    dividing._WRITTEN_AT_ONCE = 40  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    steps, put = at_step(after), lists.put

    def dying(*given_: Any) -> bool:
        done = put(*given_)
        if next(steps):
            connection.send("dying")
            os._exit(9)
        return done

    lists.put = dying
    with Vault.open(folder, embedder="none") as vault:
        vault.catch_up()


def build_again_and_again(connection: Connection, folder: Path) -> None:
    make_small()
    lists._GROWN_BY = 10**6  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] always due
    with Vault.open(folder, embedder="none") as vault:
        connection.send("ready")
        while not connection.poll():
            vault.catch_up()
            connection.send("built")
    connection.send("done")
